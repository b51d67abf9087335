/* Context variables: whose values they are, tokens, and that what they own goes exactly once. */
#include "test.h"

#include <pthread.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

static coil_context_var *var, *other;

/* Each test in a context of its own, which is gone when it ends. */
static int in_empty_context(int (*fn)(void *arg), void *arg)
{
    coil_context *context = coil_context_new();
    int rc = coil_context_run(context, fn, arg);
    coil_unref(context);
    return rc;
}

static void begin(void)
{
    coil__errors_forget_thread();
    var = coil_context_var_new("var");
    other = coil_context_var_new_default("other", coil_int(-1));
}

static void end(void)
{
    coil_context_var_free(var);
    coil_context_var_free(other);
    coil__errors_forget_thread();
}

/* The value as an integer; 0 if it is not set. */
static int64_t get(coil_context_var *which)
{
    coil_value value = coil_nil();
    int rc = coil_context_var_get(which, &value);
    EXPECT(rc == 0 || (rc == COIL_ELOOKUP && value.kind == COIL_NIL));
    return value.integer;
}

static void set(coil_context_var *which, int64_t number)
{
    EXPECT_INT(coil_context_var_set(which, coil_int(number), NULL), 0);
}

#define CONTEXT_TEST(name)                                                                         \
    static int context_body_##name(void *arg);                                                     \
    TEST(name)                                                                                     \
    {                                                                                              \
        size_t before = coil_testing_alloc_count();                                                \
        begin();                                                                                   \
        EXPECT_INT(in_empty_context(context_body_##name, NULL), 0);                                \
        end();                                                                                     \
        EXPECT_INT(coil_testing_alloc_count(), before);                                            \
    }                                                                                              \
    static int context_body_##name(COIL_UNUSED void *arg)

/* ---- get, set, reset ------------------------------------------------------------------------- */

CONTEXT_TEST(variable_that_is_not_set_gives_its_default_or_fails)
{
    coil_value value = coil_int(77);
    EXPECT_INT(coil_context_var_get(var, &value), COIL_ELOOKUP);
    EXPECT_INT(value.integer, 77);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_ELOOKUP)), "var");
    EXPECT_INT(coil_context_var_get(other, &value), 0);
    EXPECT_INT(value.integer, -1);
    EXPECT_STR(coil_context_var_name(other), "other");
    return 0;
}

CONTEXT_TEST(set_value_is_seen_until_it_is_set_again)
{
    set(var, 1);
    set(other, 2);
    EXPECT_INT(get(var), 1);
    EXPECT_INT(get(other), 2);
    set(var, 3);
    EXPECT_INT(get(var), 3);
    EXPECT_INT(get(other), 2);
    return 0;
}

CONTEXT_TEST(name_is_copied)
{
    char name[] = "mine";
    coil_context_var *named = coil_context_var_new(name);
    name[0] = 'x';
    EXPECT_STR(coil_context_var_name(named), "mine");
    coil_context_var_free(named);
    coil_context_var_free(NULL);
    return 0;
}

CONTEXT_TEST(reset_brings_back_what_was_there)
{
    coil_context_token tokens[3];
    coil_value value;
    for (int i = 0; i < 3; i++)
        EXPECT_INT(coil_context_var_set(var, coil_int(i + 1), &tokens[i]), 0);
    EXPECT_INT(get(var), 3);
    EXPECT_INT(coil_context_var_reset(var, &tokens[2]), 0);
    EXPECT_INT(get(var), 2);
    EXPECT_INT(coil_context_var_reset(var, &tokens[1]), 0);
    EXPECT_INT(get(var), 1);
    EXPECT_INT(coil_context_var_reset(var, &tokens[0]), 0);
    EXPECT_INT(coil_context_var_get(var, &value), COIL_ELOOKUP);
    return 0;
}

CONTEXT_TEST(reset_out_of_order_brings_back_what_the_token_saw)
{
    /* As in Python: a token remembers one value, not its place in a stack. */
    coil_context_token first, second;
    set(var, 1);
    EXPECT_INT(coil_context_var_set(var, coil_int(2), &first), 0);
    EXPECT_INT(coil_context_var_set(var, coil_int(3), &second), 0);
    EXPECT_INT(coil_context_var_reset(var, &first), 0);
    EXPECT_INT(get(var), 1);
    EXPECT_INT(coil_context_var_reset(var, &second), 0);
    EXPECT_INT(get(var), 2);
    return 0;
}

CONTEXT_TEST(token_is_good_once)
{
    coil_context_token token;
    EXPECT_INT(coil_context_var_set(var, coil_int(1), &token), 0);
    EXPECT_INT(coil_context_var_reset(var, &token), 0);
    set(var, 5);
    EXPECT_INT(coil_context_var_reset(var, &token), COIL_ERUNTIME);
    EXPECT_INT(get(var), 5);
    return 0;
}

CONTEXT_TEST(token_of_another_variable_is_refused_and_used_up)
{
    coil_context_token token;
    EXPECT_INT(coil_context_var_set(var, coil_int(1), &token), 0);
    EXPECT_INT(coil_context_var_reset(other, &token), COIL_EINVAL);
    EXPECT_INT(get(var), 1);
    EXPECT_INT(get(other), -1);
    EXPECT_INT(coil_context_var_reset(var, &token), COIL_ERUNTIME);
    return 0;
}

static int reset_here(void *arg)
{
    return coil_context_var_reset(var, arg);
}

CONTEXT_TEST(token_of_another_context_is_refused_and_used_up)
{
    coil_context_token token;
    EXPECT_INT(coil_context_var_set(var, coil_int(1), &token), 0);
    coil_context *copy = coil_context_copy();
    EXPECT_INT(coil_context_run(copy, reset_here, &token), COIL_EINVAL);
    coil_unref(copy);
    EXPECT_INT(get(var), 1);
    EXPECT_INT(coil_context_var_reset(var, &token), COIL_ERUNTIME);
    return 0;
}

CONTEXT_TEST(token_that_is_given_up_changes_nothing)
{
    coil_context_token token;
    set(var, 1);
    EXPECT_INT(coil_context_var_set(var, coil_int(2), &token), 0);
    coil_context_token_fini(&token);
    EXPECT_INT(get(var), 2);
    EXPECT_INT(coil_context_var_reset(var, &token), COIL_ERUNTIME);
    return 0;
}

static int set_with_token(void *arg)
{
    return coil_context_var_set(var, coil_int(1), arg);
}

CONTEXT_TEST(token_may_outlive_its_context)
{
    coil_context_token token;
    EXPECT_INT(in_empty_context(set_with_token, &token), 0);
    EXPECT_INT(get(var), 0);
    EXPECT_INT(coil_context_var_reset(var, &token), COIL_EINVAL);
    return 0;
}

/* ---- many variables -------------------------------------------------------------------------- */

CONTEXT_TEST(many_variables_do_not_get_in_each_others_way)
{
    enum {
        MANY = 300
    };
    static coil_context_var *vars[MANY];
    static coil_context_token tokens[MANY];
    for (int i = 0; i < MANY; i++)
        vars[i] = coil_context_var_new("one of many");
    /* In an order of its own, so that the map sees the front, the middle and the end. */
    for (int i = 0; i < MANY; i++) {
        int at = i * 7 % MANY;
        EXPECT_INT(coil_context_var_set(vars[at], coil_int(at + 1), &tokens[at]), 0);
    }
    for (int i = 0; i < MANY; i++)
        EXPECT_INT(get(vars[i]), i + 1);
    for (int i = 0; i < MANY; i += 2)
        EXPECT_INT(coil_context_var_reset(vars[i], &tokens[i]), 0);
    for (int i = 0; i < MANY; i++)
        EXPECT_INT(get(vars[i]), i % 2 ? i + 1 : 0);
    for (int i = 1; i < MANY; i += 2)
        EXPECT_INT(coil_context_var_reset(vars[i], &tokens[i]), 0);
    for (int i = 0; i < MANY; i++) {
        EXPECT_INT(get(vars[i]), 0);
        coil_context_var_free(vars[i]);
    }
    return 0;
}

/* ---- what values own ------------------------------------------------------------------------- */

static int drops[8];

static void note_drop(void *pointer)
{
    ++*(int *)pointer;
}

static coil_value owned(int index)
{
    drops[index] = 0;
    return coil_pointer_owned(&drops[index], note_drop);
}

CONTEXT_TEST(value_goes_when_the_last_context_and_token_let_go)
{
    coil_context_token token;
    EXPECT_INT(coil_context_var_set(var, owned(0), NULL), 0);
    coil_context *copy = coil_context_copy();
    EXPECT_INT(coil_context_var_set(var, owned(1), NULL), 0);
    EXPECT_INT(drops[0], 0);
    coil_unref(copy);
    EXPECT_INT(drops[0], 1);

    EXPECT_INT(coil_context_var_set(var, owned(2), &token), 0);
    EXPECT_INT(drops[1], 0);
    EXPECT_INT(coil_context_var_reset(var, &token), 0);
    EXPECT_INT(drops[2], 1);
    EXPECT_INT(drops[1], 0);

    EXPECT_INT(coil_context_var_set(var, owned(3), &token), 0);
    coil_context_token_fini(&token);
    EXPECT_INT(drops[1], 1);
    set(var, 0);
    EXPECT_INT(drops[3], 1);
    for (int i = 0; i < 4; i++)
        EXPECT_INT(drops[i], 1);
    return 0;
}

CONTEXT_TEST(what_get_gives_is_a_view)
{
    coil_value value;
    EXPECT_INT(coil_context_var_set(var, owned(0), NULL), 0);
    EXPECT_INT(coil_context_var_get(var, &value), 0);
    EXPECT_PTR(value.pointer, &drops[0]);
    coil_value_clear(&value);
    EXPECT_INT(drops[0], 0);
    set(var, 1);
    EXPECT_INT(drops[0], 1);
    return 0;
}

CONTEXT_TEST(default_goes_with_its_variable)
{
    coil_context_var *with = coil_context_var_new_default("with", owned(0));
    coil_value value;
    EXPECT_INT(coil_context_var_get(with, &value), 0);
    EXPECT_PTR(value.pointer, &drops[0]);
    coil_value_clear(&value);
    EXPECT_INT(drops[0], 0);
    coil_context_var_free(with);
    EXPECT_INT(drops[0], 1);
    return 0;
}

static void look_while_dropping(void *pointer)
{
    note_drop(pointer);
    EXPECT_INT(get(var), 2);
    EXPECT_INT(get(other), 3);
    set(other, 4);
}

CONTEXT_TEST(destructor_may_use_the_context_it_leaves)
{
    drops[0] = 0;
    EXPECT_INT(coil_context_var_set(var, coil_pointer_owned(&drops[0], look_while_dropping), NULL),
               0);
    set(other, 3);
    set(var, 2);
    EXPECT_INT(drops[0], 1);
    EXPECT_INT(get(var), 2);
    EXPECT_INT(get(other), 4);

    coil_context_token token;
    coil_value value = coil_pointer_owned(&drops[0], look_while_dropping);
    EXPECT_INT(coil_context_var_set(var, value, &token), 0);
    set(other, 3);
    EXPECT_INT(coil_context_var_reset(var, &token), 0);
    EXPECT_INT(drops[0], 2);
    EXPECT_INT(get(var), 2);
    EXPECT_INT(get(other), 4);
    return 0;
}

/* ---- run ------------------------------------------------------------------------------------- */

static int set_to(void *arg)
{
    set(var, (int64_t)(intptr_t)arg);
    return 17;
}

CONTEXT_TEST(what_runs_in_a_context_stays_in_it)
{
    coil_context *context = coil_context_new();
    coil_value value = coil_int(77);
    set(var, 1);
    EXPECT_INT(coil_context_get(context, var, &value), COIL_ELOOKUP);
    EXPECT_INT(value.integer, 77);
    EXPECT_INT(coil_context_run(context, set_to, (void *)5), 17);
    EXPECT_INT(get(var), 1);
    EXPECT_INT(coil_context_get(context, var, &value), 0);
    EXPECT_INT(value.integer, 5);
    EXPECT_INT(coil_context_get(context, other, &value), COIL_ELOOKUP);
    coil_unref(context);
    return 0;
}

static int fail_loudly(void *arg)
{
    (void)arg;
    return coil_raise(COIL_EAPP, "inside");
}

CONTEXT_TEST(run_passes_errors_on)
{
    coil_context *context = coil_context_new();
    EXPECT_INT(coil_context_run(context, fail_loudly, NULL), COIL_EAPP);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "inside");
    EXPECT_INT(coil_context_run(context, set_to, (void *)1), 17);
    coil_unref(context);
    return 0;
}

static int run_again(void *arg)
{
    EXPECT_INT(coil_context_run(arg, set_to, (void *)9), COIL_ERUNTIME);
    coil_context *inner = coil_context_copy();
    EXPECT_INT(coil_context_run(inner, set_to, (void *)8), 17);
    EXPECT_INT(coil_context_run(arg, set_to, (void *)9), COIL_ERUNTIME);
    coil_unref(inner);
    return 0;
}

static int run_around(void *arg)
{
    coil_context *inner = coil_context_new();
    /* The outer one is entered further up, though not the current one. */
    EXPECT_INT(coil_context_run(inner, run_again, arg), 0);
    coil_unref(inner);
    return 0;
}

CONTEXT_TEST(context_is_not_entered_twice)
{
    coil_context *context = coil_context_new();
    EXPECT_INT(coil_context_run(context, run_again, context), 0);
    EXPECT_INT(coil_context_run(context, run_around, context), 0);
    EXPECT_INT(coil_context_run(context, set_to, (void *)1), 17);
    coil_value value;
    EXPECT_INT(coil_context_get(context, var, &value), 0);
    EXPECT_INT(value.integer, 1);
    coil_unref(context);
    return 0;
}

CONTEXT_TEST(copy_is_apart_from_what_it_was_copied_of)
{
    set(var, 1);
    coil_context *copy = coil_context_copy();
    set(var, 2);
    coil_value value;
    EXPECT_INT(coil_context_get(copy, var, &value), 0);
    EXPECT_INT(value.integer, 1);
    EXPECT_INT(coil_context_run(copy, set_to, (void *)3), 17);
    EXPECT_INT(get(var), 2);
    coil_unref(copy);
    return 0;
}

/* ---- callbacks and tasks --------------------------------------------------------------------- */

static int64_t seen[4];

static int see_and_set(void *arg)
{
    seen[(intptr_t)arg] = get(var);
    set(var, 100);
    return 0;
}

CONTEXT_TEST(callbacks_get_the_context_of_where_they_were_made)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    set(var, 1);
    EXPECT_INT(coil_call_soon(loop, see_and_set, (void *)0, NULL), 0);
    set(var, 2);
    EXPECT_INT(coil_call_later(loop, 1, see_and_set, (void *)1, NULL), 0);
    set(var, 3);
    EXPECT_INT(coil_call_at(loop, 2, see_and_set, (void *)2, NULL), 0);
    set(var, 4);
    EXPECT_INT(coil_call_soon_threadsafe(loop, see_and_set, (void *)3), 0);
    set(var, 5);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    for (int i = 0; i < 4; i++)
        EXPECT_INT(seen[i], i + 1);
    EXPECT_INT(get(var), 5);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return 0;
}

CONTEXT_TEST(callback_runs_in_the_context_it_is_given)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_context *context = coil_context_new();
    EXPECT_INT(coil_context_run(context, set_to, (void *)1), 17);
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.context = context;
    coil_handle *handle;
    EXPECT_INT(coil_call_soon_with(loop, see_and_set, (void *)0, &options, &handle), 0);
    EXPECT_PTR(coil_handle_get_context(handle), context);
    EXPECT_INT(coil_call_later_with(loop, 1, see_and_set, (void *)1, &options, NULL), 0);
    EXPECT_INT(coil_call_soon_threadsafe_with(loop, see_and_set, (void *)2, &options), 0);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    EXPECT_INT(seen[0], 1);
    EXPECT_INT(seen[2], 100);
    EXPECT_INT(seen[1], 100);
    EXPECT_INT(get(var), 0);
    coil_unref(handle);
    coil_unref(context);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return 0;
}

static int run_own_context(void *arg)
{
    /* It is the callback's: in Python, Context.run raises here. */
    EXPECT_INT(coil_context_run(arg, set_to, (void *)1), COIL_ERUNTIME);
    return 0;
}

CONTEXT_TEST(callback_cannot_enter_its_own_context)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_context *context = coil_context_new();
    coil_call_options options = COIL_CALL_OPTIONS_INIT;
    options.context = context;
    EXPECT_INT(coil_call_soon_with(loop, run_own_context, context, &options, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    coil_unref(context);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return 0;
}

CONTEXT_TEST(handle_shows_its_context)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_handle *handle;
    coil_value value;
    set(var, 6);
    EXPECT_INT(coil_call_soon(loop, see_and_set, (void *)0, &handle), 0);
    coil_context *context = coil_handle_get_context(handle);
    EXPECT_PTR(coil_handle_get_context(handle), context);
    EXPECT_INT(coil_context_get(context, var, &value), 0);
    EXPECT_INT(value.integer, 6);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    EXPECT_INT(coil_context_get(context, var, &value), 0);
    EXPECT_INT(value.integer, 100);
    coil_unref(handle);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return 0;
}

COIL_ASYNC(sees_and_sets, (int64_t, number), (int64_t *, seen_out))
{
    *seen_out = get(var);
    set(var, number);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(get(var), number);
    coil_return(0);
}

COIL_ASYNC0(makes_two)
{
    int64_t in_a = 0, in_b = 0, inline_ = 0;
    set(var, 1);
    coil_task *a = coil_create_task(sees_and_sets(10, &in_a));
    set(var, 2);
    coil_task *b = coil_create_task(sees_and_sets(20, &in_b));
    COIL_TRY(coil_await(a, NULL));
    COIL_TRY(coil_await(b, NULL));
    EXPECT_INT(in_a, 1);
    EXPECT_INT(in_b, 2);
    EXPECT_INT(get(var), 2);
    COIL_TRY(coil_await(sees_and_sets(30, &inline_), NULL));
    EXPECT_INT(inline_, 2);
    EXPECT_INT(get(var), 30);
    coil_unref(a);
    coil_unref(b);
    coil_return(0);
}

CONTEXT_TEST(tasks_get_copies_and_inline_awaits_share)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    set(var, 50);
    EXPECT_INT(coil_run_until_complete(loop, makes_two(), NULL), 0);
    EXPECT_INT(get(var), 50);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return 0;
}

static int sleep_inside(void *arg)
{
    set(var, 7);
    COIL_TRY(coil_sleep(1));
    EXPECT_INT(get(var), 7);
    (void)arg;
    return 3;
}

COIL_ASYNC(sleeps_in_context, (coil_context *, context))
{
    set(var, 6);
    EXPECT_INT(coil_context_run(context, sleep_inside, NULL), 3);
    EXPECT_INT(get(var), 6);
    coil_return(0);
}

CONTEXT_TEST(context_stays_the_tasks_while_what_runs_in_it_waits)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    coil_context *context = coil_context_new();
    int64_t meanwhile = 0;
    coil_task *other_task = coil_create_task_with(loop, sees_and_sets(60, &meanwhile), NULL);
    EXPECT_INT(coil_run_until_complete(loop, sleeps_in_context(context), NULL), 0);
    EXPECT_INT(coil_run_until_complete(loop, other_task, NULL), 0);
    EXPECT_INT(meanwhile, 0);
    EXPECT_INT(get(var), 0);
    coil_value value;
    EXPECT_INT(coil_context_get(context, var, &value), 0);
    EXPECT_INT(value.integer, 7);
    coil_unref(other_task);
    coil_unref(context);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    return 0;
}

/* ---- threads --------------------------------------------------------------------------------- */

static int see(void *arg)
{
    *(int64_t *)arg = get(var);
    coil_loop_stop(NULL);
    return 0;
}

static void *use_in_a_thread(void *arg)
{
    int64_t *result = arg, inside = 0;
    EXPECT_INT(get(var), 0);
    set(var, 8);
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    EXPECT_INT(coil_call_soon(loop, see, &inside, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    *result = get(var) + inside;
    return NULL;
}

CONTEXT_TEST(threads_have_contexts_of_their_own)
{
    enum {
        THREADS = 4
    };
    pthread_t threads[THREADS];
    int64_t results[THREADS] = { 0 };
    set(var, 1);
    for (int i = 0; i < THREADS; i++)
        if (!EXPECT_INT(pthread_create(&threads[i], NULL, use_in_a_thread, &results[i]), 0))
            abort();
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_INT(results[i], 16);
    }
    EXPECT_INT(get(var), 1);
    return 0;
}

/* ---- no memory ------------------------------------------------------------------------------- */

CONTEXT_TEST(set_without_memory_changes_nothing_and_clears_the_value)
{
    int failures = 0;
    set(other, 5);
    for (long nth = 1;; nth++) {
        coil_context_token token;
        coil_value value = owned(0);
        coil_testing_fail_alloc(nth);
        int rc = coil_context_var_set(var, value, &token);
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, failed ? COIL_ENOMEM : 0);
        EXPECT_INT(drops[0], failed);
        EXPECT_INT(get(other), 5);
        if (!failed) {
            EXPECT_INT(coil_context_var_reset(var, &token), 0);
            break;
        }
        EXPECT_INT(get(var), 0);
        failures++;
    }
    EXPECT(failures >= 2);
    return 0;
}

CONTEXT_TEST(reset_without_memory_leaves_the_token_good)
{
    coil_context_token token;
    set(var, 1);
    EXPECT_INT(coil_context_var_set(var, coil_int(2), &token), 0);
    coil_testing_fail_alloc(1);
    EXPECT_INT(coil_context_var_reset(var, &token), COIL_ENOMEM);
    coil_testing_fail_alloc(0);
    EXPECT_INT(get(var), 2);
    EXPECT_INT(coil_context_var_reset(var, &token), 0);
    EXPECT_INT(get(var), 1);
    return 0;
}

CONTEXT_TEST(making_without_memory_is_null)
{
    for (long nth = 1;; nth++) {
        coil_testing_fail_alloc(nth);
        coil_context_var *made = coil_context_var_new_default("made", owned(0));
        coil_testing_fail_alloc(0);
        EXPECT_INT(drops[0], made ? 0 : 1);
        coil_context_var_free(made);
        EXPECT_INT(drops[0], 1);
        if (made)
            break;
        EXPECT_INT(coil_error_last(), COIL_ENOMEM);
    }
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil_context_new(), NULL);
    coil_testing_fail_alloc(1);
    EXPECT_PTR(coil_context_copy(), NULL);
    coil_testing_fail_alloc(0);
    EXPECT_INT(coil_error_last(), COIL_ENOMEM);
    return 0;
}

TESTS_MAIN(RUN(variable_that_is_not_set_gives_its_default_or_fails),
           RUN(set_value_is_seen_until_it_is_set_again), RUN(name_is_copied),
           RUN(reset_brings_back_what_was_there),
           RUN(reset_out_of_order_brings_back_what_the_token_saw), RUN(token_is_good_once),
           RUN(token_of_another_variable_is_refused_and_used_up),
           RUN(token_of_another_context_is_refused_and_used_up),
           RUN(token_that_is_given_up_changes_nothing), RUN(token_may_outlive_its_context),
           RUN(many_variables_do_not_get_in_each_others_way),
           RUN(value_goes_when_the_last_context_and_token_let_go), RUN(what_get_gives_is_a_view),
           RUN(default_goes_with_its_variable), RUN(destructor_may_use_the_context_it_leaves),
           RUN(what_runs_in_a_context_stays_in_it), RUN(run_passes_errors_on),
           RUN(context_is_not_entered_twice), RUN(copy_is_apart_from_what_it_was_copied_of),
           RUN(callbacks_get_the_context_of_where_they_were_made),
           RUN(callback_runs_in_the_context_it_is_given),
           RUN(callback_cannot_enter_its_own_context), RUN(handle_shows_its_context),
           RUN(tasks_get_copies_and_inline_awaits_share),
           RUN(context_stays_the_tasks_while_what_runs_in_it_waits),
           RUN(threads_have_contexts_of_their_own),
           RUN(set_without_memory_changes_nothing_and_clears_the_value),
           RUN(reset_without_memory_leaves_the_token_good), RUN(making_without_memory_is_null))
