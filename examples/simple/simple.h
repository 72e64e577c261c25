/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the kernel module and the programs that use it agree on: the name of the device, the size of its text,
 * and its two ioctl commands.
 */
#ifndef SIMPLE_H
#define SIMPLE_H

#include <linux/ioctl.h>

#define SIMPLE_DEVICE "simple"	/* the device is /dev/simple */
#define SIMPLE_TEXT_MAX 64	/* bytes the device remembers */

#define SIMPLE_IOC_MAGIC 's'
#define SIMPLE_GET_COUNT _IOR(SIMPLE_IOC_MAGIC, 1, int)	/* how many operations so far */
#define SIMPLE_SET_COUNT _IOW(SIMPLE_IOC_MAGIC, 2, int)	/* go on counting from here */

#endif
