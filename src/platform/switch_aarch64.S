/* The switch for 64-bit ARM, AAPCS64. switch_ucontext.c says the same in C.
 *
 * A suspended stack, upwards from its saved word:
 *
 *       0  x19 .. x28                  all that a function must keep for its caller:
 *      80  x29 (frame pointer)  x30    x30 is the return address of the call to coil__switch
 *      96  d8 .. d15
 *     160  the frame of whoever made that call
 *
 * Both stacks have this shape while coil__switch runs, so its unwind information is right before
 * and after the one instruction that changes stacks.
 *
 * The way out is always `ret`. That `br` pays between different code, as its like does on x86-64,
 * has not been measured on these processors, and `ret` needs no landing pad under BTI. This object
 * makes no BTI or PAC claim (no .note.gnu.property); the linker then leaves BTI off for the whole
 * program or library. Callers built with return-address signing work: a signed address lies in
 * their frame and never reaches x30 here. */
#include "platform/switch.h"

#ifdef COIL__SWITCH_AARCH64

    .text

    .macro  keep one, other, at
    stp     \one, \other, [sp, #\at]
    .cfi_rel_offset \one, \at
    .cfi_rel_offset \other, \at + 8
    .endm

    .macro  bring_back one, other, at
    ldp     \one, \other, [sp, #\at]
    .cfi_restore \one
    .cfi_restore \other
    .endm

/* intptr_t coil__switch(void **save [x0], void *load [x1], intptr_t value [x2]) */
    .globl  coil__switch
    .hidden coil__switch
    .type   coil__switch, %function
    .p2align 4
coil__switch:
    .cfi_startproc
    sub     sp, sp, #160
    .cfi_adjust_cfa_offset 160
    keep    x19, x20, 0
    keep    x21, x22, 16
    keep    x23, x24, 32
    keep    x25, x26, 48
    keep    x27, x28, 64
    keep    x29, x30, 80
    keep    d8, d9, 96
    keep    d10, d11, 112
    keep    d12, d13, 128
    keep    d14, d15, 144

    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1                  /* here we change stacks */
    mov     x0, x2

    bring_back x19, x20, 0
    bring_back x21, x22, 16
    bring_back x23, x24, 32
    bring_back x25, x26, 48
    bring_back x27, x28, 64
    bring_back x29, x30, 80
    bring_back d8, d9, 96
    bring_back d10, d11, 112
    bring_back d12, d13, 128
    bring_back d14, d15, 144
    add     sp, sp, #160
    .cfi_adjust_cfa_offset -160
    ret
    .cfi_endproc
    .size   coil__switch, . - coil__switch

/* The outermost frame of every coroutine: calls entry [x19] with arg [x20] and the value of the
 * first switch [x0]. It has no caller, and says so to unwinders.
 *
 * Unwinders look a return address up just before it, to find the call there. The return address of
 * a stack that never ran is where we begin; so we begin behind a nop, and what they find is
 * ours. */
    .type   coil__switch_first, %function
    .p2align 4
coil__switch_first:
    .cfi_startproc
    .cfi_undefined x30
    nop
    mov     x1, x0
    mov     x0, x20
    blr     x19
    brk     #1                      /* entry returned */
    .cfi_endproc
    .size   coil__switch_first, . - coil__switch_first

/* void *coil__switch_prepare(void *stack_low [x0], size_t stack_bytes [x1], entry [x2], arg [x3])
 *
 * x29 is zero for those who follow frame pointers. */
    .globl  coil__switch_prepare
    .hidden coil__switch_prepare
    .type   coil__switch_prepare, %function
    .p2align 4
coil__switch_prepare:
    .cfi_startproc
    add     x0, x0, x1
    and     x0, x0, #-16
    sub     x0, x0, #160
    adrp    x9, coil__switch_first + 4
    add     x9, x9, :lo12:coil__switch_first + 4
    stp     x2, x3, [x0]            /* x19 x20 */
    stp     xzr, xzr, [x0, #16]
    stp     xzr, xzr, [x0, #32]
    stp     xzr, xzr, [x0, #48]
    stp     xzr, xzr, [x0, #64]
    stp     xzr, x9, [x0, #80]      /* x29 x30 */
    stp     xzr, xzr, [x0, #96]
    stp     xzr, xzr, [x0, #112]
    stp     xzr, xzr, [x0, #128]
    stp     xzr, xzr, [x0, #144]
    ret
    .cfi_endproc
    .size   coil__switch_prepare, . - coil__switch_prepare

#endif

#ifdef __ELF__
    .section .note.GNU-stack, "", %progbits
#endif
