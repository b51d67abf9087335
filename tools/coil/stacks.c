/* The C functions on a suspended task's stack, by elfutils.
 *
 * It takes what the task's last switch has saved as the registers of a thread, reads the stack through our own
 * memory, and finds unwind and debug information in the files that the program has mapped. The process is
 * not attached to. */
#include "show.h"

#include <elfutils/libdwfl.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include "tasks/task.h"

enum {
    FUNCTIONS_MAX = 200,
    PLACE_BYTES = 512,
};

/* The only one there is: of the program that the command looks at. */
static struct {
    Dwfl *dwfl;
    Elf *core;
    bool tried;
    struct target *target;
    uint64_t sp; /* of the task in question */
} walker;

/* ---- a task as a thread ------------------------------------------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
    (void)dwfl;
    if (*thread_arg)
        return 0;
    *thread_arg = arg;
    return 1;
}

static bool read_word(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *word, void *arg)
{
    (void)dwfl;
    (void)arg;
    return walker.target->memory.read(&walker.target->memory, address, word, sizeof *word);
}

static bool set_register(Dwfl_Thread *thread, int number, Dwarf_Word value)
{
    return dwfl_thread_state_registers(thread, number, 1, &value);
}

/* See switch_x86_64.S. */
static bool set_x86_64(Dwfl_Thread *thread)
{
    static const int kept[] = {
        15, 14, 13, 12, 3, 6
    }; /* r15...r12, rbx, rbp, in the words of DWARF */
    Dwarf_Word words[7];
    if (!walker.target->memory.read(&walker.target->memory, walker.sp, words, sizeof words))
        return false;
    for (size_t i = 0; i < 6; i++)
        if (!set_register(thread, kept[i], words[i]))
            return false;
    dwfl_thread_state_register_pc(thread, words[6]);
    return set_register(thread, 7, walker.sp + sizeof words) && set_register(thread, 16, words[6]);
}

/* See switch_aarch64.S. */
static bool set_aarch64(Dwfl_Thread *thread)
{
    Dwarf_Word words[12]; /* x19...x30 */
    if (!walker.target->memory.read(&walker.target->memory, walker.sp, words, sizeof words) ||
        !dwfl_thread_state_registers(thread, 19, 12, words) ||
        !set_register(thread, 31, walker.sp + 160))
        return false;
    dwfl_thread_state_register_pc(thread, words[11]);
    return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
    (void)arg;
    switch (walker.target->layout.saved) {
    case COIL__SAVED_X86_64:
        return set_x86_64(thread);
    case COIL__SAVED_AARCH64:
        return set_aarch64(thread);
    default:
        return false;
    }
}

/* ---- the program's files ------------------------------------------------------------------------ */

static bool report_files(struct target *target)
{
    if (target->live)
        return dwfl_linux_proc_report(walker.dwfl, target->pid) == 0;
    (void)elf_version(EV_CURRENT);
    walker.core = elf_begin(target->fd, ELF_C_READ_MMAP, NULL);
    return walker.core && dwfl_core_file_report(walker.dwfl, walker.core, NULL) >= 0;
}

static void open_stacks(struct target *target)
{
    static char *no_path;
    static const Dwfl_Callbacks live = { .find_elf = dwfl_linux_proc_find_elf,
                                         .find_debuginfo = dwfl_standard_find_debuginfo,
                                         .debuginfo_path = &no_path };
    static const Dwfl_Callbacks dead = { .find_elf = dwfl_build_id_find_elf,
                                         .find_debuginfo = dwfl_standard_find_debuginfo,
                                         .debuginfo_path = &no_path };
    static const Dwfl_Thread_Callbacks threads = { .next_thread = next_thread,
                                                   .memory_read = read_word,
                                                   .set_initial_registers = set_registers };
    walker.tried = true;
    walker.target = target;
    (void)unsetenv("DEBUGINFOD_URLS"); /* a look at a process is no reason to ask the network */
    walker.dwfl = dwfl_begin(target->live ? &live : &dead);
    if (!walker.dwfl)
        return;
    bool reported = report_files(target);
    if (dwfl_report_end(walker.dwfl, NULL, NULL) == 0 && reported &&
        dwfl_attach_state(walker.dwfl, walker.core, 1, &threads, &walker))
        return;
    close_stacks();
    walker.tried = true;
}

void close_stacks(void)
{
    if (walker.dwfl)
        dwfl_end(walker.dwfl);
    if (walker.core)
        elf_end(walker.core);
    memset(&walker, 0, sizeof walker);
}

bool has_stacks(void)
{
    return true;
}

/* ---- walking ------------------------------------------------------------------------------------ */

struct walk {
    stack_fn *fn;
    void *arg;
    int count;
};

/* The functions in which every task begins. */
static bool is_entry(const char *function)
{
    return strcmp(function, "task_main") == 0 || strcmp(function, "run_body") == 0 ||
           strcmp(function, "body_main") == 0 || strcmp(function, "coil__switch_first") == 0;
}

/* What addr2line wants, where there is no name. */
static const char *name_place(Dwfl_Module *module, Dwarf_Addr pc, char text[PLACE_BYTES])
{
    Dwarf_Addr start = 0;
    const char *path = module ? dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL)
                              : NULL;
    snprintf(text, PLACE_BYTES, "%s+0x%llx", path ? path : "nowhere",
             (unsigned long long)(pc - start));
    return text;
}

static int take_function(Dwfl_Frame *frame, void *arg)
{
    struct walk *walk = arg;
    Dwarf_Addr pc;
    if (!dwfl_frame_pc(frame, &pc, NULL) || walk->count++ >= FUNCTIONS_MAX)
        return DWARF_CB_ABORT;
    pc--; /* all are return addresses, the first included: the call stands before */
    Dwfl_Module *module = dwfl_addrmodule(walker.dwfl, pc);
    const char *function = module ? dwfl_module_addrname(module, pc) : NULL;
    Dwfl_Line *source = module ? dwfl_module_getsrc(module, pc) : NULL;
    int line = 0;
    const char *file = source ? dwfl_lineinfo(source, NULL, &line, NULL, NULL, NULL) : NULL;
    if (function && is_entry(function))
        return DWARF_CB_ABORT;
    if (function && strncmp(function, "coil__", strlen("coil__")) == 0)
        return DWARF_CB_OK; /* how the library waits is of no interest */
    char place[PLACE_BYTES];
    walk->fn(walk->arg, function ? function : name_place(module, pc, place), file, line);
    return DWARF_CB_OK;
}

void walk_stack(struct target *target, uint64_t task, stack_fn *fn, void *arg)
{
    uint8_t flags;
    uintptr_t sp;
    if (!walker.tried)
        open_stacks(target);
    if (!walker.dwfl ||
        !target->memory.read(&target->memory, task + target->layout.task_flags, &flags,
                             sizeof flags) ||
        !target->memory.read(&target->memory, task + target->layout.task_sp, &sp, sizeof sp) ||
        !(flags & COIL__TASK_STARTED) || flags & COIL__TASK_NESTED || !sp)
        return;
    walker.sp = sp;
    struct walk walk = { fn, arg, 0 };
    (void)dwfl_getthread_frames(walker.dwfl, 1, take_function, &walk); /* where it ends, it ends */
}
