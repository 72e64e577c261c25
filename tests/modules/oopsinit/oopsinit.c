// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * oopsinit - a module whose init reads through a wild pointer.
 *
 * With kgdb the machine stops at the read. When it goes on, the kernel kills insmod inside init; the module stays in
 * state "coming" for good and cannot be unloaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static unsigned long address = 8;
module_param(address, ulong, 0444);
MODULE_PARM_DESC(address, "where init reads; nothing is mapped in the first page");

static noinline int oopsinit_read(unsigned long from)
{
	const volatile int *wild = (const volatile int *)from;

	return *wild;
}

static int __init oopsinit_init(void)
{
	int value;

	pr_info("reading %#lx\n", address);
	value = oopsinit_read(address);
	pr_info("survived: %d\n", value);
	return 0;
}

static void __exit oopsinit_exit(void)
{
	pr_info("unloaded\n");
}

module_init(oopsinit_init);
module_exit(oopsinit_exit);

MODULE_DESCRIPTION("A module whose init oopses, for tests");
MODULE_LICENSE("GPL");
