// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * selfstop - a module with breakpoints compiled into its init and its exit.
 *
 * One is the processor's own trap, the other the kernel's call for it. Both stop the machine when a debugger is there,
 * and go on behind themselves.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kgdb.h>
#include <linux/module.h>

static int steps;

static int __init selfstop_init(void)
{
	steps = 1;
	asm volatile("int $3"); /* init's trap */
	steps += 10;
	pr_info("behind the trap\n");
	kgdb_breakpoint(); /* init's call */
	steps += 100;
	pr_info("init: %d\n", steps);
	return 0;
}

static void __exit selfstop_exit(void)
{
	steps = 1;
	asm volatile("int $3"); /* exit's trap */
	steps += 10;
	pr_info("behind the trap\n");
	kgdb_breakpoint(); /* exit's call */
	steps += 100;
	pr_info("exit: %d\n", steps);
}

module_init(selfstop_init);
module_exit(selfstop_exit);

MODULE_DESCRIPTION("A module with compiled-in breakpoints, for tests");
MODULE_LICENSE("GPL");
