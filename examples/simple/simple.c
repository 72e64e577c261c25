// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * simple - a character device that remembers a short text and counts what is done to it.
 *
 * It does nothing useful, so that nothing stands in the way of looking at it with a debugger. What a driver has, it
 * has: an init and an exit function, the five usual file operations, a parameter, globals, and functions with locals.
 *
 *	insmod simple.ko greeting=hi
 *	cat /dev/simple			open, read, read (end of file), release
 *	echo text > /dev/simple		open, write, release
 *	rmmod simple
 *
 * exercise.c beside this file does all of it, ioctl included, from one process.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "simple.h"

static char *greeting = "hello";
module_param(greeting, charp, 0444);
MODULE_PARM_DESC(greeting, "the text the device holds until somebody writes another");

static int simple_count;			/* operations since the module was loaded */
static char simple_text[SIMPLE_TEXT_MAX];	/* what read() returns */
static size_t simple_length;			/* bytes of it in use */
static DEFINE_MUTEX(simple_lock);		/* guards the three above */

/*
 * Remember a text, cut to what fits. Returns the number of bytes kept.
 *
 * noinline keeps it a function of its own at -O2, so that there is something for "step" to step into and for
 * "finish" to come back from.
 */
static noinline size_t simple_remember(const char *text, size_t length)
{
	size_t kept = min_t(size_t, length, SIMPLE_TEXT_MAX);

	memcpy(simple_text, text, kept);
	simple_length = kept;
	return kept;
}

/* Count one operation. Returns which one it was. */
static noinline int simple_counted(const char *operation)
{
	int number = ++simple_count;

	pr_info("%s is operation %d\n", operation, number);
	return number;
}

/* The kernel's libfs has a simple_open() of its own, declared in linux/fs.h: hence the longer name here. */
static int simple_dev_open(struct inode *inode, struct file *file)
{
	unsigned int device = iminor(inode);
	int number;

	mutex_lock(&simple_lock);
	number = simple_counted("open");
	mutex_unlock(&simple_lock);
	pr_info("minor %u opened, operation %d\n", device, number);
	return 0;
}

static int simple_release(struct inode *inode, struct file *file)
{
	mutex_lock(&simple_lock);
	simple_counted("release");
	mutex_unlock(&simple_lock);
	return 0;
}

static ssize_t simple_read(struct file *file, char __user *buffer, size_t size, loff_t *position)
{
	char copy[SIMPLE_TEXT_MAX];	/* the lock is not held while the reader's page may fault in */
	size_t available;

	mutex_lock(&simple_lock);
	simple_counted("read");
	available = simple_length;
	memcpy(copy, simple_text, available);
	mutex_unlock(&simple_lock);

	return simple_read_from_buffer(buffer, size, position, copy, available);
}

static ssize_t simple_write(struct file *file, const char __user *buffer, size_t size, loff_t *position)
{
	char copy[SIMPLE_TEXT_MAX];
	size_t wanted = min_t(size_t, size, sizeof(copy));
	size_t kept;

	if (copy_from_user(copy, buffer, wanted))
		return -EFAULT;

	mutex_lock(&simple_lock);
	simple_counted("write");
	kept = simple_remember(copy, wanted);
	mutex_unlock(&simple_lock);

	pr_info("kept %zu of %zu bytes\n", kept, size);
	return size;
}

static long simple_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	int __user *user = (int __user *)argument;
	int value;
	long result = 0;

	mutex_lock(&simple_lock);
	value = simple_counted("ioctl");
	switch (command) {
	case SIMPLE_GET_COUNT:
		result = put_user(value, user);
		break;
	case SIMPLE_SET_COUNT:
		result = get_user(value, user);
		if (!result)
			simple_count = value;
		break;
	default:
		result = -ENOTTY;
	}
	mutex_unlock(&simple_lock);
	return result;
}

static const struct file_operations simple_operations = {
	.owner = THIS_MODULE,
	.open = simple_dev_open,
	.release = simple_release,
	.read = simple_read,
	.write = simple_write,
	.unlocked_ioctl = simple_ioctl,
};

static struct miscdevice simple_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = SIMPLE_DEVICE,
	.fops = &simple_operations,
	.mode = 0666,
};

static int __init simple_init(void)
{
	size_t length = strlen(greeting);
	size_t kept;
	int error;

	pr_info("loading\n");
	kept = simple_remember(greeting, length);
	simple_count = 0;
	error = misc_register(&simple_device);
	if (error) {
		pr_err("cannot register /dev/%s: %d\n", SIMPLE_DEVICE, error);
		return error;
	}
	pr_info("/dev/%s is minor %d and holds %zu of %zu bytes\n", SIMPLE_DEVICE, simple_device.minor, kept, length);
	return 0;
}

static void __exit simple_exit(void)
{
	int total = simple_count;

	misc_deregister(&simple_device);
	pr_info("unloaded after %d operations\n", total);
}

module_init(simple_init);
module_exit(simple_exit);

MODULE_DESCRIPTION("A character device to be looked at with a debugger");
MODULE_LICENSE("GPL");
