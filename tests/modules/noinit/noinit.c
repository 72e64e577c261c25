// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * noinit - a module without init and exit functions: the kernel loads it and calls nothing of it.
 *
 *	echo 5 > /sys/module/noinit/parameters/value		calls noinit_set()
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int noinit_value = 42;

static int noinit_set(const char *text, const struct kernel_param *parameter)
{
	int wanted;
	int error = kstrtoint(text, 0, &wanted);

	if (!error)
		noinit_value = wanted;
	return error;
}

static const struct kernel_param_ops noinit_operations = {
	.set = noinit_set,
	.get = param_get_int,
};
module_param_cb(value, &noinit_operations, &noinit_value, 0644);
MODULE_PARM_DESC(value, "an integer with a function that is called when it is set");

MODULE_DESCRIPTION("A module without an init function, for tests");
MODULE_LICENSE("GPL");
