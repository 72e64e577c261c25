/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A second static function with the name of a hook, as larger kernels have: the one in debug_core.c is meant. */
static int module_event(void *self, unsigned long state, void *module) { (void)self, (void)module; return -(int)state; }
int (*other_hook)(void *, unsigned long, void *) = module_event;
