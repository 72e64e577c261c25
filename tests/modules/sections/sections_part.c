// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The second file of the module: a function in .text and one in .text.unlikely. */
#include <linux/compiler.h>
#include <linux/printk.h>

#include "sections.h"

/* A static of the same name stands in no other file: found only through this file's debug information. */
static int part_calls;

noinline int sections_hot(int amount)
{
	int total = amount + sections_read_mostly;

	part_calls++;
	this_cpu_add(sections_per_cpu, 1);
	sections_data += amount;
	return total;
}

noinline __cold int sections_rare(int amount)
{
	int twice = 2 * amount;

	part_calls++;
	pr_warn("sections: %d is rare, call %d\n", amount, part_calls);
	return twice;
}
