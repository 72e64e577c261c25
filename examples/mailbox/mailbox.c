// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * mailbox - a device with one buffer for all who have it open: the first open makes it, the last close frees it.
 *
 * There is a bug in the close path. test_mailbox.py beside this file finds it; docs/tutorial-race.md tells how.
 *
 *	echo text > /dev/mailbox
 *	cat /dev/mailbox
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct mailbox {
	size_t length;
	char text[256];
};

static struct mailbox *mailbox;			/* what is shared, while anybody has the device open */
static atomic_t mailbox_users = ATOMIC_INIT(0);	/* how many have */
static DEFINE_MUTEX(mailbox_lock);		/* guards the first */

/* In place of hardware: cleared while the device powers up, which takes a millisecond or a second. */
static bool mailbox_ready = true;
module_param_named(ready, mailbox_ready, bool, 0644);
MODULE_PARM_DESC(ready, "whether the hardware has powered up");

static noinline void mailbox_await_ready(void)
{
	while (!READ_ONCE(mailbox_ready))
		usleep_range(1000, 2000);
}

static int mailbox_open(struct inode *inode, struct file *file)
{
	int error = 0;

	mutex_lock(&mailbox_lock);
	mailbox_await_ready();
	if (!mailbox)
		mailbox = kzalloc(sizeof(*mailbox), GFP_KERNEL);
	if (mailbox)
		atomic_inc(&mailbox_users);
	else
		error = -ENOMEM;
	mutex_unlock(&mailbox_lock);
	return error;
}

static int mailbox_release(struct inode *inode, struct file *file)
{
	if (!atomic_dec_and_test(&mailbox_users))
		return 0;
	mutex_lock(&mailbox_lock);
	kfree(mailbox);
	mailbox = NULL;
	mutex_unlock(&mailbox_lock);
	return 0;
}

static ssize_t mailbox_read(struct file *file, char __user *buffer, size_t size, loff_t *position)
{
	ssize_t count;

	mutex_lock(&mailbox_lock);
	count = simple_read_from_buffer(buffer, size, position, mailbox->text, mailbox->length);
	mutex_unlock(&mailbox_lock);
	return count;
}

static ssize_t mailbox_write(struct file *file, const char __user *buffer, size_t size, loff_t *position)
{
	ssize_t count;

	mutex_lock(&mailbox_lock);
	count = simple_write_to_buffer(mailbox->text, sizeof(mailbox->text), position, buffer, size);
	if (count > 0)
		mailbox->length = *position;
	mutex_unlock(&mailbox_lock);
	return count;
}

static const struct file_operations mailbox_operations = {
	.owner = THIS_MODULE,
	.open = mailbox_open,
	.release = mailbox_release,
	.read = mailbox_read,
	.write = mailbox_write,
};

static struct miscdevice mailbox_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mailbox",
	.fops = &mailbox_operations,
	.mode = 0666,
};

module_misc_device(mailbox_device);

MODULE_DESCRIPTION("A device with a race in its close path, to write a regression test for");
MODULE_LICENSE("GPL");
