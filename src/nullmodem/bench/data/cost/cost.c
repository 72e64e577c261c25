// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * cost - what the scenarios of this directory stop in, step through and look at.
 *
 *	echo 3 > /sys/module/cost/parameters/run		calls cost_run(3)
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

/* 200 bytes, of the kinds a driver's state is made of. */
struct cost_state {
	char name[32];
	unsigned long counters[16];
	void *owner;
	unsigned int flags[6];
	unsigned long last;
};

static struct cost_state cost_state = { .name = "cost", .flags = { 1, 2, 3, 4, 5, 6 } };
static unsigned char cost_bytes[512];
static unsigned int cost_mixed[4] = { 1, 2, 3, 4 };

static noinline int cost_leaf(int value)
{
	return value * 3 + 1;
}

/* One line, ten instructions or so, none of them a branch. */
static noinline void cost_straight(unsigned int seed)
{
	cost_mixed[0] = (seed * 2654435761u ^ cost_mixed[1]) + (seed << 5) - (cost_mixed[2] >> 3);
	cost_mixed[1] ^= cost_mixed[0];
}

/* One line, a loop with a call in each turn. */
static noinline int cost_loop(int rounds)
{
	int sum = 0;
	int i;

	for (i = 0; i < rounds; i++) sum += cost_leaf(i);
	return sum;
}

/* What the user looks at; the counters change so that nobody can have kept them from the last stop. */
static noinline unsigned long cost_look(struct cost_state *state, int amount)
{
	state->counters[0] += amount;
	cost_bytes[amount & 511]++;
	return state->counters[0];
}

/* Five places nobody comes by. */
static noinline int cost_never_1(int value) { return cost_leaf(value + 1) + 1; }
static noinline int cost_never_2(int value) { return cost_leaf(value + 2) + 2; }
static noinline int cost_never_3(int value) { return cost_leaf(value + 3) + 3; }
static noinline int cost_never_4(int value) { return cost_leaf(value + 4) + 4; }
static noinline int cost_never_5(int value) { return cost_leaf(value + 5) + 5; }

static noinline int cost_run(int amount)
{
	int total = 0;

	cost_look(&cost_state, amount);
	cost_straight(amount);
	total += cost_loop(amount);
	if (amount < 0) {
		total += cost_never_1(total) + cost_never_2(total) + cost_never_3(total);
		total += cost_never_4(total) + cost_never_5(total);
	}
	return total;
}

static int run_set(const char *text, const struct kernel_param *parameter)
{
	int amount;
	int error = kstrtoint(text, 0, &amount);

	if (!error)
		pr_info("run %d gives %d\n", amount, cost_run(amount));
	return error;
}

static const struct kernel_param_ops run_operations = { .set = run_set };
module_param_cb(run, &run_operations, NULL, 0200);
MODULE_PARM_DESC(run, "written: run everything with this amount");

static int __init cost_init(void)
{
	pr_info("loaded\n");
	return 0;
}

static void __exit cost_exit(void)
{
	pr_info("unloaded\n");
}

module_init(cost_init);
module_exit(cost_exit);

MODULE_DESCRIPTION("What the benchmarks debug");
MODULE_LICENSE("GPL");
