// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* failinit - a module whose init returns an error, -ENODEV unless told otherwise: insmod failinit.ko error=0 loads. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int error = ENODEV;
module_param(error, int, 0444);
MODULE_PARM_DESC(error, "the errno that init returns, 0 to succeed");

static int failinit_progress;

/* Stands in .text, not in .init.text: a breakpoint here has to go with the module when init fails. */
static noinline int failinit_probe(int step)
{
	failinit_progress = step;
	pr_info("step %d\n", step);
	return step + 1;
}

static int __init failinit_init(void)
{
	int step = failinit_probe(1);

	step = failinit_probe(step);
	pr_info("init returns %d after step %d\n", -error, step);
	return -error;
}

static void __exit failinit_exit(void)
{
	pr_info("unloaded at step %d\n", failinit_progress);
}

module_init(failinit_init);
module_exit(failinit_exit);

MODULE_DESCRIPTION("A module whose init fails, for tests");
MODULE_LICENSE("GPL");
