// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * consumer - calls provider's function from its init, and again for every write to a parameter:
 *
 *	echo 5 > /sys/module/consumer/parameters/add
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "provider.h"

static int consumer_total;

static noinline int consumer_use(int amount)
{
	int before = consumer_total;

	consumer_total = provider_add(before, amount);
	return consumer_total - before;
}

static int add_set(const char *text, const struct kernel_param *parameter)
{
	int amount;
	int error = kstrtoint(text, 0, &amount);

	if (error)
		return error;
	consumer_use(amount);
	return 0;
}

static const struct kernel_param_ops add_operations = {
	.set = add_set,
	.get = param_get_int,
};
module_param_cb(add, &add_operations, &consumer_total, 0644);
MODULE_PARM_DESC(add, "written: add this; read: the total");

static int __init consumer_init(void)
{
	int result = consumer_use(40);

	pr_info("loaded: %d, provider was called %d times\n", result, provider_calls);
	return 0;
}

static void __exit consumer_exit(void)
{
	pr_info("unloaded with %d\n", consumer_total);
}

module_init(consumer_init);
module_exit(consumer_exit);

MODULE_DESCRIPTION("Uses another module's symbol, for tests");
MODULE_LICENSE("GPL");
