// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * crowd_000 - one of many modules that are loaded and do nothing. The others are copies of its file under other names.
 */
#include <linux/init.h>
#include <linux/module.h>

static int crowd_000_loads;

static int __init crowd_000_init(void)
{
	crowd_000_loads++;
	return 0;
}

static void __exit crowd_000_exit(void)
{
	crowd_000_loads--;
}

module_init(crowd_000_init);
module_exit(crowd_000_exit);

MODULE_DESCRIPTION("One of many");
MODULE_LICENSE("GPL");
