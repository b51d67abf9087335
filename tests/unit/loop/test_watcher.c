/* add_reader and add_writer, on real sockets: the kernel is the subject. */
#include "test.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"
#include "loop/loop.h"

static coil_loop *loop;
static int sockets[2]; /* what is written to the second one makes the first readable */
static int calls;

static int stop(void *arg)
{
    (void)arg;
    coil_loop_stop(NULL);
    return 0;
}

/* Virtual time: an idle loop ends with COIL_ESTALLED instead of hanging. */
static void begin(void)
{
    coil__errors_forget_thread();
    calls = 0;
    loop = coil_testing_virtual_loop(NULL);
    sockets[0] = sockets[1] = -1;
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
}

static void end(void)
{
    EXPECT_INT(coil_loop_close(loop), 0);
    coil_unref(loop);
    for (int i = 0; i < 2; i++)
        if (sockets[i] >= 0)
            close(sockets[i]);
    coil__errors_forget_thread();
}

static void make_readable(void)
{
    EXPECT_INT(write(sockets[1], "x", 1), 1);
}

static void run_turns(int turns)
{
    for (int i = 0; i < turns; i++) {
        coil_loop_stop(loop);
        EXPECT_INT(coil_run_forever(loop), 0);
    }
}

static void run_dry(void)
{
    EXPECT_INT(coil_run_forever(loop), COIL_ESTALLED);
}

static int count(void *arg)
{
    calls++;
    if (arg)
        ++*(int *)arg;
    return 0;
}

static int read_one(void *arg)
{
    char byte;
    EXPECT_INT(read(sockets[0], &byte, 1), 1);
    return count(arg);
}

TEST(reader_is_called_when_there_is_something_to_read)
{
    begin();
    EXPECT_INT(coil_add_reader(loop, sockets[0], read_one, NULL), 0);
    run_dry();
    EXPECT_INT(calls, 0);
    make_readable();
    run_dry();
    EXPECT_INT(calls, 1);
    make_readable();
    make_readable();
    run_dry();
    EXPECT_INT(calls, 3);
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    end();
}

TEST(reader_is_called_in_every_turn_until_it_is_removed)
{
    begin();
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], count, NULL), 0);
    run_turns(10);
    EXPECT_INT(calls, 10);
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), 1);
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), 0);
    run_dry();
    EXPECT_INT(calls, 10);
    end();
}

TEST(writer_is_called_while_there_is_room)
{
    begin();
    EXPECT_INT(coil_add_writer(loop, sockets[1], count, NULL), 0);
    run_turns(3);
    EXPECT_INT(calls, 3);
    char block[4096];
    memset(block, 'x', sizeof block);
    while (write(sockets[1], block, sizeof block) > 0) {}
    calls = 0;
    run_dry();
    EXPECT_INT(calls, 0);
    while (read(sockets[0], block, sizeof block) > 0) {}
    run_turns(2);
    EXPECT_INT(calls, 2);
    EXPECT_INT(coil_remove_writer(loop, sockets[1]), 1);
    EXPECT_INT(coil_remove_writer(loop, sockets[1]), 0);
    run_dry();
    end();
}

TEST(reader_and_writer_of_one_descriptor_are_two)
{
    begin();
    int reads = 0, writes = 0;
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], count, &reads), 0);
    EXPECT_INT(coil_add_writer(loop, sockets[0], count, &writes), 0);
    run_turns(2);
    EXPECT_INT(reads, 2);
    EXPECT_INT(writes, 2);
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), 1);
    run_turns(2);
    EXPECT_INT(reads, 2);
    EXPECT_INT(writes, 4);
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), 0);
    EXPECT_INT(coil_remove_writer(loop, sockets[0]), 1);
    run_dry();
    end();
}

TEST(adding_again_replaces_the_callback)
{
    begin();
    int first = 0, second = 0;
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], count, &first), 0);
    run_turns(1);
    EXPECT_INT(coil_add_reader(loop, sockets[0], count, &second), 0);
    run_turns(3);
    EXPECT_INT(first, 1);
    EXPECT_INT(second, 3);
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), 1);
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), 0);
    run_dry();
    end();
}

static int remove_itself(void *arg)
{
    count(arg);
    EXPECT_INT(coil_remove_reader(NULL, sockets[0]), 1);
    return 0;
}

TEST(reader_may_remove_itself)
{
    begin();
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], remove_itself, NULL), 0);
    run_dry();
    EXPECT_INT(calls, 1);
    end();
}

static int replace_itself(void *arg)
{
    calls++;
    return coil_add_reader(NULL, sockets[0], remove_itself, arg);
}

TEST(reader_may_replace_itself)
{
    begin();
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], replace_itself, NULL), 0);
    run_dry();
    EXPECT_INT(calls, 2);
    end();
}

static int remove_both(void *arg)
{
    calls++;
    coil_remove_reader(NULL, sockets[0]);
    coil_remove_reader(NULL, sockets[1]);
    (void)arg;
    return 0;
}

TEST(reader_that_is_removed_in_the_same_turn_is_not_called)
{
    /* Both are queued; whichever comes first removes the other. */
    begin();
    make_readable();
    EXPECT_INT(write(sockets[0], "x", 1), 1);
    EXPECT_INT(coil_add_reader(loop, sockets[0], remove_both, NULL), 0);
    EXPECT_INT(coil_add_reader(loop, sockets[1], remove_both, NULL), 0);
    run_dry();
    EXPECT_INT(calls, 1);
    end();
}

static int remove_and_close(void *arg)
{
    calls++;
    (void)arg;
    EXPECT_INT(coil_remove_reader(NULL, sockets[0]), 1);
    close(sockets[0]);
    close(sockets[1]);
    int again[2];
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, again), 0);
    sockets[0] = again[0];
    sockets[1] = again[1];
    make_readable();
    return coil_add_reader(NULL, sockets[0], remove_itself, NULL);
}

TEST(number_that_comes_back_is_a_new_descriptor)
{
    begin();
    make_readable();
    int number = sockets[0];
    EXPECT_INT(coil_add_reader(loop, sockets[0], remove_and_close, NULL), 0);
    run_dry();
    EXPECT_INT(sockets[0], number);
    EXPECT_INT(calls, 2);
    end();
}

TEST(hang_up_is_something_to_read)
{
    begin();
    EXPECT_INT(coil_add_reader(loop, sockets[0], remove_itself, NULL), 0);
    close(sockets[1]);
    sockets[1] = -1;
    run_dry();
    EXPECT_INT(calls, 1);
    end();
}

TEST(regular_file_is_always_ready)
{
    begin();
    FILE *file = tmpfile();
    REQUIRE(file);
    EXPECT_INT(coil_add_reader(loop, fileno(file), count, NULL), 0);
    run_turns(5);
    EXPECT(calls >= 4); /* epoll does not take files: the first turn may only find that out */
    EXPECT_INT(coil_remove_reader(loop, fileno(file)), 1);
    run_dry();
    fclose(file);
    end();
}

/* ---- refusals -------------------------------------------------------------------------------- */

TEST(what_is_no_descriptor_is_refused)
{
    begin();
    int closed = dup(sockets[0]);
    close(closed);
    const int numbers[] = { -1, INT_MIN, closed, 100000, 1 << 30, INT_MAX };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        EXPECT_INT(coil_add_reader(loop, numbers[i], count, NULL), -EBADF);
        EXPECT_INT(coil_add_writer(loop, numbers[i], count, NULL), -EBADF);
        EXPECT(coil_error_current(-EBADF) != NULL);
        EXPECT_INT(coil_remove_reader(loop, numbers[i]), 0);
        EXPECT_INT(coil_remove_writer(loop, numbers[i]), 0);
    }
    run_dry();
    end();
}

TEST(closed_loop_watches_nothing)
{
    begin();
    EXPECT_INT(coil_add_reader(loop, sockets[0], count, NULL), 0);
    EXPECT_INT(coil_loop_close(loop), 0);
    EXPECT_INT(coil_add_reader(loop, sockets[0], count, NULL), COIL_ECLOSED);
    EXPECT_INT(coil_add_writer(loop, sockets[0], count, NULL), COIL_ECLOSED);
    EXPECT_INT(coil_remove_reader(loop, sockets[0]), COIL_ECLOSED);
    EXPECT_INT(coil_remove_writer(loop, sockets[0]), COIL_ECLOSED);
    end();
}

TEST(adding_that_fails_leaves_the_old_one_in_place)
{
    for (long nth = 1;; nth++) {
        begin();
        int first = 0, second = 0;
        make_readable();
        EXPECT_INT(coil_add_reader(loop, sockets[0], count, &first), 0);
        coil_testing_fail_alloc(nth);
        int rc = coil_add_reader(loop, sockets[0], count, &second);
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, failed ? COIL_ENOMEM : 0);
        run_turns(1);
        EXPECT_INT(first, failed ? 1 : 0);
        EXPECT_INT(second, failed ? 0 : 1);
        end();
        if (!failed)
            break;
    }
}

TEST(adding_without_memory_leaves_nothing)
{
    int failures = 0;
    for (long nth = 1;; nth++) {
        size_t before = coil_testing_alloc_count();
        begin();
        make_readable();
        coil_testing_fail_alloc(nth);
        int rc = coil_add_reader(loop, sockets[0], count, NULL);
        bool failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, failed ? COIL_ENOMEM : 0);
        if (failed) {
            failures++;
            run_dry();
            EXPECT_INT(calls, 0);
            EXPECT_INT(coil_remove_reader(loop, sockets[0]), 0);
            EXPECT_INT(coil_add_reader(loop, sockets[0], count, NULL), 0);
        }
        run_turns(1);
        EXPECT_INT(calls, 1);
        end();
        EXPECT_INT(coil_testing_alloc_count(), before);
        if (!failed)
            break;
    }
    EXPECT(failures >= 3);
}

/* ---- around ---------------------------------------------------------------------------------- */

static int fail_and_stop(void *arg)
{
    coil_loop_stop(NULL);
    count(arg);
    return coil_raise(COIL_EAPP, "as ordered");
}

static int count_reports(coil_loop *from, const coil_report *report, void *arg)
{
    (void)from;
    EXPECT_INT(report->event, COIL_EVENT_CALLBACK_FAILED);
    EXPECT_INT(report->code, COIL_EAPP);
    ++*(int *)arg;
    return 0;
}

TEST(reader_that_fails_stays)
{
    begin();
    int reports = 0;
    coil_set_exception_handler(loop, count_reports, &reports);
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], fail_and_stop, NULL), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_INT(calls, 2);
    EXPECT_INT(reports, 2);
    end();
}

static coil_context_var *var;

static int see_context(void *arg)
{
    coil_value value = coil_nil();
    EXPECT_INT(coil_context_var_get(var, &value), 0);
    *(int64_t *)arg = value.integer;
    EXPECT_INT(coil_context_var_set(var, coil_int(value.integer + 1), NULL), 0);
    return 0;
}

TEST(reader_keeps_the_context_it_was_added_in)
{
    /* One context for all its calls, as in asyncio: what one call sets, the next one sees. */
    begin();
    int64_t seen = 0;
    var = coil_context_var_new("request");
    REQUIRE(var);
    EXPECT_INT(coil_context_var_set(var, coil_int(5), NULL), 0);
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], see_context, &seen), 0);
    EXPECT_INT(coil_context_var_set(var, coil_int(0), NULL), 0);
    run_turns(1);
    EXPECT_INT(seen, 5);
    run_turns(1);
    EXPECT_INT(seen, 6);
    end();
    coil_value value;
    EXPECT_INT(coil_context_var_get(var, &value), 0);
    EXPECT_INT(value.integer, 0);
}

TEST(ready_descriptor_goes_before_the_clock_moves)
{
    begin();
    make_readable();
    EXPECT_INT(coil_add_reader(loop, sockets[0], read_one, NULL), 0);
    EXPECT_INT(coil_call_later(loop, 10, stop, NULL, NULL), 0);
    run_turns(1);
    EXPECT_INT(calls, 1);
    EXPECT_DOUBLE(coil_loop_time(loop), 0);
    EXPECT_INT(coil_run_forever(loop), 0);
    EXPECT_DOUBLE(coil_loop_time(loop), 10);
    end();
}

TEST(many_descriptors_are_watched_at_once)
{
    enum {
        MANY = 200
    };
    static int pairs[MANY][2];
    begin();
    int opened = 0;
    while (opened < MANY && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[opened]) == 0)
        opened++;
    EXPECT(opened > 50);
    static int counts[MANY];
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < opened; i++) {
        EXPECT_INT(coil_add_reader(loop, pairs[i][0], count, &counts[i]), 0);
        if (i % 2 == 0)
            EXPECT_INT(write(pairs[i][1], "x", 1), 1);
    }
    run_turns(3);
    for (int i = 0; i < opened; i++) {
        EXPECT_INT(counts[i], i % 2 == 0 ? 3 : 0);
        EXPECT_INT(coil_remove_reader(loop, pairs[i][0]), 1);
    }
    run_dry();
    for (int i = 0; i < opened; i++) {
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    end();
}

TESTS_MAIN(RUN(reader_is_called_when_there_is_something_to_read),
           RUN(reader_is_called_in_every_turn_until_it_is_removed),
           RUN(writer_is_called_while_there_is_room),
           RUN(reader_and_writer_of_one_descriptor_are_two),
           RUN(adding_again_replaces_the_callback), RUN(reader_may_remove_itself),
           RUN(reader_may_replace_itself),
           RUN(reader_that_is_removed_in_the_same_turn_is_not_called),
           RUN(number_that_comes_back_is_a_new_descriptor), RUN(hang_up_is_something_to_read),
           RUN(regular_file_is_always_ready), RUN(what_is_no_descriptor_is_refused),
           RUN(closed_loop_watches_nothing), RUN(adding_that_fails_leaves_the_old_one_in_place),
           RUN(adding_without_memory_leaves_nothing), RUN(reader_that_fails_stays),
           RUN(reader_keeps_the_context_it_was_added_in),
           RUN(ready_descriptor_goes_before_the_clock_moves),
           RUN(many_descriptors_are_watched_at_once))
