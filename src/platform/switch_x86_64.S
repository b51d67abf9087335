/* The switch for x86-64, System V calling convention. switch_ucontext.c says the same in C.
 *
 * A suspended stack, upwards from its saved word:
 *
 *       0  r15  r14  r13  r12  rbx  rbp     all that a function must keep for its caller
 *      48  return address                   of the call to coil__switch
 *      56  the frame of whoever made that call
 *
 * Both stacks have this shape while coil__switch runs, so its unwind information is right before
 * and after the one instruction that changes stacks.
 *
 * The way out. A processor predicts a `ret` by a private stack of the calls it has seen, which here
 * were made by the stack being left. If both stacks stand at the same call, hence likely under the
 * same chain of callers, these guesses are right for the stack being entered too: `ret` uses up the
 * one that belongs to this call, and the returns that follow find theirs. If not, `ret` is wrong
 * for certain, while an indirect `jmp` is predicted by its history. One compare picks: about 3 ns
 * among tasks in the same code and 12 to 16 in different code, depending on the processor. `jmp`
 * alone takes 12 to 16 for both, `ret` alone 19 to 24 for the second. Every frame of ours between
 * the caller and the switch would be one more return to get wrong, so the function that suspends
 * should end in a tail call to coil__switch.
 *
 * CET: a shadow stack cannot follow a switch of stacks, and an indirect jump lands behind a call,
 * where there is no endbr64. This object therefore carries no .note.gnu.property. The linker then
 * clears the SHSTK and IBT marks of the whole program or library, and they stay off at run time. */
#include "platform/switch.h"

#ifdef COIL__SWITCH_X86_64

    .text

/* intptr_t coil__switch(void **save [rdi], void *load [rsi], intptr_t value [rdx]) */
    .globl  coil__switch
    .hidden coil__switch
    .type   coil__switch, @function
    .p2align 4
coil__switch:
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0

    movq    48(%rsp), %r8           /* where the stack being left stands ... */
    movq    48(%rsi), %rcx          /* ... and the one being entered */
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp              /* here we change stacks */
    movq    %rdx, %rax

    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp

    cmpq    %r8, %rcx
    jne     1f
    ret
1:  addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmp     *%rcx
    .cfi_endproc
    .size   coil__switch, . - coil__switch

/* The outermost frame of every coroutine: goes to entry [r13] with arg [r12] and the value of the
 * first switch [rax]. It has no caller, and says so to unwinders.
 *
 * It does not call entry but puts a return address there and jumps: a call would lie on the
 * processor's private stack above those of whoever entered this one, who often is who goes on when
 * the coroutine ends, and would find all its returns off by one. For coil__switch_last it keeps, at
 * the very top, which stack that was [the word that coil__switch has stored at rdi].
 *
 * Unwinders look a return address up one byte early, to find the call before it. The return address
 * of a stack that never ran is where we begin; so we begin behind a nop, and what they find is
 * ours. The same goes for the return address of entry. */
    .type   coil__switch_first, @function
    .p2align 4
coil__switch_first:
    .cfi_startproc
    .cfi_def_cfa rsp, 0
    .cfi_undefined rip
    nop
    movq    (%rdi), %r8
    movq    %r8, (%rsp)
    leaq    1f(%rip), %r9
    pushq   %r9
    .cfi_adjust_cfa_offset 8
    movq    %r12, %rdi
    movq    %rax, %rsi
    jmp     *%r13
    .cfi_adjust_cfa_offset -8
    nop
1:  ud2                             /* entry returned */
    .cfi_endproc
    .size   coil__switch_first, . - coil__switch_first

/* The last switch of a stack: void *load [rdi], intptr_t value [rsi], void *top [rdx]. Jumped to, not
 * called, see switch.h; so if the stack being entered is the one that entered this one, and nothing
 * has run in between that left calls behind, the private stack is as it was then, and `ret` is right,
 * and so are all returns that follow (measured: 37 of the 118 ns of a spawn and join).
 *
 * All along rdi points to what the stack being entered has saved, which stays where it is. */
    .globl  coil__switch_last
    .hidden coil__switch_last
    .type   coil__switch_last, @function
    .p2align 4
coil__switch_last:
    .cfi_startproc
    .cfi_def_cfa rdi, 56
    .cfi_offset rbp, -16
    .cfi_offset rbx, -24
    .cfi_offset r12, -32
    .cfi_offset r13, -40
    .cfi_offset r14, -48
    .cfi_offset r15, -56
    andq    $-16, %rdx
    movq    -16(%rdx), %r8          /* which stack entered this one */
    movq    %rdi, %rsp              /* here we change stacks */
    movq    %rsi, %rax
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    cmpq    %r8, %rdi
    jne     1f
    ret
1:  popq    %rcx
    jmp     *%rcx
    .cfi_endproc
    .size   coil__switch_last, . - coil__switch_last

/* void *coil__switch_prepare(void *stack_low [rdi], size_t stack_bytes [rsi], entry [rdx], arg
 * [rcx])
 *
 * The frame ends at a multiple of 16, as the stack must stand before the call of entry. Above it is
 * room for what coil__switch_first keeps. rbp is zero for those who follow frame pointers. */
    .globl  coil__switch_prepare
    .hidden coil__switch_prepare
    .type   coil__switch_prepare, @function
    .p2align 4
coil__switch_prepare:
    .cfi_startproc
    leaq    (%rdi, %rsi), %rax
    andq    $-16, %rax
    subq    $72, %rax
    leaq    coil__switch_first+1(%rip), %r8
    xorl    %r9d, %r9d
    movq    %r9, (%rax)             /* r15 */
    movq    %r9, 8(%rax)            /* r14 */
    movq    %rdx, 16(%rax)          /* r13 */
    movq    %rcx, 24(%rax)          /* r12 */
    movq    %r9, 32(%rax)           /* rbx */
    movq    %r9, 40(%rax)           /* rbp */
    movq    %r8, 48(%rax)           /* return address */
    ret
    .cfi_endproc
    .size   coil__switch_prepare, . - coil__switch_prepare

#endif

#ifdef __ELF__
    .section .note.GNU-stack, "", %progbits
#endif
