// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * sections - code and data in every section a module commonly has, in two source files.
 *
 * Each global has a value of its own, and its name says the section it is in, so that a debugger that reads the
 * wrong address is found out. Functions: .init.text (sections_init, sections_init_helper), .text (sections_hot,
 * sections_set_level), .text.unlikely (sections_rare), .exit.text (sections_exit, sections_exit_helper).
 *
 *	echo 3 > /sys/module/sections/parameters/level		calls sections_set_level(3), which calls
 *								sections_hot() and, from 100 on, sections_rare()
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cache.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "sections.h"

int sections_data = 0x11111111;
int sections_bss;
const int sections_rodata[4] = { 0x33333330, 0x33333331, 0x33333332, 0x33333333 };
int sections_read_mostly __read_mostly = 0x44444444;
int sections_ro_after_init __ro_after_init = 0x55555555;
static int sections_init_data __initdata = 0x66666666;
DEFINE_PER_CPU(int, sections_per_cpu) = 0x77777777;

static int number = 7;
module_param(number, int, 0644);
MODULE_PARM_DESC(number, "a plain integer");

static int several[4] = { 1, 2, 3, 4 };
static int several_count = 4;
module_param_array(several, int, &several_count, 0444);
MODULE_PARM_DESC(several, "up to four integers");

static bool refuse_unload;
module_param(refuse_unload, bool, 0644);
MODULE_PARM_DESC(refuse_unload, "say in the log that the module would rather stay");

static int level;

/* GCC splits the unlikely branch off into .text.unlikely: the function has two ranges of addresses. */
static noinline void sections_set_level(int wanted)
{
	int before = level;
	int result = sections_hot(wanted);

	if (unlikely(wanted >= 100))
		result = sections_rare(wanted);
	level = wanted;
	pr_info("level %d to %d: %d\n", before, wanted, result);
}

/* Called for insmod's level=… before init runs, and for every write to the file in sysfs. */
static int level_set(const char *text, const struct kernel_param *parameter)
{
	int wanted;
	int error = kstrtoint(text, 0, &wanted);

	if (error)
		return error;
	sections_set_level(wanted);
	return 0;
}

static const struct kernel_param_ops level_operations = {
	.set = level_set,
	.get = param_get_int,
};
module_param_cb(level, &level_operations, &level, 0644);
MODULE_PARM_DESC(level, "an integer with a function that is called when it is set");

static noinline int __init sections_init_helper(int start)
{
	int sum = start;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sections_rodata); i++)
		sum ^= sections_rodata[i];
	sections_init_data += 1;
	return sum ^ sections_init_data;
}

static int __init sections_init(void)
{
	int mixed = sections_init_helper(number);

	sections_bss = 0x22222222;
	sections_ro_after_init += 1;
	pr_info("loaded: number %d, mixed %#x\n", number, mixed);
	return 0;
}

static noinline int __exit sections_exit_helper(int amount)
{
	return amount + sections_data;
}

static void __exit sections_exit(void)
{
	int last = sections_exit_helper(number);

	pr_info("unloaded: last %d%s\n", last, refuse_unload ? ", unwillingly" : "");
}

module_init(sections_init);
module_exit(sections_exit);

MODULE_DESCRIPTION("Code and data in every common section, for tests");
MODULE_LICENSE("GPL");
