// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * warns - its init warns, and then goes on. For debuggers that stop on warnings.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bug.h>
#include <linux/init.h>
#include <linux/module.h>

static int __init warns_init(void)
{
	WARN_ON(1);
	pr_info("went on\n");
	return 0;
}

static void __exit warns_exit(void)
{
	pr_info("unloaded\n");
}

module_init(warns_init);
module_exit(warns_exit);

MODULE_DESCRIPTION("A module whose init warns, for tests");
MODULE_LICENSE("GPL");
