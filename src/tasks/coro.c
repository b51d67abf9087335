#include "tasks/task.h"

#include <assert.h>
#include <string.h>
#include "base/error.h"

/* ---- life --------------------------------------------------------------------------------------- */

/* Behind the arguments: the return address of the call that made the coroutine. */
static size_t place_offset(size_t arg_bytes)
{
    return (arg_bytes + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
}

static const void **place_of(coil_coro *coro)
{
    return (const void **)(void *)(coro->args + place_offset(coro->arg_bytes));
}

static size_t coro_bytes(size_t arg_bytes, bool placed)
{
    return sizeof(coil_coro) +
           (placed ? place_offset(arg_bytes) + sizeof(const void *) : arg_bytes);
}

static struct coil__driver *driver_of(const coil_coro *coro)
{
    return coro->object.flags & COIL__CORO_DRIVEN ? coro->owner : NULL;
}

/* Where a coroutine was made, as well as the debug information at hand tells: a symbol, or the offset that
 * addr2line wants. */
static const char *describe_place(const coil_coro *coro, char text[COIL__PLACE_BYTES])
{
    if (!(coro->object.flags & COIL__CORO_PLACED))
        return NULL;
    return coil__place_describe(*place_of((coil_coro *)(uintptr_t)coro), text);
}

static void report_never_awaited(const coil_coro *coro)
{
    char place[COIL__PLACE_BYTES];
    coil_report report = { .size = sizeof report,
                           .event = COIL_EVENT_NEVER_AWAITED,
                           .message = "coroutine was never awaited:",
                           .name = coro->type->name,
                           .place = describe_place(coro, place) };
    coil__log(coil__thread.loop, COIL_LOG_WARNING, &report);
}

static int close_driven(coil_coro *coro);
static void driver_free(struct coil__driver *driver);

static void coro_destroy(void *object)
{
    coil_coro *coro = object;
    if (coro->object.state == COIL__CORO_CREATED) {
        report_never_awaited(coro);
        coil__coro_end(coro);
    }
    struct coil__driver *driver = driver_of(coro);
    if (driver) {
        if (!driver->ended)
            (void)close_driven(coro); /* nobody is left to hear of an error of its cleanup */
        driver_free(driver);
    }
    coil__block_give(coro, coro_bytes(coro->arg_bytes, coro->object.flags & COIL__CORO_PLACED));
}

static const struct coil__type coro_type = { COIL__KIND_CORO, "coroutine", coro_destroy };

coil_coro *coil_coro_new(const coil_coro_type *type, const void *args, size_t bytes)
{
    if (bytes > UINT32_MAX / 2)
        return coil__fail_null(COIL_EINVAL);
    coil_loop *loop = coil__thread.loop;
    bool placed = loop && loop->debug;
    coil_coro *coro = coil__block_take(coro_bytes(bytes, placed));
    if (COIL_UNLIKELY(!coro))
        return coil__fail_null(COIL_ENOMEM);
    coil__object_init(&coro->object, &coro_type);
    coro->object.state = COIL__CORO_CREATED;
    coro->type = type;
    coro->arg_bytes = (uint32_t)bytes;
    if (bytes > 0)
        memcpy(coro->args, args, bytes);

    if (COIL_UNLIKELY(placed)) {
        coro->object.flags |= COIL__CORO_PLACED;
        *place_of(coro) = __builtin_return_address(0);
    }
    if (loop) {
        coil__list_append(&loop->coros, &coro->unused);
    } else {
        coro->unused.next = coro->unused.prev = NULL;
    }
    return coro;
}

int coil__coro_refuse(coil_coro *coro)
{
    char place[COIL__PLACE_BYTES];
    const char *made = describe_place(coro, place);
    return coil__fail(COIL_EREUSED, "coroutine '%s', defined at %s:%d%s%s", coro->type->name,
                      coro->type->file, coro->type->line, made ? ", made at " : "",
                      made ? made : "");
}

void coil__coro_end_unrun(coil_coro *coro)
{
    if (coro->object.state == COIL__CORO_CREATED && coil__list_linked(&coro->unused))
        coil__list_remove(&coro->unused);
    if (coro->object.state != COIL__CORO_CLOSED && coro->type->drop)
        coro->type->drop(coro->args);
}

/* The loop is going; the objects stay their owners', who may still close them. */
void coil__coros_report_unused(coil_loop *loop)
{
    while (!coil__list_empty(&loop->coros)) {
        coil_coro *coro = COIL__CONTAINER(loop->coros.next, coil_coro, unused);
        coil__list_remove(&coro->unused);
        report_never_awaited(coro);
    }
}

/* ---- asking ------------------------------------------------------------------------------------- */

bool coil_is_coroutine(const void *object)
{
    return object && coil__kind_of(object) == COIL__KIND_CORO;
}

const char *coil_coro_name(const coil_coro *coro)
{
    return coro->type->name;
}

coil_coro_state coil_coro_get_state(const coil_coro *coro)
{
    switch (coro->object.state) {
    case COIL__CORO_CREATED:
        return COIL_CORO_CREATED;
    case COIL__CORO_CLOSED:
        return COIL_CORO_CLOSED;
    }
    while (coro->caller)
        coro = coro->caller; /* to the one that is driven, or the task's own */
    if (driver_of(coro))
        return driver_of(coro)->running ? COIL_CORO_RUNNING : COIL_CORO_SUSPENDED;
    const struct coil__task *task = coro->owner;
    if (!task)
        return COIL_CORO_SUSPENDED; /* a generator's, between two items */
    if (task == coil__thread.task)
        return COIL_CORO_RUNNING;
    return task->flags & COIL__TASK_STARTED ? COIL_CORO_SUSPENDED : COIL_CORO_CREATED;
}

/* ---- driving by hand ---------------------------------------------------------------------------- */

/* Stacks for coroutines driven by hand do not belong to any loop. */
static __thread struct coil__stack_pool driver_stacks;
static __thread size_t driver_count;

static void driver_free(struct coil__driver *driver)
{
    coil_unref(driver->awaits);
    coil_value_clear(&driver->value);
    if (driver->stack)
        coil__stack_give(driver->pool, driver->stack);
    if (--driver_count == 0)
        coil__stack_pool_fini(&driver_stacks);
    coil__free(driver);
}

static void driver_main(void *arg, intptr_t value)
{
    struct coil__driver *driver = arg;
    coil_coro *coro = driver->coro;
    (void)value;
    coil__fiber_entered(driver->stack);
    driver->innermost = coro;
    driver->rc = coil__coro_call(coro, &driver->value);
    driver->innermost = NULL;
    driver->ended = true;
    coil__coro_end(coro);
    struct coil__return back = driver->resumer;
    coil__fiber_leave(driver->stack, back.sp, back.stack, 0);
}

static int make_driver(coil_coro *coro)
{
    struct coil__driver *driver = coil__alloc_zero(sizeof *driver);
    if (!driver)
        return coil__fail_plain(COIL_ENOMEM);
    if (driver_count++ == 0)
        coil__stack_pool_init(&driver_stacks);
    driver->pool = &driver_stacks;
    driver->stack = coil__stack_take(driver->pool, 0);
    int rc = driver->stack ? coil__coro_start(coro) : coil__fail_plain(COIL_ENOMEM);
    if (rc < 0) {
        driver_free(driver);
        return rc;
    }
    assert(driver->stack);
    driver->coro = coro;
    driver->sp = coil__switch_prepare(driver->stack->low, driver->stack->bytes, driver_main,
                                      driver);
    coro->object.flags |= COIL__CORO_DRIVEN;
    coro->owner = driver;
    return 0;
}

static void resume(struct coil__driver *driver)
{
    struct coil__driver *outer = coil__thread.driver;
    coil_unref(driver->awaits);
    driver->awaits = NULL;
    driver->resumer.stack = coil__running_stack();
    driver->running = true;
    coil__thread.driver = driver;
    (void)coil__fiber_switch(&driver->resumer.sp, driver->resumer.stack, driver->sp, driver->stack,
                             0, false);
    coil__thread.driver = outer;
    driver->running = false;
}

/* An await of a coroutine that is being closed. One that does not want to end is left where it is: what it
 * owns is lost, and close_driven says so. */
static int refuse_to_suspend(struct coil__driver *driver)
{
    if (++driver->refused < COIL__CLOSING_AWAITS_MAX)
        return coil__fail_plain(COIL_ECLOSING);
    struct coil__return back = driver->resumer;
    (void)coil__fiber_switch(&driver->sp, driver->stack, back.sp, back.stack, 0, true);
    __builtin_unreachable();
}

int coil__driver_suspend(struct coil__driver *driver, coil_future *future)
{
    if (driver->closing)
        return refuse_to_suspend(driver);
    driver->awaits = coil_ref(future);
    struct coil__return back = driver->resumer;
    (void)coil__fiber_switch(&driver->sp, driver->stack, back.sp, back.stack, 0, false);
    int thrown = driver->thrown;
    driver->thrown = 0;
    return thrown;
}

/* After a resume: 1 suspended, 0 or the code it ended with. */
static int outcome(struct coil__driver *driver, coil_value *value_out)
{
    if (!driver->ended)
        return 1;
    coil__stack_give(driver->pool, driver->stack);
    driver->stack = NULL;
    if (driver->rc >= 0 && value_out) {
        *value_out = driver->value;
        driver->value = coil_nil();
    }
    coil_value_clear(&driver->value);
    return driver->rc < 0 ? driver->rc : 0;
}

/* 0 if the coroutine can be resumed by hand. */
static int check_resumable(coil_coro *coro)
{
    if (coro->object.state == COIL__CORO_CLOSED)
        return coil__fail(COIL_EREUSED, "coroutine '%s' has ended", coro->type->name);
    if (coro->object.state == COIL__CORO_STARTED && (!driver_of(coro) || driver_of(coro)->running))
        return coil__fail(COIL_ERUNTIME, "coroutine '%s' is running, or belongs to a task",
                          coro->type->name);
    return 0;
}

int coil_coro_send(coil_coro *coro, coil_value *value_out)
{
    int rc = check_resumable(coro);
    if (rc == 0 && coro->object.state == COIL__CORO_CREATED)
        rc = make_driver(coro);
    if (rc < 0)
        return rc;
    resume(driver_of(coro));
    return outcome(driver_of(coro), value_out);
}

int coil_coro_throw(coil_coro *coro, int code, coil_value *value_out)
{
    int rc = check_resumable(coro);
    if (rc < 0)
        return rc;
    if (coro->object.state == COIL__CORO_CREATED) {
        coil__coro_end(coro);
        return code;
    }
    driver_of(coro)->thrown = code;
    resume(driver_of(coro));
    return outcome(driver_of(coro), value_out);
}

coil_future *coil_coro_awaits(const coil_coro *coro)
{
    return driver_of(coro) ? driver_of(coro)->awaits : NULL;
}

/* Ends a coroutine that goes on awaiting although it is being closed. */
static void give_up(struct coil__driver *driver)
{
    coil_report report = { .size = sizeof report,
                           .event = COIL_EVENT_CLOSE_IGNORED,
                           .message =
                               "a coroutine that is being closed goes on awaiting; it is given up:",
                           .name = driver->coro->type->name };
    driver->innermost = NULL;
    driver->ended = true;
    coil__coro_end(driver->coro);
    coil_call_exception_handler(NULL, &report);
    driver->rc = coil__fail(COIL_ERUNTIME, "coroutine '%s' ignored that it is being closed",
                            driver->coro->type->name);
}

/* Resumes a suspended coroutine for the last time. */
static int close_driven(coil_coro *coro)
{
    struct coil__driver *driver = driver_of(coro);
    driver->closing = true;
    driver->thrown = COIL_ECLOSING;
    resume(driver);
    if (!driver->ended)
        give_up(driver);
    int rc = outcome(driver, NULL);
    return rc == COIL_ECLOSING || rc == COIL_ECANCELED ? 0 : rc;
}

int coil_coro_close(coil_coro *coro)
{
    int rc = 0;
    if (!coro)
        return 0;
    if (coro->object.state == COIL__CORO_CREATED)
        coil__coro_end(coro);
    else if (coro->object.state == COIL__CORO_STARTED &&
             (!driver_of(coro) || driver_of(coro)->running))
        rc = coil__fail(COIL_ERUNTIME, "coroutine '%s' is running, or belongs to a task",
                        coro->type->name);
    else if (driver_of(coro) && !driver_of(coro)->ended)
        rc = close_driven(coro);
    coil__unref(&coro->object);
    return rc;
}
