/* The explorer finds what is wrong, where it is wrong; and finds nothing wrong with what the library
 * itself waits in. */
#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "lib/held.h"

/* What the programs work on; each sets up what it needs. */
static struct {
    coil_lock lock;
    coil_condition condition;
    coil_event event;
    coil_semaphore semaphore;
    coil_barrier barrier;
    coil_queue queue;
    bool flag;
    int waiting;
    char bytes[1 << 20];
} lab;

/* ---- what it finds ------------------------------------------------------------------------------ */

static char *words; /* what the last exploration printed */

/* Explores with its output in `words`. */
static int explore(coil_coro *(*program)(void *), coil_coro *(*check)(void *), unsigned modes,
                   const char *task)
{
    size_t bytes;
    free(words);
    words = NULL;
    coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
    options.modes = modes;
    options.check = check;
    options.task = task;
    options.output = open_memstream(&words, &bytes);
    if (!EXPECT(options.output != NULL))
        return -1;
    int rc = coil_testing_explore(program, NULL, &options);
    fclose(options.output);
    return rc;
}

static void expect_words(const char *expected)
{
    if (!EXPECT(words && strstr(words, expected)))
        fprintf(stderr, "    expected: %s\n    printed: %s\n", expected, words ? words : "");
}

COIL_ASYNC0(lock_is_free)
{
    COIL_TRY(COIL_TIMEOUT(1, coil_lock_acquire(&lab.lock)));
    return coil_lock_release(&lab.lock);
}

static coil_coro *check_lock(void *arg)
{
    (void)arg;
    return lock_is_free();
}

COIL_ASYNC0(keeps_the_lock)
{
    coil_lock_init(&lab.lock);
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_lock_acquire(&lab.lock));
    COIL_TRY(coil_sleep(2)); /* the mistake */
    coil_lock_release(&lab.lock);
    return coil_sleep(3);
}

static coil_coro *make_keeps_the_lock(void *arg)
{
    (void)arg;
    return keeps_the_lock();
}

TEST(lock_that_is_kept_is_found_at_the_point_where_it_is)
{
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_CANCEL, NULL), 1);
    expect_words("explore keeps_the_lock: point 2: cancelled in sleep\n");
    expect_words("keeps_the_lock");
    expect_words("test_explore.c");
    expect_words("* the check failed: COIL_ETIMEDOUT");
    expect_words("again: COIL_EXPLORE=keeps_the_lock/cancel:2\n");

    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_TIMEOUT, NULL), 1);
    expect_words("point 2: a timeout expires in sleep\n");
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_WOKEN, NULL), 1);
    expect_words("point 2: cancelled when it was woken from sleep\n");
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_CLOSE, NULL), 1);
    expect_words("point 2: the loop is closed in sleep\n");
}

TEST(one_point_can_be_tried_again_by_itself)
{
    /* What is printed must be what is understood. */
    setenv("COIL_EXPLORE", "keeps_the_lock/cancel:2", 1);
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_ALL, NULL), 1);
    expect_words("point 2: cancelled in sleep\n");
    setenv("COIL_EXPLORE", "cancel:2", 1);
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_ALL, NULL), 1);
    setenv("COIL_EXPLORE", "cancel:1", 1);
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_ALL, NULL), 0);
    expect_words("explore keeps_the_lock: cancel:1: nothing found\n");
    setenv("COIL_EXPLORE", "cancel:99", 1);
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_ALL, NULL), 0);
    expect_words("there is no such point");
    setenv("COIL_EXPLORE", "another/cancel:2", 1);
    EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_ALL, NULL), 0);
    EXPECT_STR(words, "");
    static const char *const wrong[] = { "",          "7",        "cancel",
                                         "cancel:",   "cancel:0", "cancel:x",
                                         "cancel:1x", "boil:1",   "keeps_the_lock/7" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("COIL_EXPLORE", wrong[i], 1);
        EXPECT_INT(explore(make_keeps_the_lock, check_lock, COIL_EXPLORE_ALL, NULL), COIL_EINVAL);
    }
    unsetenv("COIL_EXPLORE");
}

static int left_fd = -1;

COIL_ASYNC0(leaves_a_descriptor)
{
    COIL_TRY(coil_sleep(1));
    left_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    COIL_TRY(coil_sleep(0)); /* the mistake */
    close(left_fd);
    return coil_sleep(1);
}

static coil_coro *make_leaves_a_descriptor(void *arg)
{
    (void)arg;
    return leaves_a_descriptor();
}

TEST(descriptor_that_is_left_open_is_found)
{
    EXPECT_INT(explore(make_leaves_a_descriptor, NULL, COIL_EXPLORE_CANCEL, NULL), 1);
    expect_words("point 2: cancelled in sleep\n");
    expect_words("(/dev/null) was opened and is not closed");
    close(left_fd);
}

static coil_future *left_future;

COIL_ASYNC0(leaves_memory)
{
    coil_future *first = coil_create_future(NULL);
    if (!first)
        return COIL_ENOMEM;
    coil_future *second = coil_create_future(NULL);
    if (!second) {
        left_future = first; /* the mistake */
        return COIL_ENOMEM;
    }
    coil_unref(second);
    coil_unref(first);
    return 0;
}

static coil_coro *make_leaves_memory(void *arg)
{
    (void)arg;
    return leaves_memory();
}

TEST(memory_that_is_lost_when_memory_is_short_is_found)
{
    /* The coroutine, the first future; it is the third allocation. */
    struct held before = held_now();
    EXPECT_INT(explore(make_leaves_memory, NULL, COIL_EXPLORE_ALL, NULL), 1);
    expect_words("explore leaves_memory: point 3: no memory in an allocation\n");
    expect_words("blocks of the library's memory before");
    expect_words("again: COIL_EXPLORE=leaves_memory/alloc:3\n");
    coil_unref(left_future);
    held_expect(before, "leaves_memory");
}

/* Hands something over, to a task that may have been cancelled by the time it has it. */
COIL_ASYNC(hands_over, (coil_future *, to))
{
    COIL_TRY(coil_sleep(1));
    if (coil_future_set_result(to, coil_nil()) == 0)
        lab.flag = true;
    return 0;
}

COIL_ASYNC0(drops_what_it_is_handed)
{
    lab.flag = false;
    coil_future *future = coil_create_future(NULL);
    coil_task *giver = coil_create_task(hands_over(future));
    int rc = giver ? coil_await(future, NULL) : COIL_ENOMEM;
    if (rc == 0)
        lab.flag = false; /* taken, and given back. The mistake: not if rc is COIL_ECANCELED */
    if (giver)
        (void)coil_await(giver, NULL);
    coil_unref(giver);
    coil_unref(future);
    return rc;
}

static coil_coro *make_drops(void *arg)
{
    (void)arg;
    return drops_what_it_is_handed();
}

COIL_ASYNC0(flag_is_down)
{
    return lab.flag ? coil_raise(COIL_EAPP, "nobody has it") : 0;
}

static coil_coro *check_flag(void *arg)
{
    (void)arg;
    return flag_is_down();
}

TEST(wakeup_that_is_lost_between_waking_and_running_is_found)
{
    EXPECT_INT(explore(make_drops, check_flag, COIL_EXPLORE_CANCEL, NULL), 0);
    EXPECT_INT(explore(make_drops, check_flag, COIL_EXPLORE_WOKEN, NULL), 1);
    expect_words("point 1: cancelled when it was woken from await\n");
    expect_words("* the check failed: COIL_EAPP: nobody has it\n");
}

COIL_ASYNC0(leaves_a_task)
{
    coil_task *task = coil_create_task_named(coil_sleep_coro(10, coil_nil()), "straggler");
    int rc = coil_sleep(1);
    if (rc == 0) /* the mistake */
        coil_task_cancel(task, NULL);
    coil_unref(task);
    return rc;
}

static coil_coro *make_leaves_a_task(void *arg)
{
    (void)arg;
    return leaves_a_task();
}

TEST(task_and_timer_that_are_left_are_found)
{
    EXPECT_INT(explore(make_leaves_a_task, NULL, COIL_EXPLORE_CANCEL, NULL), 1);
    expect_words("* task straggler (sleep) is not done: sleep\n");
    expect_words("* 1 timer is left\n");
    EXPECT_INT(explore(make_leaves_a_task, NULL, COIL_EXPLORE_CANCEL, "straggler"), 0);
}

COIL_ASYNC0(waits_for_ever)
{
    coil_future *future = coil_create_future(NULL);
    if (!future)
        return COIL_ENOMEM;
    int rc = coil_sleep(1);
    if (rc == COIL_ECANCELED)
        (void)coil_await(future, NULL); /* the mistake */
    coil_unref(future);
    return rc;
}

static coil_coro *make_waits_for_ever(void *arg)
{
    (void)arg;
    return waits_for_ever();
}

COIL_ASYNC0(never_ends)
{
    int rc = coil_sleep(1);
    while (rc == COIL_ECANCELED && coil_sleep(1) != COIL_ECLOSING)
        continue; /* the mistake */
    return rc;
}

static coil_coro *make_never_ends(void *arg)
{
    (void)arg;
    return never_ends();
}

TEST(program_that_does_not_end_is_found)
{
    EXPECT_INT(explore(make_waits_for_ever, NULL, COIL_EXPLORE_CANCEL, NULL), 1);
    expect_words("* it waits for ever");
    EXPECT_INT(explore(make_never_ends, NULL, COIL_EXPLORE_CANCEL, NULL), 1);
    expect_words("* it does not come to an end\n");
}

COIL_ASYNC0(fails)
{
    return coil_raise(COIL_EAPP, "always");
}

static coil_coro *make_fails(void *arg)
{
    (void)arg;
    return fails();
}

TEST(program_that_fails_undisturbed_is_tried_no_further)
{
    EXPECT_INT(explore(make_fails, NULL, COIL_EXPLORE_ALL, NULL), 1);
    EXPECT_STR(words, "explore fails: not disturbed\n  * it failed: COIL_EAPP\n");
}

/* ---- what the library waits in ------------------------------------------------------------------ */

/* Starts a coroutine in the group unless something has failed before. */
static int start(coil_task_group *tg, int rc, coil_coro *coro)
{
    if (rc < 0) {
        (void)coil_coro_close(coro);
        return rc;
    }
    return coil_task_group_spawn(tg, coro);
}

COIL_ASYNC0(locks_for_a_second)
{
    COIL_TRY(coil_lock_acquire(&lab.lock));
    int rc = coil_sleep(1);
    coil_lock_release(&lab.lock);
    return rc;
}

COIL_ASYNC0(lock_program)
{
    coil_lock_init(&lab.lock);
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = 0;
    for (int i = 0; i < 3; i++)
        rc = start(&tg, rc, locks_for_a_second());
    return coil_task_group_exit(&tg, rc);
}

static int flag_is_up(void *arg)
{
    (void)arg;
    return lab.flag;
}

COIL_ASYNC0(waits_for_flag)
{
    COIL_TRY(coil_condition_acquire(&lab.condition));
    int rc = COIL_TIMEOUT(10, coil_condition_wait_for(&lab.condition, flag_is_up, NULL));
    coil_condition_release(&lab.condition);
    return rc == COIL_ETIMEDOUT ? 0 : rc;
}

COIL_ASYNC0(raises_flag)
{
    COIL_TRY(coil_sleep(1));
    COIL_TRY(coil_condition_acquire(&lab.condition));
    lab.flag = true;
    int rc = coil_condition_notify(&lab.condition, 1);
    if (rc == 0)
        rc = coil_sleep(1);
    if (rc == 0)
        rc = coil_condition_notify_all(&lab.condition);
    coil_condition_release(&lab.condition);
    return rc;
}

COIL_ASYNC0(condition_program)
{
    lab.flag = false;
    coil_lock_init(&lab.lock);
    coil_condition_init(&lab.condition, &lab.lock);
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = start(&tg, 0, waits_for_flag());
    rc = start(&tg, rc, waits_for_flag());
    rc = start(&tg, rc, raises_flag());
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC0(takes_a_slot)
{
    COIL_TRY(coil_semaphore_acquire(&lab.semaphore));
    int rc = coil_sleep(1);
    coil_semaphore_release(&lab.semaphore);
    return rc;
}

COIL_ASYNC0(semaphore_program)
{
    COIL_TRY(coil_bounded_semaphore_init(&lab.semaphore, 2));
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = 0;
    for (int i = 0; i < 5; i++)
        rc = start(&tg, rc, takes_a_slot());
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC0(semaphore_check)
{
    for (int i = 0; i < 2; i++)
        COIL_TRY(COIL_TIMEOUT(1, coil_semaphore_acquire(&lab.semaphore)));
    EXPECT(coil_semaphore_locked(&lab.semaphore));
    for (int i = 0; i < 2; i++)
        COIL_TRY(coil_semaphore_release(&lab.semaphore));
    return 0;
}

COIL_ASYNC(comes_to_barrier, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    int rc = COIL_TIMEOUT(10, coil_barrier_wait(&lab.barrier));
    return rc == COIL_EBROKEN || rc == COIL_ETIMEDOUT ? 0 : rc;
}

COIL_ASYNC0(barrier_program)
{
    COIL_TRY(coil_barrier_init(&lab.barrier, 3));
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = 0;
    for (int i = 0; i < 6; i++)
        rc = start(&tg, rc, comes_to_barrier(i));
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC0(barrier_check)
{
    COIL_TRY(coil_barrier_reset(&lab.barrier));
    EXPECT_INT(coil_barrier_n_waiting(&lab.barrier), 0);
    lab.barrier.coil__parties = 3;
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = 0;
    for (int i = 0; i < 3; i++)
        rc = start(&tg, rc, comes_to_barrier(0));
    return COIL_TIMEOUT(5, coil_task_group_exit(&tg, rc));
}

COIL_ASYNC0(waits_for_event)
{
    int rc = COIL_TIMEOUT(10, coil_event_wait(&lab.event));
    return rc == COIL_ETIMEDOUT ? 0 : rc;
}

COIL_ASYNC0(sets_event)
{
    COIL_TRY(coil_sleep(1));
    return coil_event_set(&lab.event);
}

COIL_ASYNC0(event_program)
{
    coil_event_init(&lab.event);
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = start(&tg, 0, waits_for_event());
    rc = start(&tg, rc, waits_for_event());
    rc = start(&tg, rc, sets_event());
    return coil_task_group_exit(&tg, rc);
}

/* Items that own something, so that one that is lost shows. */
COIL_ASYNC0(produces)
{
    for (int i = 0; i < 4; i++) {
        coil_value item = token_value(i);
        int rc = coil_queue_put(&lab.queue, item);
        if (rc < 0) {
            coil_value_clear(&item);
            return rc;
        }
    }
    coil_queue_shutdown(&lab.queue, false);
    return 0;
}

COIL_ASYNC0(consumes)
{
    for (;;) {
        coil_value item;
        int rc = COIL_TIMEOUT(10, coil_queue_get(&lab.queue, &item));
        if (rc < 0)
            return rc == COIL_ESHUTDOWN || rc == COIL_ETIMEDOUT ? 0 : rc;
        rc = coil_sleep(1);
        coil_value_clear(&item);
        coil_queue_task_done(&lab.queue);
        COIL_TRY(rc);
    }
}

static int pass_items(void)
{
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = start(&tg, 0, produces());
    rc = start(&tg, rc, consumes());
    rc = start(&tg, rc, consumes());
    if (rc == 0)
        rc = coil_sleep(0.5);
    if (rc == 0)
        rc = COIL_TIMEOUT(20, coil_queue_join(&lab.queue));
    if (rc == COIL_ETIMEDOUT)
        rc = 0;
    if (rc == 0)
        coil_queue_shutdown(&lab.queue, true); /* for a producer whose consumers have gone */
    rc = coil_task_group_exit(&tg, rc);
    return rc;
}

COIL_ASYNC0(queue_program)
{
    coil_queue_init(&lab.queue, 1);
    return pass_items();
}

COIL_ASYNC0(lifo_program)
{
    coil_lifo_queue_init(&lab.queue, 1);
    return pass_items();
}

static int by_number(const coil_value *left, const coil_value *right, void *arg)
{
    (void)arg;
    return (int)(token_number(*left) - token_number(*right));
}

COIL_ASYNC0(priority_program)
{
    coil_priority_queue_init(&lab.queue, 2, by_number, NULL);
    return pass_items();
}

COIL_ASYNC0(queue_check)
{
    int held = held_now().tokens, left = (int)coil_queue_qsize(&lab.queue);
    EXPECT_INT(held, left);
    coil_queue_shutdown(&lab.queue, true);
    COIL_TRY(COIL_TIMEOUT(1, coil_queue_join(&lab.queue)));
    coil_queue_fini(&lab.queue);
    return held_now().tokens == 0 ? 0 : coil_raise(COIL_EAPP, "%d items lost", held);
}

/* The same without limits, which would make good a wakeup that is lost. */
COIL_ASYNC0(gets_one)
{
    coil_value item = coil_nil();
    lab.waiting++;
    int rc = coil_queue_get(&lab.queue, &item);
    lab.waiting--;
    coil_value_clear(&item);
    return rc == COIL_ESHUTDOWN ? 0 : rc;
}

COIL_ASYNC0(puts_one)
{
    coil_value item = token_value(1);
    lab.waiting++;
    int rc = coil_queue_put(&lab.queue, item);
    lab.waiting--;
    if (rc < 0)
        coil_value_clear(&item);
    return rc == COIL_ESHUTDOWN ? 0 : rc;
}

/* One item for three getters, and one place for three putters: whoever has been cancelled, it is taken. */
static int serve_waiters(bool getters)
{
    coil_value item = token_value(2);
    int rc = coil_sleep(1);
    if (rc == 0 && getters)
        rc = coil_queue_put_nowait(&lab.queue, item);
    if (rc < 0 || !getters)
        coil_value_clear(&item);
    if (rc == 0 && !getters && coil_queue_get_nowait(&lab.queue, &item) == 0)
        coil_value_clear(&item);
    if (rc == 0)
        rc = coil_sleep(1);
    bool free = getters ? !coil_queue_empty(&lab.queue) : !coil_queue_full(&lab.queue);
    lab.flag |= rc == 0 && free && lab.waiting > 0;
    coil_queue_shutdown(&lab.queue, false);
    return rc;
}

static int wait_in_queue(bool getters)
{
    lab.flag = false;
    lab.waiting = 0;
    coil_queue_init(&lab.queue, 1);
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = 0;
    if (!getters)
        rc = start(&tg, rc, puts_one());
    for (int i = 0; i < 3; i++)
        rc = start(&tg, rc, getters ? gets_one() : puts_one());
    if (rc == 0)
        rc = serve_waiters(getters);
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC0(getters_program)
{
    return wait_in_queue(true);
}

COIL_ASYNC0(putters_program)
{
    return wait_in_queue(false);
}

COIL_ASYNC0(nobody_was_left_waiting)
{
    coil_queue_fini(&lab.queue);
    EXPECT_INT(held_now().tokens, 0);
    return lab.flag ? coil_raise(COIL_EAPP, "somebody waits in vain") : 0;
}

COIL_ASYNC(gives_token, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    *coil_result = token_value(1);
    return 0;
}

COIL_ASYNC0(gather_program)
{
    /* Collecting: else the others go on when one fails, and would be found. */
    coil_value results[3];
    COIL_TRY(coil_gather_collect(results, gives_token(1), gives_token(2), gives_token(2)));
    for (int i = 0; i < 3; i++)
        coil_value_clear(&results[i]);
    return 0;
}

COIL_ASYNC0(tokens_are_back)
{
    EXPECT_INT(held_now().tokens, 0);
    return 0;
}

COIL_ASYNC0(sleeps_and_cleans_up)
{
    int rc = coil_sleep(10);
    int cleanup = coil_sleep(1);
    return rc < 0 ? rc : cleanup;
}

/* Ends tasks, whatever they do. */
static int end_tasks(coil_task **tasks, int count, int rc)
{
    for (int i = 0; i < count; i++)
        if (tasks[i])
            coil_task_cancel(tasks[i], NULL);
    for (int i = 0; i < count; i++) {
        if (tasks[i])
            (void)coil_await(tasks[i], NULL); /* as it was told */
        coil_unref(tasks[i]);
    }
    return rc;
}

static int make_tasks(coil_task **tasks, int count)
{
    int rc = 0;
    for (int i = 0; i < count; i++) {
        tasks[i] = coil_create_task(gives_token(i + 1));
        if (!tasks[i])
            rc = COIL_ENOMEM;
    }
    return rc;
}

COIL_ASYNC0(gather_tasks_program)
{
    coil_task *tasks[3];
    int rc = make_tasks(tasks, 3);
    if (rc == 0)
        rc = coil_gather(NULL, tasks[0], tasks[1], tasks[2]);
    return end_tasks(tasks, 3, rc);
}

COIL_ASYNC0(wait_program)
{
    coil_task *tasks[3];
    int rc = make_tasks(tasks, 3);
    if (rc == 0)
        rc = coil_wait(tasks, 3, 10, COIL_FIRST_COMPLETED);
    if (rc >= 0)
        rc = coil_wait(tasks, 2, 0.5, COIL_ALL_COMPLETED);
    return end_tasks(tasks, 3, rc < 0 ? rc : 0);
}

COIL_ASYNC0(as_completed_program)
{
    coil_task *tasks[3];
    coil_as_completed iterator;
    int rc = make_tasks(tasks, 3);
    if (rc == 0)
        rc = coil_as_completed_init(&iterator, tasks, 3, 2.5);
    if (rc == 0) {
        coil_future *future;
        while ((rc = coil_as_completed_next(&iterator, &future)) == 0)
            continue;
        coil_as_completed_fini(&iterator);
    }
    return end_tasks(tasks, 3, rc == COIL_ETIMEDOUT || rc == COIL_EEND ? 0 : rc);
}

COIL_ASYNC0(wait_for_program)
{
    coil_value value;
    COIL_TRY(coil_wait_for(gives_token(1), 5, &value));
    coil_value_clear(&value);
    int rc = coil_wait_for(gives_token(5), 1, NULL);
    return rc == COIL_ETIMEDOUT ? 0 : rc;
}

COIL_ASYNC0(shield_program)
{
    coil_task *task[1];
    int rc = make_tasks(task, 1);
    if (rc == 0)
        rc = coil_shield(task[0], NULL);
    if (rc == COIL_ECANCELED)
        (void)coil_await(task[0], NULL); /* it goes on: to its end */
    return end_tasks(task, 1, rc);
}

static int sleep_twice(void)
{
    COIL_TRY(coil_sleep(1));
    int rc = COIL_TIMEOUT(1, coil_sleep(4));
    return rc == COIL_ETIMEDOUT ? coil_sleep(1) : rc;
}

COIL_ASYNC0(timeout_program)
{
    COIL_TRY(COIL_TIMEOUT(5, sleep_twice()));
    int rc = COIL_TIMEOUT(2, sleep_twice());
    return rc == COIL_ETIMEDOUT ? 0 : rc;
}

COIL_ASYNC0(cancel_and_wait_program)
{
    coil_task *task = coil_create_task(sleeps_and_cleans_up());
    if (!task)
        return coil_error_last();
    int rc = coil_sleep(1);
    int ended = coil_cancel_and_wait(task, NULL);
    coil_unref(task);
    return rc < 0 ? rc : ended;
}

/* Holds the lock from the first item to the last; and its cleanup waits. */
COIL_ASYNC_GEN(gives_under_lock, (int, count))
{
    COIL_TRY(coil_lock_acquire(&lab.lock));
    int rc = coil_sleep(1);
    for (int i = 0; i < count && rc == 0; i++) {
        rc = coil_yield(token_value(i), NULL);
        if (rc == 0)
            rc = coil_sleep(1);
    }
    coil_lock_release(&lab.lock);
    int cleanup = coil_sleep(1);
    return rc < 0 ? rc : cleanup;
}

static int take_items(coil_gen *gen, int most)
{
    coil_async_iterator *items = coil_gen_iterator(gen);
    coil_value item;
    int rc = 0;
    while (most-- > 0 && (rc = coil_anext(items, &item)) == 0)
        coil_value_clear(&item);
    return rc == COIL_EEND ? 0 : rc;
}

/* One that is closed half-way, and one that comes to its end. */
COIL_ASYNC0(generator_program)
{
    coil_lock_init(&lab.lock);
    for (int most = 1; most < 9; most += 4) {
        coil_gen *gen = gives_under_lock(3);
        if (!gen)
            return coil_error_last();
        int rc = take_items(gen, most);
        int closed = coil_gen_close(gen);
        coil_unref(gen);
        COIL_TRY(rc);
        COIL_TRY(closed);
    }
    return 0;
}

COIL_ASYNC_GEN(holds_lock, (int, number))
{
    COIL_TRY(coil_lock_acquire(&lab.lock));
    int rc = coil_sleep(1);
    if (rc == 0)
        rc = coil_yield(token_value(number), NULL);
    coil_lock_release(&lab.lock);
    return rc;
}

COIL_ASYNC0(scope_program)
{
    coil_lock_init(&lab.lock);
    coil_scope scope;
    coil_value token;
    COIL_TRY(coil_scope_enter(&scope, holds_lock(7), &token));
    int rc = coil_sleep(1);
    coil_value_clear(&token);
    return coil_scope_exit(&scope, rc);
}

COIL_ASYNC(fails_after, (double, delay))
{
    COIL_TRY(coil_sleep(delay));
    return coil_raise(COIL_EAPP, "as planned");
}

COIL_ASYNC(runs_group, (bool, fails))
{
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = start(&tg, 0, gives_token(1));
    rc = start(&tg, rc, gives_token(3));
    if (fails)
        rc = start(&tg, rc, fails_after(2));
    return coil_task_group_exit(&tg, rc);
}

COIL_ASYNC0(group_program)
{
    coil_task_group tg;
    COIL_TRY(coil_task_group_enter(&tg));
    int rc = start(&tg, 0, runs_group(false));
    rc = start(&tg, rc, runs_group(true));
    rc = coil_task_group_exit(&tg, rc);
    coil_error *caught;
    rc = coil_error_catch(rc, COIL_EAPP, &caught);
    coil_unref(caught);
    return rc;
}

/* More than the socket's buffers take. What ends, for whatever reason, lets the other end know; but what
 * is cancelled before it begins cannot. */
COIL_ASYNC(sends, (int, fd))
{
    int rc = COIL_TIMEOUT(10, coil_sock_sendall(fd, lab.bytes, sizeof lab.bytes));
    shutdown(fd, SHUT_RDWR);
    return rc == -EPIPE || rc == -ECONNRESET || rc == COIL_ETIMEDOUT ? 0 : rc;
}

COIL_ASYNC(receives, (int, fd))
{
    static char buffer[1 << 16];
    int got;
    do
        got = COIL_TIMEOUT(10, coil_sock_recv(fd, buffer, sizeof buffer));
    while (got > 0);
    shutdown(fd, SHUT_RDWR);
    return got == -ECONNRESET || got == COIL_ETIMEDOUT ? 0 : got;
}

COIL_ASYNC0(stream_program)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    coil_task_group tg;
    int rc = coil_task_group_enter(&tg);
    if (rc == 0) {
        rc = start(&tg, 0, receives(pair[0]));
        rc = start(&tg, rc, sends(pair[1]));
        rc = coil_task_group_exit(&tg, rc);
    }
    coil_sock_close(pair[0]);
    coil_sock_close(pair[1]);
    return rc;
}

COIL_ASYNC(connects, (int, listener))
{
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    char byte;
    COIL_TRY(coil_sleep(1));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        return coil_raise(-errno, "no socket");
    int rc = coil_sock_connect(fd, (struct sockaddr *)&address, length);
    if (rc == 0)
        rc = COIL_TIMEOUT(10, (int)coil_sock_recv(fd, &byte, 1));
    coil_sock_close(fd);
    return rc == COIL_ETIMEDOUT || rc == -ECONNRESET || rc > 0 ? 0 : rc;
}

COIL_ASYNC(accepts, (int, listener))
{
    int fd = COIL_TIMEOUT(5, coil_sock_accept(listener, NULL, NULL));
    if (fd < 0)
        return fd == COIL_ETIMEDOUT ? 0 : fd;
    int rc = coil_sleep(1);
    if (rc == 0)
        rc = coil_sock_sendall(fd, "!", 1);
    coil_sock_close(fd);
    return rc == -EPIPE ? 0 : rc;
}

COIL_ASYNC0(accept_program)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
        listen(listener, 1) < 0)
        return coil_raise(-errno, "no listener");
    coil_task_group tg;
    int rc = coil_task_group_enter(&tg);
    if (rc == 0) {
        rc = start(&tg, 0, accepts(listener));
        rc = start(&tg, rc, connects(listener));
        rc = coil_task_group_exit(&tg, rc);
    }
    coil_sock_close(listener);
    return rc;
}

COIL_ASYNC(says_goodbye, (double, delay))
{
    int rc = coil_sleep(delay);
    int goodbye = COIL_SHIELDED(1, coil_sleep(0.5));
    return rc < 0 ? rc : goodbye;
}

static int wait_in_scopes(coil_cancel_scope *inner)
{
    COIL_TRY(COIL_TIMEOUT(1, coil_sleep(0.5)));
    COIL_TRY(coil_cancel_scope_enter_after(inner, 1));
    int rc = coil_sleep(4);
    COIL_TRY(coil_cancel_scope_exit(inner, rc));
    return coil_sleep(0.5);
}

/* A scope, tasks in it, and scopes in them; it is cancelled half-way. */
COIL_ASYNC0(cancel_scope_program)
{
    coil_cancel_scope outer, inner;
    coil_task_group tg;
    COIL_TRY(coil_cancel_scope_enter_after(&outer, 3));
    int rc = coil_task_group_enter(&tg);
    if (rc == 0) {
        rc = start(&tg, 0, says_goodbye(1));
        rc = start(&tg, rc, says_goodbye(10));
        rc = rc == 0 ? wait_in_scopes(&inner) : rc;
        rc = rc == 0 ? coil_sleep(100) : rc;
        rc = coil_task_group_exit(&tg, rc);
    }
    return coil_cancel_scope_exit(&outer, rc);
}

struct subject {
    const char *name;
    coil_coro *(*program)(void);
    coil_coro *(*check)(void);
};

static const struct subject subjects[] = {
    { "lock", lock_program, lock_is_free },
    { "condition", condition_program, lock_is_free },
    { "semaphore", semaphore_program, semaphore_check },
    { "barrier", barrier_program, barrier_check },
    { "event", event_program, tokens_are_back },
    { "queue", queue_program, queue_check },
    { "lifo", lifo_program, queue_check },
    { "priority", priority_program, queue_check },
    { "getters", getters_program, nobody_was_left_waiting },
    { "putters", putters_program, nobody_was_left_waiting },
    { "gather", gather_program, tokens_are_back },
    { "gather tasks", gather_tasks_program, tokens_are_back },
    { "wait", wait_program, tokens_are_back },
    { "as_completed", as_completed_program, tokens_are_back },
    { "wait_for", wait_for_program, tokens_are_back },
    { "shield", shield_program, tokens_are_back },
    { "timeout", timeout_program, tokens_are_back },
    { "group", group_program, tokens_are_back },
    { "cancel_and_wait", cancel_and_wait_program, tokens_are_back },
    { "generator", generator_program, lock_is_free },
    { "scope", scope_program, lock_is_free },
    { "stream", stream_program, tokens_are_back },
    { "accept", accept_program, tokens_are_back },
    { "cancel scope", cancel_scope_program, tokens_are_back },
};

static coil_coro *make_program(void *subject)
{
    return ((const struct subject *)subject)->program();
}

static coil_coro *make_check(void *subject)
{
    return ((const struct subject *)subject)->check();
}

TEST(nothing_is_wrong_with_what_the_library_waits_in)
{
    /* Every point of the main task, and then of every task. */
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct subject subject = subjects[i];
        struct held before = held_now();
        coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
        options.name = subject.name;
        options.check = make_check;
        alarm(120);
        EXPECT_INT(coil_testing_explore(make_program, &subject, &options), 0);
        options.task = "*";
        EXPECT_INT(coil_testing_explore(make_program, &subject, &options), 0);
        alarm(0);
        held_expect(before, subject.name);
    }
}

COIL_ASYNC(in_a_scope, (struct subject *, subject))
{
    coil_cancel_scope scope;
    COIL_TRY(coil_cancel_scope_enter_after(&scope, 1.5));
    int rc = coil_await(subject->program(), NULL);
    return coil_cancel_scope_exit(&scope, rc);
}

static coil_coro *make_in_a_scope(void *subject)
{
    return in_a_scope(subject);
}

TEST(nothing_is_wrong_with_it_in_a_cancelled_scope)
{
    /* From then on no wait of the main task works, nor of its groups' tasks, and whatever happens besides,
     * nothing may be lost, nor spin. */
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct subject subject = subjects[i];
        struct held before = held_now();
        coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
        options.name = subject.name;
        options.check = make_check;
        alarm(120);
        EXPECT_INT(coil_testing_explore(make_in_a_scope, &subject, &options), 0);
        alarm(0);
        held_expect(before, subject.name);
    }
}

TEST(tasks_that_are_left_are_ended_as_coil_run_does)
{
    /* A program that relies on that is not at fault. */
    coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
    options.modes = COIL_EXPLORE_ALL & ~(unsigned)COIL_EXPLORE_ALLOC;
    options.as_run = true;
    EXPECT_INT(coil_testing_explore(make_leaves_a_task, NULL, &options), 0);
    options.task = "*";
    EXPECT_INT(coil_testing_explore(make_leaves_a_task, NULL, &options), 0);
}

COIL_ASYNC0(explores_inside)
{
    EXPECT_INT(coil_testing_explore(make_fails, NULL, NULL), COIL_ENESTED);
    return 0;
}

TEST(explorer_refuses_to_run_inside_a_loop)
{
    EXPECT_INT(coil_run(explores_inside(), NULL), 0);
    free(words);
    words = NULL;
}

TESTS_MAIN(RUN(lock_that_is_kept_is_found_at_the_point_where_it_is),
           RUN(one_point_can_be_tried_again_by_itself), RUN(descriptor_that_is_left_open_is_found),
           RUN(memory_that_is_lost_when_memory_is_short_is_found),
           RUN(wakeup_that_is_lost_between_waking_and_running_is_found),
           RUN(task_and_timer_that_are_left_are_found), RUN(program_that_does_not_end_is_found),
           RUN(program_that_fails_undisturbed_is_tried_no_further),
           RUN(nothing_is_wrong_with_what_the_library_waits_in),
           RUN(tasks_that_are_left_are_ended_as_coil_run_does),
           RUN(nothing_is_wrong_with_it_in_a_cancelled_scope),
           RUN(explorer_refuses_to_run_inside_a_loop))
