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

#endif
