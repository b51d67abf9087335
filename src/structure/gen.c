/* Generators, and scopes made of them.
 *
 *     consumer's stack                     generator's stack
 *     coil_gen_next ---- resume ---------> body
 *                                          body ---- coil_yield ----+
 *     coil_gen_next returns <----------------------------------------+
 *
 * The switch is one of stacks, inside a step of the task. While the body runs, the task's `stack` is the
 * generator's: when it waits in there, the task is suspended with that stack, and resumed on it, and
 * nobody else has to know. So an item allocates nothing and visits no queue.
 *
 * Whoever leaves a side puts everything in order for the other one, so that both switches are tail calls:
 * no return of ours is executed in between, which the processor would predict wrong (measured: half of the
 * time of an item; see switch_x86_64.S). */
#include <coil/gen.h>

#include <string.h>
#include <coil/wait.h>
#include "base/error.h"
#include "base/value.h"
#include "structure/timeout.h"
#include "tasks/task.h"

enum gen_state {
    GEN_CREATED,   /* nothing of it has run; no stack */
    GEN_SUSPENDED, /* at a coil_yield */
    GEN_RUNNING,   /* a task is inside: runs there, or waits */
    GEN_CLOSED,    /* over; no stack */
};

enum gen_flag {
    GEN_KEPT = 1,    /* dropped half-way, and the loop has a reference until it is closed */
    GEN_TAKEN = 2,   /* coil_shutdown_asyncgens closes it */
    GEN_IGNORED = 4, /* yielded while it was being closed: when it is dropped, it is given up */
    GEN_ENDED_BY_END = 8, /* its body returned COIL_EEND */
};

struct coil_gen {
    struct coil__object object; /* .state, .flags: of the above */
    void *sp;                   /* while no task is inside */
    struct coil__stack *stack;
    struct coil__return consumer; /* while a task is inside */
    coil_gen *outer;              /* the same: what it consumes this one from; NULL: no generator */
    coil_value *out;              /* the consumer's, who may want none (NULL) */
    coil_value *sent_out;         /* the same of the body; while no task is inside */
    coil_loop *loop;              /* borrowed from the first item on: its end ends the generator */
    struct coil__link link;       /* in loop->generators while there is a stack */
    coil_task *closer; /* closes it since it was dropped; borrowed until that task is done */
    coil_async_iterator iterator;
    struct coil_coro
        coro; /* what the task shows for the body, and the arguments; must be the last */
};

/* ---- life --------------------------------------------------------------------------------------- */

/* Somebody may keep the coroutine object that coil_task_get_stack lends: the memory goes with it. */
static void coro_destroy(void *object)
{
    coil_gen *gen = COIL__CONTAINER(object, coil_gen, coro);
    coil__block_give(gen, sizeof *gen + gen->coro.arg_bytes);
}

static void drop_half_way(coil_gen *gen);
static void keep(coil_gen *gen);

static void gen_destroy(void *object)
{
    coil_gen *gen = object;
    if (gen->object.state == GEN_SUSPENDED) {
        drop_half_way(gen);
        return;
    }
    if (gen->object.state == GEN_CREATED)
        coil__coro_end(&gen->coro);
    coil__unref(&gen->coro.object);
}

static const struct coil__type gen_type = { COIL__KIND_GENERATOR, "generator", gen_destroy };
static const struct coil__type coro_type = { COIL__KIND_CORO, "coroutine", coro_destroy };

static int next_of_gen(coil_async_iterator *iterator, coil_value *value_out)
{
    return coil_gen_next(COIL__CONTAINER(iterator, coil_gen, iterator), value_out);
}

coil_gen *coil_gen_new(const coil_coro_type *type, const void *args, size_t bytes)
{
    if (bytes > UINT32_MAX / 2)
        return coil__fail_null(COIL_EINVAL);
    coil_gen *gen = coil__block_take(sizeof *gen + bytes);
    if (COIL_UNLIKELY(!gen))
        return coil__fail_null(COIL_ENOMEM);
    memset(gen, 0, sizeof *gen);
    coil__object_init(&gen->object, &gen_type);
    gen->iterator.next = next_of_gen;
    coil__object_init(&gen->coro.object, &coro_type);
    gen->coro.type = type;
    gen->coro.arg_bytes = (uint32_t)bytes;
    if (bytes > 0)
        memcpy(gen->coro.args, args, bytes);
    return gen;
}

/* ---- the body ----------------------------------------------------------------------------------- */

static const char *name_of(const coil_gen *gen)
{
    return gen->coro.type->name;
}

/* The consumer must not take it for the end. */
static int refuse_end(coil_gen *gen)
{
    gen->object.flags |= GEN_ENDED_BY_END;
    return coil_raise_from(COIL_EEND, COIL_ERUNTIME, "generator '%s' returned COIL_EEND",
                           name_of(gen));
}

/* The body is left: the task is the consumer's again. */
static inline void leave(coil_gen *gen, struct coil__task *task)
{
    task->future.generator = gen->outer;
    task->stack = gen->consumer.stack;
    task->innermost = gen->coro.caller;
    gen->coro.caller = NULL;
    gen->coro.owner = NULL;
}

/* The body has ended, or is never continued. It may still run on the stack. */
static void end(coil_gen *gen)
{
    gen->object.state = GEN_CLOSED;
    coil__stack_give(&gen->loop->stacks, gen->stack);
    gen->stack = NULL;
    coil__list_remove(&gen->link);
    coil__coro_end(&gen->coro);
}

static void gen_main(void *arg, intptr_t value)
{
    coil_gen *gen = arg;
    struct coil__stack *stack = gen->stack;
    struct coil__room room;
    (void)value;
    coil__fiber_entered(stack);
    stack->room = &room; /* cppcheck-suppress autoVariables ; the stack dies in here */
    coil_value result = coil_nil();
    int rc = coil__coro_call(&gen->coro, &result);
    coil_value_clear(&result);
    if (rc == COIL_EEND)
        rc = refuse_end(gen);
    else if (rc >= 0)
        rc = coil__fail_plain(COIL_EEND);
    struct coil__return consumer = gen->consumer;
    if (COIL_UNLIKELY(coil__thread.task->future.limits != NULL))
        coil__limits_forsake_stack(coil__thread.task);
    leave(gen, coil__thread.task);
    end(gen);
    coil__unref(&gen->object); /* that of resume */
    coil__fiber_leave(stack, consumer.sp, consumer.stack, rc);
}

static __attribute__((noinline)) int refuse_yield(coil_value value)
{
    coil_value_clear(&value);
    struct coil__task *task = coil__thread.task;
    if (!task || coil__thread.driver || !task->future.generator)
        return coil__fail(COIL_ENOTASK, "coil_yield outside a generator");
    if (task->innermost == &task->future.generator->coro)
        return coil__fail(COIL_ERUNTIME, "generator '%s' yields inside a cancel scope",
                          name_of(task->future.generator));
    return coil__fail(COIL_ERUNTIME, "coil_yield in a coroutine that generator '%s' awaits",
                      name_of(task->future.generator));
}

/* Nobody but the consumer's call holds it any more. It must outlive the switch that follows. */
static __attribute__((noinline)) void drop_inside(coil_gen *gen)
{
    if (gen->object.flags & GEN_IGNORED)
        keep(gen);
    coil__unref(&gen->object);
}

#undef coil_yield
int coil_yield(coil_value value, coil_value *sent_out)
{
    struct coil__task *task = coil__thread.task;
    coil_gen *gen = task ? task->future.generator : NULL;
    if (COIL_UNLIKELY(!gen || coil__thread.driver || task->innermost != &gen->coro))
        return refuse_yield(value); /* a pointer would rule the tail call out */
    if (COIL_UNLIKELY(task->future.limits != NULL) && !coil__limits_left_on(task, gen->stack))
        return refuse_yield(value);
    if (gen->out)
        coil__value_copy(gen->out, &value);
    else
        coil__value_drop(&value);
    gen->sent_out = sent_out;
    gen->object.state = GEN_SUSPENDED;
    leave(gen, task);
    if (COIL_UNLIKELY(gen->object.refs == 1))
        drop_inside(gen);
    else
        gen->object.refs--;
    return coil__fiber_switch_code(&gen->sp, gen->stack, gen->consumer.sp, gen->consumer.stack, 0,
                                   false);
}

/* ---- running the body --------------------------------------------------------------------------- */

static int begin(coil_gen *gen, struct coil__task *task)
{
    coil_loop *loop = task->future.loop;
    gen->stack = coil__stack_take(&loop->stacks, loop->default_stack_bytes);
    if (COIL_UNLIKELY(!gen->stack))
        return coil__fail_plain(COIL_ENOMEM);
    gen->sp = coil__switch_prepare(gen->stack->low, gen->stack->bytes, gen_main, gen);
    gen->loop = loop;
    coil__list_append(&loop->generators, &gen->link);
    return coil__coro_start(&gen->coro);
}

/* Runs the body up to its next yield, or to its end; code is what the one where it waits is to return.
 * 0 if it yields, else COIL_EEND or its error. */
static inline int resume(coil_gen *gen, struct coil__task *task, int code, coil_value *value_out)
{
    coil__ref(&gen->object); /* whatever becomes of the consumer's meanwhile */
    gen->object.state = GEN_RUNNING;
    gen->out = value_out;
    gen->outer = task->future.generator;
    gen->consumer.stack = task->stack;
    gen->coro.caller = task->innermost;
    gen->coro.owner = task;
    task->future.generator = gen;
    task->stack = gen->stack;
    task->innermost = &gen->coro;
    return coil__fiber_switch_code(&gen->consumer.sp, gen->consumer.stack, gen->sp, gen->stack,
                                   code, false);
}

/* 0 if the task can go in. */
static __attribute__((noinline)) int check(const coil_gen *gen, const struct coil__task *task)
{
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "generator '%s' was used outside a task", name_of(gen));
    if (gen->object.state == GEN_RUNNING)
        return coil__fail(COIL_ERUNTIME, "generator '%s' is running already", name_of(gen));
    if (gen->object.state == GEN_SUSPENDED && gen->loop != task->future.loop)
        return coil__fail(COIL_EWRONGLOOP, "generator '%s' belongs to another loop", name_of(gen));
    return 0;
}

/* For a generator that is not just suspended, and in this task's loop. */
static __attribute__((noinline)) int next_slowly(coil_gen *gen, coil_value *value_out)
{
    struct coil__task *task = coil__thread.task;
    int rc = check(gen, task);
    if (rc == 0 && gen->object.state == GEN_CLOSED)
        rc = coil__fail_plain(COIL_EEND);
    if (rc == 0 && gen->object.state == GEN_CREATED)
        rc = begin(gen, task);
    return rc < 0 ? rc : resume(gen, task, 0, value_out);
}

int coil_gen_next(coil_gen *gen, coil_value *value_out)
{
    if (COIL_UNLIKELY(!gen))
        return coil_error_last();
    struct coil__task *task = coil__thread.task;
    if (COIL_UNLIKELY(gen->object.state != GEN_SUSPENDED || !task || coil__thread.driver ||
                      gen->loop != task->future.loop))
        return next_slowly(gen, value_out);
    if (gen->sent_out)
        *gen->sent_out = coil_nil();
    return resume(gen, task, 0, value_out);
}

int coil_gen_send(coil_gen *gen, coil_value value, coil_value *value_out)
{
    if (!gen) {
        coil_value_clear(&value);
        return coil_error_last();
    }
    int rc = check(gen, coil__thread.task);
    if (rc == 0 && gen->object.state == GEN_CREATED && value.kind != COIL_NIL)
        rc = coil__fail(COIL_ETYPE, "a value was sent to generator '%s' before its first item",
                        name_of(gen));
    if (rc < 0 || gen->object.state != GEN_SUSPENDED) {
        coil_value_clear(&value);
        return rc < 0 ? rc : next_slowly(gen, value_out);
    }
    if (gen->sent_out)
        *gen->sent_out = value;
    else
        coil_value_clear(&value);
    return resume(gen, coil__thread.task, 0, value_out);
}

/* Ends a generator of which nothing has run. */
static void end_unrun(coil_gen *gen)
{
    coil__coro_end(&gen->coro);
    gen->object.state = GEN_CLOSED;
}

int coil_gen_throw(coil_gen *gen, int code, coil_value *value_out)
{
    if (!gen)
        return coil_error_last();
    struct coil__task *task = coil__thread.task;
    int rc = code < 0 ? check(gen, task) : coil__fail(COIL_EINVAL, "%d is no error", code);
    if (rc < 0)
        return rc;
    if (gen->object.state == GEN_CREATED) {
        end_unrun(gen);
        return code;
    }
    if (gen->object.state == GEN_CLOSED) {
        if (value_out)
            *value_out = coil_nil();
        return 0;
    }
    return resume(gen, task, code, value_out);
}

int coil_gen_close(coil_gen *gen)
{
    if (!gen || gen->object.state == GEN_CLOSED)
        return 0;
    if (gen->object.state == GEN_CREATED) {
        end_unrun(gen);
        return 0;
    }
    struct coil__task *task = coil__thread.task;
    int rc = check(gen, task);
    if (rc < 0)
        return rc;
    coil__ref(&gen->object);
    rc = resume(gen, task, coil__fail_plain(COIL_ECLOSING), NULL);
    if (rc == 0) {
        gen->object.flags |= GEN_IGNORED;
        rc = coil__fail(COIL_ERUNTIME, "generator '%s' goes on yielding while it is closed",
                        name_of(gen));
    } else if (rc == COIL_EEND || rc == COIL_ECLOSING) {
        rc = 0;
    }
    coil__unref(&gen->object);
    return rc;
}

/* ---- left half-way ------------------------------------------------------------------------------ */

static void report_close_failed(coil_loop *loop, const coil_gen *gen, int code, coil_error *error)
{
    COIL__REPORT(loop, .event = COIL_EVENT_GENERATOR_CLOSE_FAILED,
                 .message = "an error occurred while a generator was closed:", .name = name_of(gen),
                 .code = code, .error = error);
}

/* Never continues a body. What it holds is lost, and this says so. */
static void give_up(coil_gen *gen, int code)
{
    coil_loop *loop = gen->loop;
    end(gen);
    report_close_failed(loop, gen, code, coil_error_current(code));
}

/* Keeps a generator that nobody holds until the loop is closed, or coil_shutdown_asyncgens is called. */
static void keep(coil_gen *gen)
{
    if (gen->object.flags & GEN_KEPT)
        return;
    gen->object.flags |= GEN_KEPT;
    coil__ref(&gen->object);
}

static void release_kept(coil_gen *gen)
{
    if (!(gen->object.flags & GEN_KEPT))
        return;
    gen->object.flags &= (uint8_t)~GEN_KEPT;
    coil__unref(&gen->object);
}

static int run_close_dropped(void *args, coil_value *coil_result)
{
    coil_gen *gen = *(coil_gen **)args;
    (void)coil_result;
    int rc = coil_gen_close(gen);
    if (gen->object.flags & GEN_IGNORED)
        rc = 0; /* giving it up reports that */
    gen->closer = NULL;
    coil__unref(&gen->object);
    return rc;
}

/* Cancelled before its first step: the generator is dropped once more. */
static void drop_closer(void *args)
{
    coil_gen *gen = *(coil_gen **)args;
    gen->closer = NULL;
    coil__unref(&gen->object);
}

static const coil_coro_type close_dropped = { "coil_gen_close", run_close_dropped, __FILE__,
                                              __LINE__, drop_closer };

static int make_closing_task(void *arg)
{
    coil_gen *gen = arg;
    if (gen->object.state != GEN_SUSPENDED || gen->object.flags & GEN_TAKEN)
        return 0;
    coil_coro *coro = coil_coro_new(&close_dropped, &gen, sizeof gen);
    if (coro)
        coil__ref(&gen->object);
    coil_task *task = coro ? coil_create_task_with(gen->loop, coro, NULL) : NULL;
    if (task && !coil_future_done(task))
        gen->closer = task; /* the task sets it to NULL when it ends */
    if (!task)
        keep(gen);
    coil_unref(task);
    return 0;
}

static void release(void *arg)
{
    coil__unref(arg);
}

/* The last reference has gone. As in asyncio a turn lies between the drop and the making of the task; a
 * callback makes it, since a task factory is not to run on just any stack. */
static void drop_half_way(coil_gen *gen)
{
    coil_loop *loop = gen->loop;
    gen->object.refs = 1;
    gen->object.flags &= (uint8_t)~GEN_TAKEN;
    if (gen->object.flags & GEN_IGNORED) {
        give_up(gen, COIL_ERUNTIME);
        coil__unref(&gen->object);
        return;
    }
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.release = release;
    if (loop->closed || coil_call_soon_with(loop, make_closing_task, gen, &options, NULL) < 0) {
        keep(gen);
        coil__unref(&gen->object);
    }
}

/* ---- the end of a loop -------------------------------------------------------------------------- */

static int run_close(void *args, coil_value *coil_result)
{
    (void)coil_result;
    return coil_gen_close(*(coil_gen **)args);
}

static const coil_coro_type close_type = { "coil_gen_close", run_close, __FILE__, __LINE__, NULL };

static size_t count_generators(const coil_loop *loop)
{
    size_t count = 0;
    for (struct coil__link *link = loop->generators.next; link != &loop->generators;
         link = link->next)
        count++;
    return count;
}

static void report_failures(coil_loop *loop, coil_gen *const *gens, size_t count,
                            coil_value results)
{
    for (size_t i = 0; i < count; i++) {
        coil_value result = coil_list_at(results.list, i);
        if (result.kind == COIL_ERROR && coil_error_code(result.error) != COIL_ECANCELED)
            report_close_failed(loop, gens[i], coil_error_code(result.error), result.error);
    }
}

/* What closes each: a coroutine, or the task that is at it already. All of them, or COIL_ENOMEM. */
static int make_closers(coil_gen *const *gens, size_t count, void **closers)
{
    for (size_t i = 0; i < count; i++) {
        gens[i]->object.flags |= GEN_TAKEN;
        closers[i] = gens[i]->closer;
        if (!closers[i])
            closers[i] = coil_coro_new(&close_type, &gens[i], sizeof gens[i]);
        if (closers[i])
            continue;
        while (i-- > 0)
            if (coil_is_coroutine(closers[i]))
                (void)coil_coro_close(closers[i]); /* nothing of it has run */
        return COIL_ENOMEM;
    }
    return 0;
}

static int close_all(coil_loop *loop, coil_gen *const *gens, size_t count, void **closers)
{
    int rc = make_closers(gens, count, closers);
    if (rc < 0)
        return rc;
    coil_future *all = coil_gather_future(loop, closers, count, COIL_GATHER_COLLECT);
    if (!all)
        return coil_error_last();
    coil_value results;
    rc = coil_await(all, &results);
    if (rc == 0)
        report_failures(loop, gens, count, results);
    coil_unref(all);
    return rc;
}

int coil_shutdown_asyncgens(void)
{
    struct coil__task *task = coil__thread.task;
    if (!task || coil__thread.driver)
        return coil__fail(COIL_ENOTASK, "generators are closed in a task");
    coil_loop *loop = task->future.loop;
    size_t count = count_generators(loop), n = 0;
    if (count == 0)
        return 0;
    coil_gen **gens = coil__alloc(count * 2 * sizeof *gens);
    if (!gens)
        return coil__fail_plain(COIL_ENOMEM);
    for (struct coil__link *link = loop->generators.next; link != &loop->generators;
         link = link->next)
        gens[n++] = coil_ref(COIL__CONTAINER(link, coil_gen, link));
    int rc = close_all(loop, gens, count, (void **)(gens + count));
    for (size_t i = 0; i < count; i++) {
        if (gens[i]->object.state == GEN_CLOSED)
            release_kept(gens[i]);
        else
            gens[i]->object.flags &= (uint8_t)~GEN_TAKEN;
        coil_unref(gens[i]);
    }
    coil__free(gens);
    return rc;
}

/* In a task that is being closed from its first step on, so that the cleanup cannot wait. */
static int run_close_at_once(void *args, coil_value *coil_result)
{
    coil_gen *gen = *(coil_gen **)args;
    (void)coil_result;
    int rc = coil_gen_close(gen);
    if (rc < 0 && rc != COIL_ECANCELED && !(gen->object.flags & GEN_IGNORED))
        report_close_failed(gen->loop, gen, rc, coil_error_current(rc));
    return 0;
}

static const coil_coro_type close_at_once = { "coil_gen_close", run_close_at_once, __FILE__,
                                              __LINE__, NULL };

void coil__loop_close_generators(coil_loop *loop)
{
    while (!coil__list_empty(&loop->generators)) {
        coil_gen *gen = COIL__CONTAINER(loop->generators.next, coil_gen, link);
        coil__ref(&gen->object);
        if (gen->object.state == GEN_SUSPENDED)
            coil__task_run_closing(loop, coil_coro_new(&close_at_once, &gen, sizeof gen));
        if (gen->object.state != GEN_CLOSED)
            give_up(gen, gen->object.flags & GEN_IGNORED ? COIL_ERUNTIME : COIL_ECLOSING);
        release_kept(gen);
        coil__unref(&gen->object);
    }
}

void coil__task_give_up_generators(struct coil__task *task)
{
    while (task->future.generator) {
        coil_gen *gen = task->future.generator;
        task->future.generator = gen->outer;
        task->stack = gen->consumer.stack;
        end(gen);
        coil__unref(&gen->object); /* that of resume */
    }
}

/* ---- iterators ---------------------------------------------------------------------------------- */

int coil_anext(coil_async_iterator *iterator, coil_value *value_out)
{
    coil_value value = coil_nil();
    int rc = iterator->next(iterator, &value);
    if (rc < 0 || !value_out)
        coil_value_clear(&value);
    else
        *value_out = value;
    return rc < 0 ? rc : 0;
}

coil_async_iterator *coil_gen_iterator(coil_gen *gen)
{
    return gen ? &gen->iterator : NULL;
}

/* ---- scopes ------------------------------------------------------------------------------------- */

int coil_scope_enter(coil_scope *scope, coil_gen *gen, coil_value *value_out)
{
    scope->coil__gen = NULL;
    if (!gen)
        return coil_error_last();
    int rc = coil_gen_next(gen, value_out);
    if (rc == 0) {
        scope->coil__gen = gen;
        return 0;
    }
    if (rc == COIL_EEND)
        rc = coil__fail(COIL_ERUNTIME, "generator '%s' of a scope ended without an item",
                        name_of(gen));
    coil__unref(&gen->object);
    return rc;
}

/* It yields where it should have ended. */
static int refuse_second_item(coil_gen *gen, coil_value *item)
{
    coil_value_clear(item);
    int rc = coil_gen_close(gen);
    return rc < 0
               ? rc
               : coil__fail(COIL_ERUNTIME, "generator '%s' of a scope yields twice", name_of(gen));
}

int coil_scope_exit(coil_scope *scope, int rc)
{
    coil_gen *gen = scope->coil__gen;
    if (!gen)
        return rc < 0 ? rc
                      : coil__fail(COIL_ERUNTIME, "the scope was not entered, or has been left");
    scope->coil__gen = NULL;
    coil_value item = coil_nil();
    int how = rc < 0 ? coil_gen_throw(gen, rc, &item) : coil_gen_next(gen, &item);
    if (how == 0)
        rc = refuse_second_item(gen, &item);
    else if (how == COIL_EEND)
        rc = rc < 0 ? 0 : rc;
    else if (!(rc == COIL_EEND && gen->object.flags & GEN_ENDED_BY_END))
        rc = how;
    coil__unref(&gen->object);
    return rc;
}
