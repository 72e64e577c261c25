/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the two files of the module share. */
#ifndef SECTIONS_H
#define SECTIONS_H

#include <linux/percpu.h>

extern int sections_data;
extern int sections_bss;
extern const int sections_rodata[4];
extern int sections_read_mostly;
extern int sections_ro_after_init;
DECLARE_PER_CPU(int, sections_per_cpu);

int sections_hot(int amount);
int sections_rare(int amount);

#endif
