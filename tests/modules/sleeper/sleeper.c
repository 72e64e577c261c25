// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * sleeper - a device whose readers sleep, in this module's code, until somebody writes.
 *
 *	cat /dev/sleeper &		sleeps in sleeper_wait()
 *	echo text > /dev/sleeper	wakes one reader per byte written; each reads "woken\n" and then the end of file
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

static DECLARE_WAIT_QUEUE_HEAD(sleeper_queue);
static unsigned int sleeper_tokens;	/* readers that may go on; guarded by the queue's lock */
static unsigned int sleeper_served;	/* readers that went on */

static noinline int sleeper_wait(unsigned int ticket)
{
	const char *who = current->comm;
	int error;

	pr_info("%s sleeps with ticket %u\n", who, ticket);
	spin_lock_irq(&sleeper_queue.lock);
	error = wait_event_interruptible_locked_irq(sleeper_queue, sleeper_tokens > 0);
	if (!error) {
		sleeper_tokens--;
		sleeper_served++;
	}
	spin_unlock_irq(&sleeper_queue.lock);
	pr_info("%s wakes with ticket %u: %d\n", who, ticket, error);
	return error;
}

static ssize_t sleeper_read(struct file *file, char __user *buffer, size_t size, loff_t *position)
{
	static const char text[] = "woken\n";
	static unsigned int tickets;
	unsigned int ticket;
	int error;

	if (*position)
		return 0;
	spin_lock_irq(&sleeper_queue.lock);
	ticket = ++tickets;
	spin_unlock_irq(&sleeper_queue.lock);
	error = sleeper_wait(ticket);
	if (error)
		return error;
	return simple_read_from_buffer(buffer, size, position, text, sizeof(text) - 1);
}

static ssize_t sleeper_write(struct file *file, const char __user *buffer, size_t size, loff_t *position)
{
	spin_lock_irq(&sleeper_queue.lock);
	sleeper_tokens += size;
	wake_up_locked(&sleeper_queue);
	spin_unlock_irq(&sleeper_queue.lock);
	return size;
}

static const struct file_operations sleeper_operations = {
	.owner = THIS_MODULE,
	.read = sleeper_read,
	.write = sleeper_write,
};

static struct miscdevice sleeper_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME,
	.fops = &sleeper_operations,
	.mode = 0666,
};

static int __init sleeper_init(void)
{
	return misc_register(&sleeper_device);
}

static void __exit sleeper_exit(void)
{
	misc_deregister(&sleeper_device);
	pr_info("unloaded after %u readers\n", sleeper_served);
}

module_init(sleeper_init);
module_exit(sleeper_exit);

MODULE_DESCRIPTION("A device whose readers sleep, for tests");
MODULE_LICENSE("GPL");
