/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What provider.ko offers to other modules. */
#ifndef PROVIDER_H
#define PROVIDER_H

extern int provider_calls;
int provider_add(int left, int right);

#endif
