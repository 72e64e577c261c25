// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * spinner - loops in kernel mode until it is told to stop or its time is over.
 *
 *	echo 5 > /sys/module/spinner/parameters/spin		loop up to 5 seconds in the writer itself
 *	echo 1 > /sys/module/spinner/parameters/spin_on		loop up to `seconds` in a kernel thread on CPU 1
 *	echo 5 > /sys/module/spinner/parameters/spin_line	the same as spin, in a loop of one line with calls in it
 *	echo 1 > /sys/module/spinner/parameters/stop		end every loop
 *
 * Time is counted in timer ticks that the loop saw go by, at most one a round: time that the machine spends stopped
 * under a debugger does not count.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/smp.h>

static bool stop;
module_param(stop, bool, 0644);
MODULE_PARM_DESC(stop, "end every loop");

static unsigned int seconds = 10;
module_param(seconds, uint, 0644);
MODULE_PARM_DESC(seconds, "how long a loop started by spin_on may last");

static unsigned long spinner_rounds;	/* of the last loop that ended */
static unsigned int spinner_checksum;	/* its result */
static struct task_struct *spinner_thread;
static DEFINE_MUTEX(spinner_lock);	/* guards spinner_thread */

static noinline unsigned int spinner_loop(unsigned int limit_seconds)
{
	unsigned long limit = (unsigned long)limit_seconds * HZ;
	unsigned long seen = jiffies;
	unsigned long ticks = 0;
	unsigned long round = 0;
	unsigned int checksum = 1;

	while (!READ_ONCE(stop) && ticks < limit) {
		unsigned long now = READ_ONCE(jiffies);

		checksum = checksum * 1664525u + 1013904223u;
		round++;
		if (now != seen) {
			seen = now;
			ticks++;
		}
	}
	spinner_rounds = round;
	spinner_checksum = checksum;
	return checksum;
}

static noinline void spinner_run(unsigned int limit_seconds)
{
	unsigned int result;

	WRITE_ONCE(stop, false);
	pr_info("looping on CPU %d\n", raw_smp_processor_id());
	result = spinner_loop(limit_seconds);
	pr_info("%lu rounds, checksum %#x\n", spinner_rounds, result);
}

static int spin_set(const char *text, const struct kernel_param *parameter)
{
	unsigned int limit_seconds;
	int error = kstrtouint(text, 0, &limit_seconds);

	if (error)
		return error;
	spinner_run(limit_seconds);
	return 0;
}

static const struct kernel_param_ops spin_operations = { .set = spin_set };
module_param_cb(spin, &spin_operations, NULL, 0200);
MODULE_PARM_DESC(spin, "written: loop this many seconds in the writer");

static unsigned long line_seen, line_ticks;

/* Has arguments on the stack: a debugger cannot have such calls run through, and steps over each of them. */
static noinline bool spinner_turn(int a, int b, int c, int d, int e, unsigned long turn, int f, unsigned long limit)
{
	if (READ_ONCE(jiffies) != line_seen) {
		line_seen = READ_ONCE(jiffies);
		line_ticks++;
	}
	spinner_rounds = turn;
	spinner_checksum += a + b + c + d + e + f;
	return line_ticks < limit;
}

static noinline void spinner_line(unsigned long limit)
{
	unsigned long turn = 0;

	line_ticks = 0;
	while (!READ_ONCE(stop) && spinner_turn(1, 2, 3, 4, 5, ++turn, 6, limit)) { }
	pr_info("%lu turns\n", turn);
}

static int spin_line_set(const char *text, const struct kernel_param *parameter)
{
	unsigned int limit_seconds;
	int error = kstrtouint(text, 0, &limit_seconds);

	if (error)
		return error;
	WRITE_ONCE(stop, false);
	spinner_line((unsigned long)limit_seconds * HZ);
	return 0;
}

static const struct kernel_param_ops spin_line_operations = { .set = spin_line_set };
module_param_cb(spin_line, &spin_line_operations, NULL, 0200);
MODULE_PARM_DESC(spin_line, "written: loop this many seconds in one line");

static int spinner_thread_main(void *unused)
{
	spinner_run(seconds);
	/* The thread belongs to the module until spinner_end_thread() has collected it. */
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* The caller holds spinner_lock. */
static void spinner_end_thread(void)
{
	if (!spinner_thread)
		return;
	WRITE_ONCE(stop, true);
	kthread_stop(spinner_thread);
	spinner_thread = NULL;
}

static int spin_on_set(const char *text, const struct kernel_param *parameter)
{
	struct task_struct *thread;
	unsigned int cpu;
	int error = kstrtouint(text, 0, &cpu);

	if (error)
		return error;
	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -EINVAL;

	mutex_lock(&spinner_lock);
	spinner_end_thread();
	thread = kthread_create(spinner_thread_main, NULL, "spinner/%u", cpu);
	if (IS_ERR(thread)) {
		error = PTR_ERR(thread);
	} else {
		kthread_bind(thread, cpu);
		spinner_thread = thread;
		wake_up_process(thread);
	}
	mutex_unlock(&spinner_lock);
	return error;
}

static const struct kernel_param_ops spin_on_operations = { .set = spin_on_set };
module_param_cb(spin_on, &spin_on_operations, NULL, 0200);
MODULE_PARM_DESC(spin_on, "written: loop in a kernel thread on this CPU");

static int __init spinner_init(void)
{
	pr_info("loaded\n");
	return 0;
}

static void __exit spinner_exit(void)
{
	mutex_lock(&spinner_lock);
	spinner_end_thread();
	mutex_unlock(&spinner_lock);
	pr_info("unloaded\n");
}

module_init(spinner_init);
module_exit(spinner_exit);

MODULE_DESCRIPTION("Loops in kernel mode, for tests");
MODULE_LICENSE("GPL");
