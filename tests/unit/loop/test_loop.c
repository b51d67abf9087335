/* The loop: running, stopping, nesting, closing; turns; several loops; what the environment says. */
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

static char journal[256];
static size_t journal_length;

static void clear_journal(void)
{
    journal_length = 0;
    journal[0] = '\0';
}

static void note_char(char c)
{
    if (journal_length < sizeof journal - 1) {
        journal[journal_length++] = c;
        journal[journal_length] = '\0';
    }
}

static void *letter(char c)
{
    return (void *)(intptr_t)c;
}

static int note(void *arg)
{
    note_char((char)(intptr_t)arg);
    return 0;
}

static int stop(void *arg)
{
    (void)arg;
    coil_loop_stop(NULL);
    return 0;
}

static coil_loop *new_virtual(void)
{
    clear_journal();
    coil__errors_forget_thread();
    return coil_testing_virtual_loop(NULL);
}

static coil_loop *new_real(void)
{
    clear_journal();
    coil__errors_forget_thread();
    return coil_new_event_loop();
}

static void end(coil_loop *loop)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* ---- running and stopping -------------------------------------------------------------------- */

static int look_around(void *arg)
{
    coil_loop *loop = arg;
    EXPECT_PTR(coil_get_running_loop(), loop);
    EXPECT(coil_loop_is_running(loop));
    EXPECT_PTR(coil_current_task(), NULL);
    return stop(NULL);
}

TEST(loop_is_the_running_one_while_it_runs)
{
    coil_loop *loop = new_real();
    EXPECT_PTR(coil_get_running_loop(), NULL);
    EXPECT(!coil_loop_is_running(loop));
    EXPECT_INT(coil_call_soon(loop, look_around, loop, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT(!coil_loop_is_running(loop));
    EXPECT_PTR(coil_get_running_loop(), NULL);
    EXPECT(!coil_loop_is_closed(loop));
    end(loop);
}

static int queue_more(void *arg)
{
    (void)arg;
    note_char('a');
    return coil_call_soon(NULL, note, letter('c'), NULL);
}

static void stop_before_the_run(coil_loop *loop)
{
    coil_loop_stop(loop);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_STR(journal, "");
    EXPECT_INT(coil_call_soon(loop, queue_more, NULL, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note, letter('b'), NULL), 0);
    coil_loop_stop(loop);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_STR(journal, "ab");
    coil_loop_stop(loop);
    coil_loop_stop(loop);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_STR(journal, "abc");
    end(loop);
}

TEST(stop_before_a_run_makes_it_one_turn)
{
    stop_before_the_run(new_virtual());
    stop_before_the_run(new_real());
}

static int stop_and_queue(void *arg)
{
    (void)arg;
    note_char('s');
    coil_loop_stop(NULL);
    return coil_call_soon(NULL, note, letter('x'), NULL);
}

TEST(stop_lets_the_turn_finish_and_keeps_the_rest)
{
    coil_loop *loops[] = { new_virtual(), new_real() };
    for (int i = 0; i < 2; i++) {
        clear_journal();
        EXPECT_INT(coil_call_soon(loops[i], stop_and_queue, NULL, NULL), 0);
        EXPECT_INT(coil_call_soon(loops[i], note, letter('a'), NULL), 0);
        EXPECT_INT(coil_run_forever(loops[i]), 0);
        EXPECT_STR(journal, "sa");
        EXPECT_INT(coil_call_soon(loops[i], stop, NULL, NULL), 0);
        EXPECT_INT(coil_run_forever(loops[i]), 0);
        EXPECT_STR(journal, "sax");
        end(loops[i]);
    }
}

TEST(stop_without_a_loop_is_harmless)
{
    coil_loop_stop(NULL);
    EXPECT_PTR(coil_get_running_loop(), NULL);
}

static int run_inside(void *arg)
{
    coil_loop **loops = arg;
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(coil_run_forever(loops[i]), COIL_ENESTED);
        EXPECT_INT(coil_loop_step(loops[i], 0), COIL_ENESTED);
    }
    EXPECT(coil_error_current(COIL_ENESTED) != NULL);
    EXPECT_INT(coil_loop_close(loops[0]), COIL_ERUNTIME);
    EXPECT_PTR(coil_get_running_loop(), loops[0]);
    note_char('i');
    return stop(NULL);
}

TEST(loops_do_not_nest)
{
    coil_loop *loops[] = { new_virtual(), new_virtual() };
    EXPECT_INT(coil_call_soon(loops[0], run_inside, loops, NULL), 0);
    EXPECT_INT(coil_call_soon(loops[1], note, letter('x'), NULL), 0);
    EXPECT_INT(coil_run_forever(loops[0]), 0);
    EXPECT_STR(journal, "i");
    EXPECT(!coil_loop_is_closed(loops[0]));
    end(loops[0]);
    end(loops[1]);
}

COIL_ASYNC(gives, (int, number))
{
    COIL_TRY(coil_sleep(1));
    if (number < 0)
        return coil_raise(number, "as ordered");
    coil_return(number);
}

TEST(run_until_complete_gives_the_result_or_the_error)
{
    coil_loop *loop = new_virtual();
    coil_value value;
    EXPECT_INT(coil_run_until_complete(loop, gives(7), &value), 0);
    EXPECT_INT(value.integer, 7);
    EXPECT_INT(coil_run_until_complete(loop, gives(8), NULL), 0);
    EXPECT_INT(coil_run_until_complete(loop, gives(COIL_EAPP), &value), COIL_EAPP);
    EXPECT_INT(value.integer, 7);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EAPP)), "as ordered");
    coil_future *future = coil_create_future(loop);
    EXPECT_INT(coil_future_set_result(future, coil_int(9)), 0);
    EXPECT_INT(coil_run_until_complete(loop, future, &value), 0);
    EXPECT_INT(value.integer, 9);
    coil_unref(future);
    end(loop);
}

TEST(run_until_complete_that_is_stopped_says_so)
{
    coil_loop *loop = new_virtual();
    coil_future *future = coil_create_future(loop);
    EXPECT_INT(coil_call_soon(loop, stop, NULL, NULL), 0);
    EXPECT_INT(coil_run_until_complete(loop, future, NULL), COIL_ERUNTIME);
    EXPECT(!coil_future_done(future));
    coil_unref(future);
    end(loop);
}

COIL_ASYNC0(leaves)
{
    note_char('l');
    return coil_exit(3);
}

TEST(exit_leaves_at_once_and_keeps_the_rest_of_the_turn)
{
    coil_loop *loop = new_virtual();
    coil_task *task = coil_create_task_with(loop, leaves(), NULL);
    EXPECT_INT(coil_call_soon(loop, note, letter('a'), NULL), 0);
    EXPECT_INT(coil_call_soon(loop, note, letter('b'), NULL), 0);
    EXPECT_INT(coil_run_forever(loop), COIL_EEXIT);
    EXPECT_STR(journal, "l");
    EXPECT_INT(coil_error_detail(coil_error_current(COIL_EEXIT)), 3);
    EXPECT_INT(coil_call_soon(loop, note, letter('c'), NULL), 0);
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
    EXPECT_STR(journal, "labc");
    EXPECT_INT(coil_future_result(task, NULL), COIL_EEXIT);
    coil_unref(task);
    end(loop);
}

/* ---- turns ----------------------------------------------------------------------------------- */

COIL_ASYNC(yields, (char, name), (int, times))
{
    for (int i = 0; i < times; i++) {
        note_char(name);
        COIL_TRY(coil_sleep(0));
    }
    note_char((char)(name - 'a' + 'A'));
    coil_return(0);
}

static void run_mixed(coil_loop *loop)
{
    /* Tasks that hand over to one another directly must not run ahead of callbacks in between. */
    coil_unref(coil_create_task_with(loop, yields('a', 3), NULL));
    EXPECT_INT(coil_call_soon(loop, queue_more, NULL, NULL), 0);
    coil_unref(coil_create_task_with(loop, yields('b', 2), NULL));
    EXPECT_INT(coil_run_until_complete(loop, yields('z', 6), NULL), 0);
    EXPECT_STR(journal, "aabz"
                        "acbz"
                        "aBz"
                        "Az"
                        "zzZ");
    end(loop);
}

TEST(turn_runs_what_was_ready_when_it_began)
{
    run_mixed(new_virtual());
    run_mixed(new_real());
}

static int turns_seen;

static int again(void *arg)
{
    int *left = arg;
    turns_seen++;
    if (--*left > 0)
        return coil_call_soon(NULL, again, left, NULL);
    return 0;
}

TEST(callback_that_queues_itself_runs_once_a_turn)
{
    coil_loop *loop = new_real();
    int left = 100;
    turns_seen = 0;
    EXPECT_INT(coil_call_soon(loop, again, &left, NULL), 0);
    for (int turn = 1; turn <= 100; turn++) {
        coil_loop_stop(loop);
        EXPECT_INT(coil_run_forever(loop), 0);
        EXPECT_INT(turns_seen, turn);
    }
    end(loop);
}

/* ---- nobody starves -----------------------------------------------------------------------------
 * While something is always ready, the kernel is asked every so many turns. Counted in turns, so that the
 * speed of the machine plays no part. */

enum {
    STALE_TURNS = COIL__TURNS_MAX + 2
};

static struct {
    int sockets[2];
    bool done;           /* what we wait for has happened */
    int turns;           /* of the busy ones */
    int begin_at;        /* at this turn the socket becomes readable */
    int began, happened; /* turns */
    double due;
    int64_t busy_ns;
} busy;

static int on_happened(void *arg)
{
    busy.happened = busy.turns;
    busy.done = true;
    coil_remove_reader(NULL, busy.sockets[0]);
    (void)arg;
    return 0;
}

static void burn(int64_t ns)
{
    for (int64_t end_ns = coil__clock_ns() + ns; coil__clock_ns() < end_ns;) {}
}

static void busy_turn(void)
{
    busy.turns++;
    if (busy.busy_ns > 0)
        burn(busy.busy_ns);
    if (busy.due > 0 && busy.began == 0 && coil_loop_time(NULL) >= busy.due)
        busy.began = busy.turns;
    if (busy.due == 0 && busy.turns == busy.begin_at) {
        busy.began = busy.turns;
        EXPECT_INT(write(busy.sockets[1], "x", 1), 1);
    }
}

COIL_ASYNC(yields_for_ever, (bool, counts))
{
    while (!busy.done && busy.turns < 100 * 1000 * 1000) {
        if (counts)
            busy_turn();
        COIL_TRY(coil_sleep(0));
    }
    coil_return(0);
}

static void begin_busy(void)
{
    memset(&busy, 0, sizeof busy);
    busy.sockets[0] = busy.sockets[1] = -1;
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, busy.sockets), 0);
}

static void end_busy(void)
{
    close(busy.sockets[0]);
    close(busy.sockets[1]);
}

static void yield_until_it_happened(coil_loop *loop)
{
    coil_task *other = coil_create_task_with(loop, yields_for_ever(false), NULL);
    EXPECT_INT(coil_run_until_complete(loop, yields_for_ever(true), NULL), 0);
    EXPECT(coil_future_done(other) || coil_run_until_complete(loop, other, NULL) == 0);
    coil_unref(other);
}

TEST(tasks_that_yield_for_ever_do_not_starve_descriptors)
{
    begin_busy();
    coil_loop *loop = new_real();
    EXPECT_INT(coil_add_reader(loop, busy.sockets[0], on_happened, NULL), 0);
    busy.begin_at = 1000;
    yield_until_it_happened(loop);
    EXPECT(busy.done);
    EXPECT_INT(busy.began, 1000);
    EXPECT(busy.happened - busy.began <= STALE_TURNS);
    end(loop);
    end_busy();
}

TEST(tasks_that_yield_for_ever_do_not_starve_timers)
{
    begin_busy();
    coil_loop *loop = new_real();
    busy.due = coil_loop_time(loop) + 0.002;
    EXPECT_INT(coil_call_at(loop, busy.due, on_happened, NULL, NULL), 0);
    yield_until_it_happened(loop);
    EXPECT(busy.done);
    EXPECT(busy.began == 0 || busy.happened - busy.began <= STALE_TURNS);
    EXPECT(coil_loop_time(loop) >= busy.due);
    end(loop);
    end_busy();
}

static int busy_callback(void *arg)
{
    busy_turn();
    return busy.done ? stop(arg) : coil_call_soon(NULL, busy_callback, arg, NULL);
}

TEST(callbacks_that_queue_themselves_do_not_starve_descriptors)
{
    begin_busy();
    coil_loop *loop = new_real();
    EXPECT_INT(coil_add_reader(loop, busy.sockets[0], on_happened, NULL), 0);
    EXPECT_INT(coil_call_soon(loop, busy_callback, NULL, NULL), 0);
    busy.begin_at = 1000;
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT(busy.done);
    EXPECT(busy.happened - busy.began <= STALE_TURNS);
    end(loop);
    end_busy();
}

TEST(slow_turns_are_polled_more_often)
{
    /* Sixty-four turns of a tenth of a millisecond would keep a socket waiting for six. */
    begin_busy();
    coil_loop *loop = new_real();
    EXPECT_INT(coil_add_reader(loop, busy.sockets[0], on_happened, NULL), 0);
    busy.busy_ns = 2 * COIL__TURNS_NS;
    busy.begin_at = 2 * COIL__TURNS_MAX;
    yield_until_it_happened(loop);
    EXPECT(busy.done);
    EXPECT(busy.happened - busy.began <= 2);
    end(loop);
    end_busy();
}

static void *post(void *arg)
{
    EXPECT_INT(coil_call_soon_threadsafe(arg, on_happened, NULL), 0);
    return NULL;
}

TEST(tasks_that_yield_for_ever_do_not_starve_other_threads)
{
    begin_busy();
    coil_loop *loop = new_real();
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, post, loop) == 0);
    yield_until_it_happened(loop);
    pthread_join(thread, NULL);
    EXPECT(busy.done);
    end(loop);
    end_busy();
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST(closed_loop_refuses_and_answers)
{
    coil_loop *loop = new_real();
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT(coil_loop_is_closed(loop));
    EXPECT(!coil_loop_is_running(loop));
    EXPECT_INT(coil_run_forever(loop), COIL_ECLOSED);
    EXPECT_INT(coil_loop_step(loop, 0), COIL_ECLOSED);
    EXPECT_INT(coil_run_until_complete(loop, gives(1), NULL), COIL_ECLOSED);
    EXPECT_INT(coil_loop_fd(loop), COIL_ECLOSED);
    EXPECT_INT(coil_call_soon_threadsafe(loop, note, NULL), COIL_ECLOSED);
    EXPECT_PTR(coil_create_future(loop), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    EXPECT_PTR(coil_create_task_with(loop, gives(1), NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_ECLOSED);
    EXPECT(strlen(coil_loop_backend(loop)) > 0);
    EXPECT(coil_loop_time(loop) > 0);
    coil_loop_stop(loop);
    coil_unref(loop);
}

static int released;

static void count_release(void *arg)
{
    (void)arg;
    released++;
}

COIL_ASYNC(waits_and_cleans_up, (coil_future *, future), (int *, cleaned_out))
{
    int rc = future ? coil_await(future, NULL) : coil_sleep(1000);
    EXPECT_INT(rc, COIL_ECLOSING);
    EXPECT_INT(coil_sleep(0), COIL_ECLOSING);
    ++*cleaned_out;
    return rc;
}

static int count_lost(coil_loop *loop, const coil_report *report, void *arg)
{
    (void)loop;
    EXPECT_INT(report->event, COIL_EVENT_TASK_LOST);
    ++*(int *)arg;
    return 0;
}

TEST(loop_closes_with_everything_pending)
{
    coil__errors_forget_thread();
    size_t blocks = coil_testing_alloc_count();
    int descriptors = open_descriptors();
    int sockets[2], cleaned = 0, lost = 0;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) == 0);
    coil_loop *loop = new_virtual();
    coil_set_exception_handler(loop, count_lost, &lost);
    static const coil_call_options options = { sizeof options, NULL, count_release };
    released = 0;

    EXPECT_INT(coil_add_reader(loop, sockets[0], note, letter('x')), 0);
    coil_future *future = coil_create_future(loop);
    coil_task *tasks[] = {
        coil_create_task_with(loop, waits_and_cleans_up(NULL, &cleaned), NULL),
        coil_create_task_with(loop, waits_and_cleans_up(future, &cleaned), NULL),
    };
    coil_loop_stop(loop);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(coil_add_writer(loop, sockets[0], note, letter('x')), 0);
    for (int i = 0; i < 100; i++) {
        EXPECT_INT(coil_call_soon_with(loop, note, letter('x'), &options, NULL), 0);
        EXPECT_INT(coil_call_later_with(loop, i, note, letter('x'), &options, NULL), 0);
        EXPECT_INT(coil_call_soon_threadsafe_with(loop, note, letter('x'), &options), 0);
    }
    EXPECT_INT(coil_loop_close(loop), 0);

    EXPECT_STR(journal, "");
    EXPECT_INT(released, 300);
    EXPECT_INT(cleaned, 2);
    EXPECT_INT(lost, 2);
    for (int i = 0; i < 2; i++) {
        EXPECT(coil_future_done(tasks[i]));
        coil_unref(tasks[i]);
    }
    EXPECT(!coil_future_done(future));
    coil_unref(future);
    coil_unref(loop);
    close(sockets[0]);
    close(sockets[1]);
    coil__errors_forget_thread();
    EXPECT_INT(coil_testing_alloc_count(), blocks);
    EXPECT_INT(open_descriptors(), descriptors);
}

static int logged_event;
static int logged_count;

static void remember_log(coil_loop *loop, coil_log_level level, const coil_report *report,
                         void *arg)
{
    (void)loop;
    (void)arg;
    EXPECT_INT(level, COIL_LOG_WARNING);
    logged_event = report->event;
    logged_count++;
}

TEST(loop_released_without_close_is_reported_and_closed)
{
    coil__errors_forget_thread();
    size_t blocks = coil_testing_alloc_count();
    int descriptors = open_descriptors();
    coil_loop *loop = new_real();
    static const coil_call_options options = { sizeof options, NULL, count_release };
    released = logged_count = 0;
    coil_set_logger(loop, remember_log, NULL);
    EXPECT_INT(coil_call_soon_with(loop, note, letter('x'), &options, NULL), 0);
    coil_unref(loop);
    EXPECT_INT(logged_count, 1);
    EXPECT_INT(logged_event, COIL_EVENT_UNCLOSED_LOOP);
    EXPECT_INT(released, 1);
    EXPECT_INT(coil_testing_alloc_count(), blocks);
    EXPECT_INT(open_descriptors(), descriptors);
}

/* ---- several loops --------------------------------------------------------------------------- */

TEST(loops_follow_one_another_in_a_thread)
{
    for (int i = 0; i < 5; i++) {
        coil_loop *loop = i % 2 ? new_virtual() : new_real();
        coil_value value;
        EXPECT_INT(coil_call_soon(loop, note, letter('a'), NULL), 0);
        coil_future *future = coil_create_future(loop);
        EXPECT_INT(coil_future_set_result(future, coil_int(i)), 0);
        EXPECT_INT(coil_run_until_complete(loop, future, &value), 0);
        EXPECT_INT(value.integer, i);
        EXPECT_STR(journal, "a");
        coil_unref(future);
        end(loop);
    }
}

TEST(loops_take_turns_in_a_thread)
{
    coil_loop *loops[] = { new_virtual(), new_real(), new_virtual() };
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++) {
            EXPECT_INT(coil_call_soon(loops[i], note, letter((char)('0' + i)), NULL), 0);
            EXPECT_INT(coil_call_soon(loops[i], stop, NULL, NULL), 0);
        }
        clear_journal();
        for (int i = 3; i-- > 0;)
            EXPECT_INT(coil_run_forever(loops[i]), 0);
        EXPECT_STR(journal, "210");
    }
    for (int i = 0; i < 3; i++)
        end(loops[i]);
}

COIL_ASYNC(counts_with_a_child, (int, left), (int *, count_out))
{
    ++*count_out;
    COIL_TRY(coil_sleep(0));
    if (left > 0) {
        coil_task *child = coil_create_task(counts_with_a_child(left - 1, count_out));
        int rc = coil_await(child, NULL);
        coil_unref(child);
        COIL_TRY(rc);
    }
    COIL_TRY(coil_sleep(0.001));
    coil_return(left);
}

static void *run_a_loop(void *arg)
{
    int *count = arg;
    for (int i = 0; i < 3; i++) {
        coil_value value;
        if (coil_run(counts_with_a_child(20, count), &value) == 0)
            *count += (int)value.integer;
    }
    return NULL;
}

TEST(loops_run_side_by_side_in_threads)
{
    enum {
        THREADS = 4
    };
    size_t blocks = coil_testing_alloc_count();
    pthread_t threads[THREADS];
    int counts[THREADS] = { 0 };
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, run_a_loop, &counts[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_INT(counts[i], 3 * (21 + 20));
    }
    EXPECT_INT(coil_testing_alloc_count(), blocks);
}

static void *close_in_thread(void *arg)
{
    end(arg);
    return NULL;
}

TEST(loop_that_ran_here_may_be_closed_elsewhere)
{
    coil_loop *loop = new_real();
    EXPECT_INT(coil_call_soon(loop, stop, NULL, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(coil_call_later(loop, 1000, note, letter('x'), NULL), 0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, close_in_thread, loop) == 0);
    pthread_join(thread, NULL);
}

/* ---- making one ------------------------------------------------------------------------------ */

TEST(new_loop_without_memory_is_null)
{
    coil__errors_forget_thread();
    size_t blocks = coil_testing_alloc_count();
    int failures = 0;
    for (long nth = 1;; nth++) {
        coil_testing_fail_alloc(nth);
        coil_loop *loop = coil_new_event_loop();
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT((loop == NULL) == failed);
        if (loop) {
            end(loop);
            break;
        }
        failures++;
        EXPECT_INT(coil_error_last(), COIL_ENOMEM);
        coil__errors_forget_thread();
        EXPECT_INT(coil_testing_alloc_count(), blocks);
    }
    EXPECT(failures >= 2);
}

TEST(new_loop_without_descriptors_is_null_and_says_so)
{
    struct rlimit old, low;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    low = old;
    int first_free = dup(0);
    REQUIRE(first_free >= 0);
    close(first_free);
    low.rlim_cur = (rlim_t)first_free;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
    coil_loop *loop = coil_new_event_loop();
    int code = coil_error_last();
    setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_PTR(loop, NULL);
    EXPECT_INT(code, -EMFILE);
    EXPECT(coil_error_current(-EMFILE) != NULL);
    coil_unref(loop);
}

/* ---- the environment ------------------------------------------------------------------------- */

/* Sets a variable for a while; gives what was there, to restore. */
static char *swap_environment(const char *name, const char *value)
{
    const char *old = getenv(name);
    char *copy = old ? strdup(old) : NULL;
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
    return copy;
}

static void restore_environment(const char *name, char *old)
{
    free(swap_environment(name, old));
    free(old);
}

TEST(backend_is_picked_by_name)
{
    static const char *const names[] = { "epoll", "poll" };
    for (int i = 0; i < 2; i++) {
        char *old = swap_environment("COIL_BACKEND", names[i]);
        coil_loop *loop = coil_new_event_loop();
        REQUIRE(loop);
        EXPECT_STR(coil_loop_backend(loop), names[i]);
        end(loop);
        restore_environment("COIL_BACKEND", old);
    }
}

TEST(unknown_backend_is_no_loop_and_the_name_is_told)
{
    char *old = swap_environment("COIL_BACKEND", "abacus");
    EXPECT_PTR(coil_new_event_loop(), NULL);
    int code = coil_error_last();
    EXPECT_INT(code, COIL_ENOTSUP);
    coil_error *error = coil_error_current(code);
    REQUIRE(error);
    EXPECT(strstr(coil_error_message(error), "COIL_BACKEND") != NULL);
    EXPECT(strstr(coil_error_message(error), "abacus") != NULL);
    EXPECT_INT(coil_run(gives(1), NULL), COIL_ENOTSUP);
    restore_environment("COIL_BACKEND", old);
}

TEST(empty_backend_name_means_the_best)
{
    char *old = swap_environment("COIL_BACKEND", "");
    coil_loop *loop = coil_new_event_loop();
    REQUIRE(loop);
    end(loop);
    restore_environment("COIL_BACKEND", old);
}

TEST(debug_mode_comes_from_the_environment_or_by_call)
{
    static const struct {
        const char *value;
        bool on;
    } cases[] = { { NULL, false }, { "", false }, { "0", false }, { "1", true } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *old = swap_environment("COIL_DEBUG", cases[i].value);
        coil_loop *loop = coil_new_event_loop();
        EXPECT_INT(coil_get_debug(loop), cases[i].on);
        coil_set_debug(loop, !cases[i].on);
        EXPECT_INT(coil_get_debug(loop), !cases[i].on);
        end(loop);
        restore_environment("COIL_DEBUG", old);
    }
}

TEST(questions_without_a_loop_have_answers)
{
    EXPECT(!coil_get_debug(NULL));
    coil_set_debug(NULL, true);
    EXPECT_DOUBLE(coil_get_slow_callback_duration(NULL), 0);
    coil_set_slow_callback_duration(NULL, 1);
    EXPECT(coil_get_exception_handler(NULL, NULL) == NULL);
    coil_set_exception_handler(NULL, NULL, NULL);
    coil_set_logger(NULL, NULL, NULL);
    EXPECT_INT(coil_remove_reader(NULL, 0), COIL_ENOLOOP);
    EXPECT_INT(coil_remove_writer(NULL, 0), COIL_ENOLOOP);
    EXPECT_INT(coil_add_reader(NULL, 0, note, NULL), COIL_ENOLOOP);
    EXPECT_INT(coil_add_writer(NULL, 0, note, NULL), COIL_ENOLOOP);
    EXPECT_PTR(coil_create_future(NULL), NULL);
    EXPECT_INT(coil_error_last(), COIL_ENOLOOP);
}

TESTS_MAIN(RUN(loop_is_the_running_one_while_it_runs), RUN(stop_before_a_run_makes_it_one_turn),
           RUN(stop_lets_the_turn_finish_and_keeps_the_rest), RUN(stop_without_a_loop_is_harmless),
           RUN(loops_do_not_nest), RUN(run_until_complete_gives_the_result_or_the_error),
           RUN(run_until_complete_that_is_stopped_says_so),
           RUN(exit_leaves_at_once_and_keeps_the_rest_of_the_turn),
           RUN(turn_runs_what_was_ready_when_it_began),
           RUN(callback_that_queues_itself_runs_once_a_turn),
           RUN(tasks_that_yield_for_ever_do_not_starve_descriptors),
           RUN(tasks_that_yield_for_ever_do_not_starve_timers),
           RUN(callbacks_that_queue_themselves_do_not_starve_descriptors),
           RUN(slow_turns_are_polled_more_often),
           RUN(tasks_that_yield_for_ever_do_not_starve_other_threads),
           RUN(closed_loop_refuses_and_answers), RUN(loop_closes_with_everything_pending),
           RUN(loop_released_without_close_is_reported_and_closed),
           RUN(loops_follow_one_another_in_a_thread), RUN(loops_take_turns_in_a_thread),
           RUN(loops_run_side_by_side_in_threads), RUN(loop_that_ran_here_may_be_closed_elsewhere),
           RUN(new_loop_without_memory_is_null),
           RUN(new_loop_without_descriptors_is_null_and_says_so), RUN(backend_is_picked_by_name),
           RUN(unknown_backend_is_no_loop_and_the_name_is_told),
           RUN(empty_backend_name_means_the_best),
           RUN(debug_mode_comes_from_the_environment_or_by_call),
           RUN(questions_without_a_loop_have_answers))
