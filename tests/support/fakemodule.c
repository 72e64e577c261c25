/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A .ko as far as its shape goes: the sections, symbols and modinfo of one, and nothing that runs. */
#define SECTION(name) __attribute__((section(name), used))

SECTION(".modinfo") static const char info[] =
	"license=GPL\0srcversion=0123456789ABCDEF0123456\0depends=first,second\0"
	"parmtype=number:int\0parm=number:a plain integer\0parm=other:described only\0"
	"name=" NAME "\0vermagic=6.1.99-fake SMP mod_unload ";
SECTION("__versions") static const char versions[64] = "crc";
SECTION(".data..percpu") int counted[4] = { 1 };
SECTION(".data..read_mostly") static int mostly = 4;
SECTION(".init.data") static int start = 5;
int data = 1;
int bss[9];
const int rodata[5] = { 3 };

int hot(int value) { return value + data + mostly; }
SECTION(".text.unlikely") static __attribute__((noinline)) int rare(int value) { return value * bss[1]; }

SECTION(".init.text") static __attribute__((noinline)) int example_init(void)
{
	return start + rare(hot(counted[0]));
}

SECTION(".exit.text") static __attribute__((noinline)) void example_exit(void)
{
	bss[0] = rodata[1];
}

int init_module(void) __attribute__((alias("example_init")));
void cleanup_module(void) __attribute__((alias("example_exit")));
SECTION(".gnu.linkonce.this_module") char __this_module[1024] __attribute__((aligned(64))) = "x";

/* As module_param_cb() makes it: modinfo does not hear of it. */
static const struct {
	const char *name;
} __param_silent __attribute__((used, section("__param"))) = { "silent" };
