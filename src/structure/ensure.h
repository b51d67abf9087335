/* What the calls that take awaitables share. */
#ifndef COIL_STRUCTURE_ENSURE_H
#define COIL_STRUCTURE_ENSURE_H

#include <coil/coro.h>

/* Gives up an awaitable that a failing call was handed: of a coroutine, which is consumed, nothing will
 * run. NULL is allowed. */
static inline void coil__awaitable_drop(void *awaitable)
{
    if (awaitable && coil_is_coroutine(awaitable))
        (void)coil_coro_close(awaitable); /* it never ran: nothing to hear */
}

/* Gives up those from `from` on, each once; those before it have been consumed. */
void coil__awaitables_drop(void *const *awaitables, size_t from, size_t count);

#endif
