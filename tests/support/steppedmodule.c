// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Lines that an optimising compiler gives many rows in its line table. Only its debug info is looked at. */
static unsigned int mixed[4];

/* One line, and nothing but it. */
unsigned int straight(unsigned int seed)
{
	return (seed * 2654435761u ^ mixed[1]) + (seed << 5) - (mixed[2] >> 3) + (mixed[3] ^ 0x5bd1e995u) * (seed | 1);
}

/* A whole function on a line: a call to itself must not look like more of the line. */
unsigned int recursive(unsigned int n) { mixed[0] += n; if (n > 1) mixed[1] = recursive(n - 1) * n; return mixed[1]; }

/* Two functions on a line: code of one is not code of the other. */
unsigned int first(unsigned int n) { return n * mixed[0]; } unsigned int second(unsigned int n) { return n * mixed[1]; }

__attribute__((section(".modinfo"), used)) static const char info[] = "license=GPL\0name=" NAME;
__attribute__((section(".gnu.linkonce.this_module"))) char __this_module[1024] __attribute__((aligned(64))) = "x";
