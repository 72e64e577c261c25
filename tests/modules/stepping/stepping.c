// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * stepping - code shapes that are hard to step through by source line.
 *
 *	echo 4 > /sys/module/stepping/parameters/run		calls stepping_run(4)
 *
 * A loop that calls on one line, straight-line code of many instructions on one line, recursion, a switch with a tail
 * call in one arm, a function inlined twice, and several calls on one line, one of them indirect.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int stepping_result;
static unsigned int stepping_mixed[4] = { 1, 2, 3, 4 };

static noinline int stepping_leaf(int value)
{
	return value * 3 + 1;
}

/* The loop is one line: "next" over it must not stop until the loop is done. */
static noinline int stepping_loop(int rounds)
{
	int sum = 0;
	int i;

	for (i = 0; i < rounds; i++) sum += stepping_leaf(i);
	return sum;
}

/* One statement, some thirty instructions without a branch. */
static noinline void stepping_straight(unsigned int seed)
{
	stepping_mixed[0] = (seed * 2654435761u ^ stepping_mixed[1]) + (seed << 5) - (stepping_mixed[2] >> 3) +
			    (stepping_mixed[3] ^ 0x5bd1e995u) * (seed | 1) + (stepping_mixed[0] << 7) - (seed >> 11) +
			    (stepping_mixed[1] * 97u ^ stepping_mixed[2] * 89u) + (stepping_mixed[3] * 83u ^ seed * 79u);
	stepping_mixed[1] ^= stepping_mixed[0];
}

/* "finish" from an inner call returns to the outer one; a breakpoint here is hit at every depth. */
static noinline int stepping_recursion(int depth)
{
	int below;

	if (depth <= 0)
		return 0;
	below = stepping_recursion(depth - 1);
	stepping_mixed[2] += below;
	return below + depth;
}

static noinline int stepping_switch(int selector, int value)
{
	switch (selector) {
	case 0:
		return value + 10;
	case 1:
		return value * 11;
	case 2:
		return value - 12;
	case 3:
		return value ^ 13;
	case 4:
		return value << 4;
	case 5:
		return stepping_leaf(value);
	default:
		return -1;
	}
}

static __always_inline int stepping_inlined(int value)
{
	int squared = value * value;

	stepping_mixed[3] += squared;
	return squared + 1;
}

static noinline int stepping_inline_twice(int value)
{
	int first = stepping_inlined(value);
	int second = stepping_inlined(value + 1);

	return first + second;
}

static int (*stepping_indirect)(int value) = stepping_leaf;

static noinline int stepping_calls(int value)
{
	return stepping_leaf(value) + stepping_leaf(value + 1) + stepping_indirect(value + 2);
}

static noinline int stepping_run(int amount)
{
	int total = 0;

	total += stepping_loop(amount);
	stepping_straight(amount);
	total += stepping_recursion(amount);
	total += stepping_switch(amount, total);
	total += stepping_inline_twice(amount);
	total += stepping_calls(amount);
	stepping_result = total;
	return total;
}

static int run_set(const char *text, const struct kernel_param *parameter)
{
	int amount;
	int error = kstrtoint(text, 0, &amount);

	if (error)
		return error;
	if (amount < 0 || amount > 100)	/* the recursion runs on the kernel's stack of 16 KiB */
		return -ERANGE;
	pr_info("run %d gives %d\n", amount, stepping_run(amount));
	return 0;
}

static const struct kernel_param_ops run_operations = {
	.set = run_set,
	.get = param_get_int,
};
module_param_cb(run, &run_operations, &stepping_result, 0644);
MODULE_PARM_DESC(run, "written: run every shape with this amount, 0 to 100; read: the last result");

static int __init stepping_init(void)
{
	pr_info("loaded\n");
	return 0;
}

static void __exit stepping_exit(void)
{
	pr_info("unloaded with %d\n", stepping_result);
}

module_init(stepping_init);
module_exit(stepping_exit);

MODULE_DESCRIPTION("Code that is hard to step through, for tests");
MODULE_LICENSE("GPL");
