/* Context switch: leave one stack, continue on another.
 *
 * A suspended stack is known by one word, its stack pointer; everything else that must survive lies
 * on the stack itself. A variant is a file: switch_x86_64.S, switch_aarch64.S, and
 * switch_ucontext.c, which explains the other two. All three are compiled everywhere; the macros
 * below leave one of them with something in it. Floating-point control words are not switched, nor
 * is the signal mask (the ucontext variant cannot help switching both). */
#ifndef COIL_PLATFORM_SWITCH_H
#define COIL_PLATFORM_SWITCH_H

#if defined(COIL_USE_UCONTEXT) || !defined(__LP64__) || !defined(__ELF__)
#define COIL__SWITCH_UCONTEXT 1
#elif defined(__x86_64__)
#define COIL__SWITCH_X86_64 1
#elif defined(__aarch64__)
#define COIL__SWITCH_AARCH64 1
#else
#define COIL__SWITCH_UCONTEXT 1
#endif

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* Saves the caller's state on its stack, stores where in *save, and continues the stack whose saved
 * word is `load`. Returns when somebody switches back to *save; the result is the `value` that was
 * passed to that switch. A saved word is good for one switch. On x86-64 it is meant to be reached
 * by a tail call: see switch_x86_64.S. */
intptr_t coil__switch(void **save, void *load, intptr_t value);

/* Builds the first frame of a fresh stack. The first switch to the result calls entry(arg, value),
 * `value` being that of the switch. entry must not return. Below entry a debugger's backtrace shows
 * the few instructions that called it, and ends. */
void *coil__switch_prepare(void *stack_low, size_t stack_bytes,
                           void (*entry)(void *arg, intptr_t value), void *arg);

/* The switch of a stack that is never continued; top is stack_low + stack_bytes of
 * coil__switch_prepare. The stack may have been given up already, but its memory must still be
 * there. */
#ifdef COIL__SWITCH_X86_64
static inline _Noreturn void coil__switch_leave(void *load, intptr_t value, void *top)
{
    __asm__ volatile("jmp coil__switch_last" : : "D"(load), "S"(value), "d"(top) : "memory");
    __builtin_unreachable();
}
#else
static inline _Noreturn void coil__switch_leave(void *load, intptr_t value, void *top)
{
    void *dead;
    (void)top;
    (void)coil__switch(&dead, load, value);
    __builtin_unreachable();
}
#endif

#endif
#endif
