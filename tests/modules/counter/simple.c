// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * simple - a device that says hello, a character at a time to whoever counts, for the examples of the Python API.
 *
 *	head -c5 /dev/simple		calls simple_read(file, buffer, 5, position)
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct simple_item {			/* 64 bytes */
	unsigned long value;
	struct list_head link;
	char note[40];
};

static const char simple_text[] = "hello";
static int simple_counter;
static int simple_total;
static LIST_HEAD(simple_items);
static unsigned int items;
module_param(items, uint, 0444);
MODULE_PARM_DESC(items, "how long the list of items is");

static __always_inline int simple_twice(int value)
{
	simple_total += value;
	return value * 2;
}

static noinline int simple_sum(int first, int second)
{
	int sum = simple_twice(first);

	sum += simple_twice(second);
	return sum;
}

static noinline __noclone ssize_t simple_read(struct file *file, char __user *buffer, size_t len, loff_t *position)
{
	int sum;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	simple_counter++;
	sum = simple_sum(simple_counter, len);
	if (copy_to_user(buffer, simple_text + *position, len))
		return -EFAULT;
	*position += len;
	return sum > 0 ? len : -EIO;
}

static ssize_t simple_read_op(struct file *file, char __user *buffer, size_t size, loff_t *position)
{
	size_t left = sizeof(simple_text) - 1 - *position;

	return left ? simple_read(file, buffer, min(size, left), position) : 0;
}

static const struct file_operations simple_operations = {
	.owner = THIS_MODULE,
	.read = simple_read_op,
};

static struct miscdevice simple_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "simple",
	.fops = &simple_operations,
};

static void simple_free(void)
{
	struct simple_item *item, *next;

	list_for_each_entry_safe(item, next, &simple_items, link)
		kfree(item);
}

static int __init simple_init(void)
{
	unsigned int i;

	BUILD_BUG_ON(sizeof(struct simple_item) != 64);
	for (i = 0; i < items; i++) {
		struct simple_item *item = kzalloc(sizeof(*item), GFP_KERNEL);

		if (!item) {
			simple_free();
			return -ENOMEM;
		}
		item->value = i;
		list_add_tail(&item->link, &simple_items);
	}
	return misc_register(&simple_device);
}

static void __exit simple_exit(void)
{
	misc_deregister(&simple_device);
	simple_free();
}

module_init(simple_init);
module_exit(simple_exit);

MODULE_DESCRIPTION("What the examples of the Python API debug");
MODULE_LICENSE("GPL");
