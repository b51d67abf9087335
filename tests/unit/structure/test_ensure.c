/* ensure_future: anything that can be awaited, as a future. */
#include "lib/steps.h"

COIL_ASYNC(returns, (int, number))
{
    note("%d", number);
    coil_return(number);
}

struct gate {
    coil_awaitable awaitable;
    int number;
};

static int gate_wait(coil_awaitable *self, coil_value *value_out)
{
    COIL_TRY(coil_sleep(0));
    *value_out = coil_int(((struct gate *)self)->number);
    return 0;
}

COIL_ASYNC0(ensures_everything)
{
    coil_value value;
    coil_future *future = coil_create_future(NULL);
    coil_future *same = coil_ensure_future(NULL, future);
    EXPECT_PTR(same, future);
    coil_unref(same);
    same = coil_ensure_future(coil_get_running_loop(), future);
    EXPECT_PTR(same, future);
    coil_unref(same);
    coil_unref(future);

    coil_task *task = coil_ensure_future(NULL, returns(1));
    EXPECT(coil_is_task(task));
    EXPECT_STR(notes_, "");
    same = coil_ensure_future(NULL, task);
    EXPECT_PTR(same, task);
    coil_unref(same);
    EXPECT_INT(coil_await(task, &value), 0);
    EXPECT_INT(value.integer, 1);
    coil_unref(task);

    struct gate gate = { COIL_AWAITABLE_INIT(gate_wait), 2 };
    task = coil_ensure_future(NULL, &gate);
    EXPECT(coil_is_task(task));
    EXPECT_INT(coil_await(task, &value), 0);
    EXPECT_INT(value.integer, 2);
    coil_unref(task);
    return 0;
}

TEST(future_is_given_back_itself_and_the_rest_becomes_a_task)
{
    /* One reference each time, whatever went in. */
    EXPECT_RUN(ensures_everything(), 0);
    EXPECT_NOTES("1");
}

COIL_ASYNC0(ensures_nonsense)
{
    coil_context *context = coil_context_new();
    EXPECT_PTR(coil_ensure_future(NULL, context), NULL);
    EXPECT_INT(coil_error_last(), COIL_ETYPE);
    coil_unref(context);
    coil_raise(COIL_EFULL, "why there is none");
    EXPECT_PTR(coil_ensure_future(NULL, NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_EFULL);
    return 0;
}

TEST(what_cannot_be_awaited_is_refused)
{
    /* NULL hands on the code of the constructor that gave it. */
    EXPECT_RUN(ensures_nonsense(), 0);
    EXPECT_PTR(coil_ensure_future(NULL, returns(1)), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
    EXPECT_NOTES("");
}

TEST(loop_that_is_given_makes_the_task_before_it_runs)
{
    /* Another loop's future is no use to it. */
    size_t blocks = steps_blocks();
    coil_loop *loop = steps_loop(NULL), *other = coil_testing_virtual_loop(NULL);
    coil_future *foreign = coil_create_future(other);
    EXPECT_PTR(coil_ensure_future(loop, foreign), NULL);
    EXPECT_INT(coil_error_last(), COIL_EINVAL);
    coil_unref(foreign);
    coil_task *task = coil_ensure_future(loop, returns(5));
    EXPECT_PTR(coil_future_get_loop(task), loop);
    coil_value value;
    EXPECT_INT(coil_run_until_complete(loop, task, &value), 0);
    EXPECT_INT(value.integer, 5);
    EXPECT_NOTES("5");
    coil_unref(task);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_loop_close(other), 0);
    coil_unref(loop);
    coil_unref(other);
    EXPECT_INT(steps_blocks(), blocks);
}

TESTS_MAIN(RUN(future_is_given_back_itself_and_the_rest_becomes_a_task),
           RUN(what_cannot_be_awaited_is_refused),
           RUN(loop_that_is_given_makes_the_task_before_it_runs))
