// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * watched - a global that several functions read and write.
 *
 *	echo 5 > /sys/module/watched/parameters/run
 *
 * writes watched.value three times, to 5, 6 and 12, in watched_assign(), watched_increment() and watched_double(), in
 * this order, and then reads it once in watched_peek(). watched.other, right behind it in memory, changes in between
 * and is not to be mistaken for it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

/* In one struct so that the order in memory is the order here; 8 bytes, as a hardware watchpoint wants them. */
static struct {
	long value;
	long other;
} watched __aligned(16);

static noinline void watched_assign(long wanted)
{
	watched.value = wanted;
}

static noinline void watched_disturb(void)
{
	watched.other++;
}

static noinline void watched_increment(void)
{
	watched.value++;
}

static noinline void watched_double(void)
{
	watched.value *= 2;
}

static noinline long watched_peek(void)
{
	return watched.value;
}

static int run_set(const char *text, const struct kernel_param *parameter)
{
	long wanted;
	int error = kstrtol(text, 0, &wanted);

	if (error)
		return error;
	watched_assign(wanted);
	watched_disturb();
	watched_increment();
	watched_disturb();
	watched_double();
	pr_info("value %ld\n", watched_peek());
	return 0;
}

static const struct kernel_param_ops run_operations = { .set = run_set };
module_param_cb(run, &run_operations, NULL, 0200);
MODULE_PARM_DESC(run, "written: put the value through all functions");

static int __init watched_init(void)
{
	pr_info("loaded\n");
	return 0;
}

static void __exit watched_exit(void)
{
	pr_info("unloaded with %ld\n", watched.value);
}

module_init(watched_init);
module_exit(watched_exit);

MODULE_DESCRIPTION("A global that several functions write, for tests");
MODULE_LICENSE("GPL");
