// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * faulty - a device that does wrong when it is asked to: write "warn", "oops" or "panic" to /dev/faulty.
 *
 * With warn_at_exit=1 unloading it makes a warning, too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/string.h>
#include <linux/uaccess.h>

static bool warn_at_exit;
module_param(warn_at_exit, bool, 0444);
MODULE_PARM_DESC(warn_at_exit, "make a warning in the exit function");

static noinline int faulty_do(const char *what)
{
	if (sysfs_streq(what, "warn"))
		WARN(1, "asked to warn\n");
	else if (sysfs_streq(what, "oops"))
		return *(volatile int *)8;
	else if (sysfs_streq(what, "panic"))
		panic("asked to panic");
	return 0;
}

static ssize_t faulty_write(struct file *file, const char __user *buffer, size_t size, loff_t *position)
{
	char word[16] = "";

	if (copy_from_user(word, buffer, min_t(size_t, size, sizeof(word) - 1)))
		return -EFAULT;
	pr_info("asked for %s\n", word);
	faulty_do(word);
	return size;
}

static const struct file_operations faulty_operations = {
	.owner = THIS_MODULE,
	.write = faulty_write,
};

static struct miscdevice faulty_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "faulty",
	.fops = &faulty_operations,
	.mode = 0666,
};

static int __init faulty_init(void)
{
	return misc_register(&faulty_device);
}

static void __exit faulty_exit(void)
{
	misc_deregister(&faulty_device);
	WARN(warn_at_exit, "told to warn at exit\n");
}

module_init(faulty_init);
module_exit(faulty_exit);

MODULE_DESCRIPTION("A device that does wrong when asked, for tests");
MODULE_LICENSE("GPL");
