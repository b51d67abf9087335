/* The portable switch, and the explanation of the other two.
 *
 * A context switch is a function that two stacks are inside of at once: one calls it, the other
 * returns from it. What a suspended coroutine still needs, its registers, is put on its own stack,
 * and a pointer to that is all that anybody must remember of it. Here the registers are a
 * ucontext_t and swapcontext does the work. The assembly variants push the six (x86-64) or twenty
 * (aarch64) registers that a function must keep for its caller; the compiler knows that every call
 * loses all others.
 *
 * What it costs: swapcontext also saves and restores the signal mask by a system call, about a
 * hundred times the price of the registers, and the floating-point control words. So a mask that
 * one coroutine sets is not seen by the others, which under the assembly variants it is. */
#include "platform/switch.h"

#ifdef COIL__SWITCH_UCONTEXT

#include <assert.h>
#include <ucontext.h>

struct suspended {
    ucontext_t context;
    intptr_t value; /* left here by the switch that resumes this stack */
};

/* At the top of a fresh stack: a suspended state like any other, whose next step is `begin`. */
struct first_frame {
    struct suspended state;
    void (*entry)(void *arg, intptr_t value);
    void *arg;
};

intptr_t coil__switch(void **save, void *load, intptr_t value)
{
    struct suspended here;
    struct suspended *there = load;

    /* swapcontext leaves this field alone, and ASan's wrapper of it looks. */
    here.context.uc_stack = (stack_t){ .ss_sp = NULL };
    there->value = value;
    *save = &here;
    int rc = swapcontext(&here.context, &there->context);
    assert(rc == 0);
    (void)rc;
    return here.value;
}

/* makecontext passes on nothing but ints, so the pointer comes in two halves. */
static void begin(unsigned high, unsigned low)
{
    struct first_frame *first = (struct first_frame *)(uintptr_t)((uint64_t)high << 32 | low);
    first->entry(first->arg, first->state.value);
    __builtin_trap(); /* entry returned */
}

void *coil__switch_prepare(void *stack_low, size_t stack_bytes,
                           void (*entry)(void *arg, intptr_t value), void *arg)
{
    uintptr_t top = (uintptr_t)stack_low + stack_bytes;
    struct first_frame *first = (struct first_frame *)((top - sizeof *first) & ~(uintptr_t)63);
    uint64_t bits = (uintptr_t)first;

    first->entry = entry;
    first->arg = arg;
    ucontext_t *context = &first->state.context;
    int rc = getcontext(context);
    assert(rc == 0);
    (void)rc;
    context->uc_stack = (stack_t){
        .ss_sp = stack_low,
        .ss_size = (uintptr_t)first - (uintptr_t)stack_low,
    };
    context->uc_link = NULL;
    makecontext(context, (void (*)(void))begin, 2, (unsigned)(bits >> 32), (unsigned)bits);
    return &first->state;
}

#endif
