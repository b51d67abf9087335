/* The stack overflow handler.
 *
 * A stack that has just run into its guard has no room for a signal handler, hence the alternate
 * stack. The handler changes nothing about how the process ends: having had the fault described it
 * puts the default action back and returns, the faulting instruction faults again, and the kernel
 * kills as it would have done at first, with registers and stack in the core as they were. */
#include "platform/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    ALTERNATE_STACK_BYTES = 64 * 1024, /* for the handler; the kernel's frame comes on top */
};

static pthread_once_t set_up_once = PTHREAD_ONCE_INIT;
static bool switched_off; /* COIL_OVERFLOW_HANDLER=0; set once, then read */
static _Atomic(coil__overflow_describe_fn) describe_fault;

static __thread struct {
    unsigned depth;  /* thread_enter without thread_leave */
    void *alternate; /* NULL if the thread's alternate stack isn't ours */
    size_t bytes;
} this_thread;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;

    /* Codes above zero come from the kernel, about an instruction. Others were sent, by kill or
     * sigqueue, and have no address. */
    bool faulted = info->si_code > 0;
    coil__overflow_describe_fn describe = atomic_load(&describe_fault);
    if (faulted && describe)
        (void)describe(info->si_addr);

    struct sigaction by_default = { .sa_handler = SIG_DFL };
    sigaction(signal_number, &by_default, NULL);

    /* No instruction will repeat a signal that was sent. It is blocked in here, and strikes when we
     * return. */
    if (!faulted)
        raise(signal_number);
}

static void install_for(int signal_number)
{
    struct sigaction action;
    if (sigaction(signal_number, NULL, &action) != 0)
        return;
    if ((action.sa_flags & SA_SIGINFO) || action.sa_handler != SIG_DFL)
        return; /* somebody else looks after it: the application, a sanitizer */

    action = (struct sigaction){ .sa_sigaction = on_fault, .sa_flags = SA_ONSTACK | SA_SIGINFO };
    sigfillset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

static void set_up(void)
{
    const char *wanted = getenv("COIL_OVERFLOW_HANDLER");
    switched_off = wanted && strcmp(wanted, "0") == 0;
    if (switched_off)
        return;
    install_for(SIGSEGV);
    install_for(SIGBUS);
}

static size_t alternate_stack_bytes(void)
{
    size_t bytes = ALTERNATE_STACK_BYTES;
#ifdef _SC_MINSIGSTKSZ
    /* The frame that the kernel pushes grows with the vector registers of the CPU. */
    long frame_bytes = sysconf(_SC_MINSIGSTKSZ);
    if (frame_bytes > 0)
        bytes += (size_t)frame_bytes;
#endif
    return bytes;
}

static void put_up_alternate_stack(void)
{
    stack_t present;
    if (sigaltstack(NULL, &present) != 0 || !(present.ss_flags & SS_DISABLE))
        return;

    size_t bytes = alternate_stack_bytes();
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    stack_t ours = { .ss_sp = memory, .ss_size = bytes };
    if (sigaltstack(&ours, NULL) != 0) {
        munmap(memory, bytes);
        return;
    }
    this_thread.alternate = memory;
    this_thread.bytes = bytes;
}

/* If the application has put its own in place of ours meanwhile, that one stays. */
static void take_down_alternate_stack(void)
{
    stack_t present, none = { .ss_flags = SS_DISABLE };
    if (sigaltstack(NULL, &present) != 0)
        return;
    if (present.ss_sp == this_thread.alternate && sigaltstack(&none, NULL) != 0)
        return; /* running on it: it has to stay */
    munmap(this_thread.alternate, this_thread.bytes);
    this_thread.alternate = NULL;
}

void coil__overflow_thread_enter(coil__overflow_describe_fn describe)
{
    atomic_store(&describe_fault, describe);
    pthread_once(&set_up_once, set_up);
    if (this_thread.depth++ == 0 && !switched_off)
        put_up_alternate_stack();
}

void coil__overflow_thread_leave(void)
{
    if (--this_thread.depth == 0 && this_thread.alternate)
        take_down_alternate_stack();
}

static void write_all(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0)
            return; /* nobody left to tell */
        text += written;
        length -= (size_t)written;
    }
}

void coil__overflow_puts(const char *text)
{
    write_all(text, strlen(text));
}

void coil__overflow_putu(size_t number)
{
    char digits[3 * sizeof number];
    char *first = digits + sizeof digits;

    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    write_all(first, (size_t)(digits + sizeof digits - first));
}
