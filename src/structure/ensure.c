/* ensure_future: anything that can be awaited, as a future. */
#include "structure/ensure.h"

#include "base/error.h"
#include "tasks/task.h"

void coil__awaitables_drop(void *const *awaitables, size_t from, size_t count)
{
    for (size_t i = from; i < count; i++) {
        size_t first = 0;
        while (awaitables[first] != awaitables[i])
            first++;
        if (first == i)
            coil__awaitable_drop(awaitables[i]);
    }
}

static int wait_for_awaitable(void *args, coil_value *coil_result)
{
    coil_awaitable *awaitable = *(coil_awaitable **)args;
    return awaitable->wait(awaitable, coil_result);
}

static const coil_coro_type awaitable_type = { "awaitable", wait_for_awaitable, __FILE__, __LINE__,
                                               NULL };

coil_future *coil_ensure_future(coil_loop *loop, void *awaitable)
{
    if (!awaitable)
        return NULL; /* the constructor that gave NULL has said why */
    switch (coil__kind_of(awaitable)) {
    case COIL__KIND_FUTURE:
    case COIL__KIND_TASK:
        if (loop && ((coil_future *)awaitable)->loop != loop) {
            coil__fail(COIL_EINVAL, "the future belongs to another loop");
            return NULL;
        }
        return coil_ref(awaitable);
    case COIL__KIND_CORO:
        return coil_create_task_with(loop, awaitable, NULL);
    case COIL__KIND_AWAITABLE:
        return coil_create_task_with(
            loop, coil_coro_new(&awaitable_type, &awaitable, sizeof awaitable), NULL);
    default:
        return coil__fail_null(COIL_ETYPE);
    }
}
