/* The stack switch with the sanitizers told: ASan and TSan see each stack left and entered.
 * (Valgrind finds out by itself, from the stacks that stack.c registers with it.)
 *
 * Without sanitizers coil__fiber_switch is coil__switch and nothing else. A `struct coil__stack *`
 * of NULL stands for the thread's own stack. */
#ifndef COIL_PLATFORM_FIBER_H
#define COIL_PLATFORM_FIBER_H

#include "platform/sanitizer.h"
#include "platform/stack.h"
#include "platform/switch.h"

#ifdef COIL__FIBER_ANNOTATED
/* from_dies: the stack being left will never be continued in this life of its slot (ASan drops its
 * fake frames). Otherwise the same contract as coil__switch. */
intptr_t coil__fiber_switch(void **save, struct coil__stack *from, void *load,
                            struct coil__stack *to, intptr_t value, bool from_dies);
/* The first thing an entry function does on a fresh stack. */
void coil__fiber_entered(struct coil__stack *self);
/* Called by coil__stack_give: the stack is dead, or dies in the next switch, or was suspended and
 * is dropped. */
void coil__fiber_given(struct coil__stack *stack);
/* Called when the stack is unmapped. */
void coil__fiber_gone(struct coil__stack *stack);
#else
static inline intptr_t coil__fiber_switch(void **save, struct coil__stack *from, void *load,
                                          struct coil__stack *to, intptr_t value, bool from_dies)
{
    (void)from;
    (void)to;
    (void)from_dies;
    return coil__switch(save, load, value);
}
static inline void coil__fiber_entered(struct coil__stack *self)
{
    (void)self;
}
static inline void coil__fiber_given(struct coil__stack *stack)
{
    (void)stack;
}
static inline void coil__fiber_gone(struct coil__stack *stack)
{
    (void)stack;
}
#endif

/* Leaves a stack for good: what it was is in `from`, and may have been given back. */
static inline _Noreturn void coil__fiber_leave(struct coil__stack *from, void *load,
                                               struct coil__stack *to, intptr_t value)
{
#ifdef COIL__FIBER_ANNOTATED
    void *dead;
    (void)coil__fiber_switch(&dead, from, load, to, value, true);
    __builtin_unreachable();
#else
    (void)to;
    coil__switch_leave(load, value, from->low + from->bytes);
#endif
}

/* coil__fiber_switch for codes. As a call that gives an int it can be the tail of a function that
 * returns one; gcc makes no tail call where a wider result has to be narrowed. A switch that gives a
 * code must be answered by one that passes a code. */
#ifdef COIL__FIBER_ANNOTATED
static inline int coil__fiber_switch_code(void **save, struct coil__stack *from, void *load,
                                          struct coil__stack *to, int code, bool from_dies)
{
    return (int)coil__fiber_switch(save, from, load, to, code, from_dies);
}
#else
int coil__switch_code(void **save, void *load, int code) __asm__("coil__switch");

static inline int coil__fiber_switch_code(void **save, struct coil__stack *from, void *load,
                                          struct coil__stack *to, int code, bool from_dies)
{
    (void)from;
    (void)to;
    (void)from_dies;
    return coil__switch_code(save, load, code);
}
#endif

#endif
