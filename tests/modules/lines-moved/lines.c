// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * lines - the second version of the module in lines/: the same functions, on other lines and at other offsets.
 *
 * A function stands before lines_work() here that the first version does not have, and lines_work() itself has grown:
 * whoever kept an address or a line number of the first version finds himself somewhere else.
 *
 *	echo 5 > /sys/module/lines/parameters/work		calls lines_work(5)
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static const int lines_version = 2;
static int lines_result;
static int lines_history[8];

static noinline void lines_record(int amount)
{
	int i;

	for (i = ARRAY_SIZE(lines_history) - 1; i > 0; i--)
		lines_history[i] = lines_history[i - 1];
	lines_history[0] = amount;
}

static noinline int lines_work(int amount)
{
	int doubled = 2 * amount;

	lines_record(amount);
	if (doubled < 0) {
		pr_info("%d is below zero\n", doubled);
		doubled = 0;
	}
	lines_result = doubled + lines_version;	/* the line to break on */
	return lines_result;
}

static int work_set(const char *text, const struct kernel_param *parameter)
{
	int amount;
	int error = kstrtoint(text, 0, &amount);

	if (error)
		return error;
	pr_info("result %d\n", lines_work(amount));
	return 0;
}

static const struct kernel_param_ops work_operations = {
	.set = work_set,
	.get = param_get_int,
};
module_param_cb(work, &work_operations, &lines_result, 0644);
MODULE_PARM_DESC(work, "written: work on this; read: the result");

static int __init lines_init(void)
{
	int result = lines_work(20);

	pr_info("version %d loaded, result %d\n", lines_version, result);
	return 0;
}

static void __exit lines_exit(void)
{
	pr_info("version %d unloaded\n", lines_version);
}

module_init(lines_init);
module_exit(lines_exit);

MODULE_DESCRIPTION("A module whose lines move between two builds, for tests");
MODULE_LICENSE("GPL");
