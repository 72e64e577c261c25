/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The types and symbols of a kernel that nullmodem asks for, in the shapes they have had:
 *
 *	MEM		struct module has mem[] (since 6.4), not core_layout and init_layout
 *	PRIVATE		sect_attrs keep addresses in bin_attribute.private (since 6.14)
 *	NO_BUILD_ID	struct module has no build_id (without CONFIG_STACKTRACE_BUILD_ID)
 *	NO_SLOTS	where kgdb keeps its breakpoints is not known
 *	NO_EVENTS	kgdb has no perf events for the debug registers, and their exception no stack of its own
 */
typedef unsigned long ulong;

struct list_head { struct list_head *next, *prev; };
enum module_state { MODULE_STATE_LIVE, MODULE_STATE_COMING, MODULE_STATE_GOING, MODULE_STATE_UNFORMED };

struct attribute { const char *name; unsigned short mode; };
struct bin_attribute { struct attribute attr; ulong size; void *private; void *operations[4]; };
struct attribute_group { const char *name; void *visible[2]; struct attribute **attrs; struct bin_attribute **bin_attrs; };

#ifdef PRIVATE
struct module_sect_attrs { struct attribute_group grp; struct bin_attribute attrs[]; };
#else
struct module_sect_attr { struct bin_attribute battr; ulong address; };
struct module_sect_attrs { struct attribute_group grp; unsigned int nsections; struct module_sect_attr attrs[]; };
#endif
struct module_notes_attrs { void *dir; unsigned int notes; struct bin_attribute attrs[]; };

#ifdef MEM
enum mod_mem_type {
	MOD_TEXT, MOD_DATA, MOD_RODATA, MOD_RO_AFTER_INIT, MOD_INIT_TEXT, MOD_INIT_DATA, MOD_INIT_RODATA,
	MOD_MEM_NUM_TYPES, MOD_INVALID = -1,
};
enum mod_mem_type kinds;
struct module_memory { void *base; unsigned int size; char tree_node[56]; };
#else
struct module_layout { void *base; unsigned int size, text_size, ro_size, ro_after_init_size; char tree_node[56]; };
#endif

struct module {
	enum module_state state;
	struct list_head list;
	char name[56];
#ifndef NO_BUILD_ID
	unsigned char build_id[20];
#endif
	char sysfs_things[112];
	const char *srcversion;
	char symbols_and_parameters[112];
	int (*init)(void);
#ifdef MEM
	struct module_memory mem[MOD_MEM_NUM_TYPES] __attribute__((aligned(64)));
#else
	struct module_layout core_layout __attribute__((aligned(64)));
	struct module_layout init_layout;
#endif
	char kallsyms[104];
	struct module_sect_attrs *sect_attrs;
	struct module_notes_attrs *notes_attrs;
	char *args;
	void *percpu;
	unsigned int percpu_size;
	char rest[200];
} __attribute__((aligned(64)));

struct signal_struct { int count; struct list_head thread_head; };
struct thread_struct { char before[24]; ulong sp; };
struct inactive_task_frame { ulong r15, r14, r13, r12, bx, bp, ret_addr; };
struct task_struct {
	int on_cpu;
	char scheduling[680];
	struct list_head tasks;
	int pid, tgid;
	char families[160];
	struct list_head thread_node;
	char times[280];
	char comm[16];
	struct signal_struct *signal;
	char rest[600];
	struct thread_struct thread;
};
struct cpumask { ulong bits[1]; };

enum perf_event_state { PERF_EVENT_STATE_ERROR = -2, PERF_EVENT_STATE_OFF = -1, PERF_EVENT_STATE_ACTIVE = 1 };
struct perf_event { char lists[160]; enum perf_event_state state; char rest[900]; };
struct hw_breakpoint { unsigned int enabled; ulong addr; int len, type; struct perf_event **pev; };

struct debuggerinfo_struct { void *debuggerinfo; void *task; int exception_state, ret, depth, entered; unsigned char up; };
struct debuggerinfo_struct kgdb_info[64];
int kgdb_active = -1;	/* until a test says otherwise */

struct kgdb_bkpt { ulong bpt_addr; unsigned char saved_instr[1]; int type, state; };
#ifndef NO_SLOTS
struct kgdb_bkpt kgdb_break[1000];
#endif

struct list_head modules = { &modules, &modules };
struct module example_module;
struct module_notes_attrs *example_notes;
struct inactive_task_frame *example_frame;
struct cpumask __cpu_online_mask = { { 5 } };	/* CPUs 0 and 2 */
struct signal_struct init_signals;
#ifndef NO_EVENTS
struct perf_event example_event;
struct hw_breakpoint breakinfo[4];
__attribute__((section(".data..percpu"))) struct perf_event *bp_per_reg[4] = { &example_event };
__attribute__((section(".data..percpu"))) ulong cpu_debugreg[4] = { 1 }, nmi_dr7 = 1;
struct pt_regs { ulong r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss; };
struct cea_exception_stacks { char DF_stack[8192], DB_stack_guard[4096], DB_stack[8192], MCE_stack[8192]; };
struct pt_regs example_registers;
__attribute__((section(".data..percpu"))) struct cea_exception_stacks *cea_exception_stacks = (void *)1;
#endif
struct task_struct init_task = { .comm = "swapper", .tasks = { &init_task.tasks, &init_task.tasks } };
ulong __per_cpu_offset[64];
char init_uts_ns[400];
char init_top_pgt[4096];
__attribute__((section(".data..percpu"))) ulong fixed_percpu_data[8] = { 1 };
__attribute__((section(".data..percpu"))) struct task_struct *current_task = &init_task;
extern const char linux_banner[];
const char *const banners[] = { linux_banner, linux_banner };
__attribute__((section(".data..ro_after_init"))) int written_at_boot = 7;
const char linux_banner[] =
	"Linux version 6.1.99-fake (somebody@somewhere) (gcc 12) #1 SMP Mon Jan  1 00:00:00 UTC 2024\n";

static int module_event(void *self, ulong state, void *module) { (void)self, (void)module; return (int)state; }
int (*event_hook)(void *, ulong, void *) = module_event;
static __attribute__((noinline, used)) int do_init_module(struct module *module) { return module->init(); }
__attribute__((noinline)) void kgdb_breakpoint(void) { __asm__ volatile ("int3"); }
__attribute__((section(".init.text"))) int start_kernel(void) { kgdb_breakpoint(); return 0; }
