// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* provider - exports a function and a variable that consumer uses: it has to be loaded first and unloaded last. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/init.h>
#include <linux/module.h>

#include "provider.h"

int provider_calls;
EXPORT_SYMBOL_GPL(provider_calls);

noinline int provider_add(int left, int right)
{
	int sum = left + right;

	provider_calls++;
	pr_info("%d + %d is %d\n", left, right, sum);
	return sum;
}
EXPORT_SYMBOL_GPL(provider_add);

static int __init provider_init(void)
{
	provider_calls = 0;
	pr_info("loaded\n");
	return 0;
}

static void __exit provider_exit(void)
{
	pr_info("unloaded after %d calls\n", provider_calls);
}

module_init(provider_init);
module_exit(provider_exit);

MODULE_DESCRIPTION("Exports a symbol, for tests");
MODULE_LICENSE("GPL");
