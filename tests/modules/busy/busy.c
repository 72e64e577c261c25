// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * busy - every processor runs the same code while one of them is stepped through.
 *
 *	echo 1 > /sys/module/busy/parameters/crowd	a thread on each processor, until 0 is written
 *	echo 25 > /sys/module/busy/parameters/walk	calls busy_entry() so often
 *
 * The threads spend their time in busy_spin(), and go through busy_lines() as the walker does. That of the last processor
 * passes busy_beacon() now and then, which counts how often that happened. It is the only one: while a thread is stepped
 * off a breakpoint, which kgdb takes out for all, another could pass there unseen.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#define WALKER 999
#define TURNS_PER_BEACON 16

struct busy_state {
	int who;
	bool passes_beacon;
	unsigned int turns;
	unsigned int mixed[4];
};

static unsigned long busy_beacons;
static struct task_struct *busy_threads[NR_CPUS];
static struct busy_state busy_states[NR_CPUS];
static struct busy_state busy_walker = { .who = WALKER };

static noinline unsigned int busy_leaf(unsigned int value)
{
	return value * 3 + 1;
}

/* What everybody goes through: straight lines, a branch, a loop with a call, all with side effects. */
static noinline unsigned int busy_lines(struct busy_state *state)
{
	unsigned int i;

	WRITE_ONCE(state->turns, state->turns + 1);
	WRITE_ONCE(state->mixed[0], state->mixed[0] * 2654435761u + (state->turns << 5));
	WRITE_ONCE(state->mixed[1], state->mixed[1] ^ state->mixed[0]);
	for (i = 0; i < 3; i++) WRITE_ONCE(state->mixed[2], busy_leaf(state->mixed[2] + i));
	WRITE_ONCE(state->mixed[3], state->mixed[3] + (state->mixed[2] >> 3));
	if (state->who < 0)
		WRITE_ONCE(state->mixed[0], 0);
	WRITE_ONCE(state->mixed[1], state->mixed[1] + state->mixed[3]);
	return state->mixed[1];
}

static noinline void busy_beacon(struct busy_state *state)
{
	__atomic_fetch_add(&busy_beacons, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(state->turns, state->turns + 1);
}

static noinline unsigned int busy_spin(unsigned int rounds)
{
	unsigned int value = rounds;

	while (rounds--)
		value = READ_ONCE(value) * 5 + 1;
	return value;
}

static int busy_main(void *data)
{
	struct busy_state *state = data;
	unsigned int turn = 0;

	set_user_nice(current, 19);
	while (!kthread_should_stop()) {
		busy_spin(200000);
		busy_lines(state);
		if (state->passes_beacon && ++turn % TURNS_PER_BEACON == 0)
			busy_beacon(state);
		cond_resched();
	}
	return 0;
}

/* Only the walker comes by here. */
static noinline void busy_entry(struct busy_state *state)
{
	busy_lines(state);
}

static int walk_set(const char *text, const struct kernel_param *parameter)
{
	unsigned int times;
	int error = kstrtouint(text, 0, &times);

	while (!error && times--)
		busy_entry(&busy_walker);
	return error;
}

static const struct kernel_param_ops walk_operations = { .set = walk_set };
module_param_cb(walk, &walk_operations, NULL, 0200);
MODULE_PARM_DESC(walk, "written: go through the lines so often");

static void busy_stop(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (busy_threads[cpu])
			kthread_stop(busy_threads[cpu]);
		busy_threads[cpu] = NULL;
	}
}

static int busy_start(void)
{
	struct task_struct *thread;
	int cpu;

	for_each_online_cpu(cpu) {
		busy_states[cpu].who = cpu;
		busy_states[cpu].passes_beacon = cpu == cpumask_last(cpu_online_mask);
		thread = kthread_create(busy_main, &busy_states[cpu], "busy/%d", cpu);
		if (IS_ERR(thread))
			return PTR_ERR(thread);
		kthread_bind(thread, cpu);
		busy_threads[cpu] = thread;
		wake_up_process(thread);
	}
	return 0;
}

static noinline void busy_done(void)
{
	WRITE_ONCE(busy_walker.turns, 0);
}

static int crowd_set(const char *text, const struct kernel_param *parameter)
{
	bool wanted;
	int error = kstrtobool(text, &wanted);

	if (error)
		return error;
	busy_stop();
	if (wanted)
		return busy_start();
	busy_done();
	return 0;
}

static const struct kernel_param_ops crowd_operations = { .set = crowd_set };
module_param_cb(crowd, &crowd_operations, NULL, 0200);
MODULE_PARM_DESC(crowd, "written: 1 starts a thread on each processor, 0 ends them");

static int __init busy_init(void)
{
	return 0;
}

static void __exit busy_exit(void)
{
	busy_stop();
}

module_init(busy_init);
module_exit(busy_exit);

MODULE_DESCRIPTION("Code that every processor runs at once, for tests");
MODULE_LICENSE("GPL");
