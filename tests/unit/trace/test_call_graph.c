/* Call graphs: a program that hangs must be able to say what each task waits for, and whether anything can
 * ever go on. */
#include "lib/steps.h"

#include <sys/socket.h>

/* What a call printed. */
static char printed[16384];

static const char *tasks_text(void)
{
    FILE *file = fmemopen(printed, sizeof printed - 1, "w");
    if (!file || !EXPECT_INT(coil_print_tasks(NULL, file), 0))
        return "";
    fclose(file);
    return printed;
}

static const char *graph_text(coil_future *future)
{
    EXPECT(coil_format_call_graph(printed, sizeof printed, future) > 0);
    return printed;
}

static void expect_text(const char *text, const char *part)
{
    if (!EXPECT(strstr(text, part) != NULL))
        fprintf(stderr, "'%s' is not in:\n%s\n", part, text);
}

static coil_task *named(coil_coro *coro, const char *name)
{
    coil_task *task = coil_create_task_named(coro, name);
    EXPECT(task != NULL);
    return task;
}

static void end(coil_task *task)
{
    coil_task_cancel(task, NULL);
    (void)coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    coil_unref(task);
}

COIL_ASYNC(sleeps, (double, delay))
{
    return coil_sleep(delay);
}

COIL_ASYNC(awaits, (void *, awaitable))
{
    return coil_await(awaitable, NULL);
}

/* ---- call graphs -------------------------------------------------------------------------------- */

COIL_ASYNC0(prints_a_chain)
{
    coil_task *inner = named(sleeps(12.5), "inner");
    coil_task *outer = named(awaits(awaits(inner)), "outer");
    COIL_TRY(coil_sleep(0.5));
    const char *text = graph_text(inner);
    expect_text(text, "* Task(name='inner', id=0x");
    expect_text(text, "\n  + Waits for: sleep, 12.0 s left\n");
    expect_text(text, "\n  + Call stack:\n  |   File '");
    expect_text(text, "in async sleeps()\n");
    expect_text(text, "\n  + Awaited by:\n    * Task(name='outer', id=0x");
    expect_text(text, "\n      + Waits for: task inner\n");
    coil_call_graph *graph = coil_capture_call_graph(inner);
    EXPECT_INT(graph->awaited_by_count, 1);
    EXPECT_PTR(graph->awaited_by[0]->future, outer);
    EXPECT_INT(graph->awaited_by[0]->call_stack_count, 2);
    EXPECT_STR(graph->awaited_by[0]->call_stack[0].name, "awaits");
    EXPECT_INT(graph->awaited_by[0]->awaited_by_count, 0);
    end(outer);
    EXPECT_INT(coil_future_cancelled(inner), 1);
    coil_unref(inner);
    coil_call_graph_free(graph);
    return 0;
}

TEST(call_graph_shows_who_awaits_a_task)
{
    /* The same shape as asyncio's text, so that eyes that know one read the other. */
    EXPECT_RUN(prints_a_chain(), 0);
}

COIL_ASYNC(gathers, (coil_task *, one), (coil_task *, other))
{
    return coil_gather(NULL, one, other);
}

COIL_ASYNC(groups, (coil_task **, child))
{
    coil_task_group group;
    COIL_TRY(coil_task_group_enter(&group));
    *child = coil_task_group_create_task(&group, sleeps(9));
    coil_task_set_name(*child, "child");
    return coil_task_group_exit(&group, 0);
}

COIL_ASYNC(waits, (coil_task *, task))
{
    int rc = coil_wait(&task, 1, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED);
    return rc < 0 ? rc : 0;
}

COIL_ASYNC(shields, (coil_task *, task))
{
    coil_future *outer = coil_shield_future(task);
    int rc = coil_await(outer, NULL);
    coil_unref(outer);
    return rc;
}

COIL_ASYNC0(looks_through_all_ways)
{
    coil_task *one = named(sleeps(9), "one"), *other = named(sleeps(9), "other"), *child = NULL;
    coil_task *waiting[] = { named(gathers(one, other), "gatherer"), named(waits(one), "waiter"),
                             named(shields(one), "shielder"), named(groups(&child), "grouper") };
    COIL_TRY(coil_sleep(1));
    const char *text = graph_text(one);
    expect_text(text, "    * Future(id=0x"); /* the gathering */
    expect_text(text, "        * Task(name='gatherer'");
    expect_text(text, "    * Task(name='waiter'");
    expect_text(text, "        * Task(name='shielder'");
    expect_text(graph_text(child), "    * Task(name='grouper'");
    text = tasks_text();
    expect_text(text, "gatherer  waiting  gather of one and other\n");
    expect_text(text, "waiter    waiting  wait of one\n");
    expect_text(text, "for one\n");
    expect_text(text, "grouper   waiting  task group of child\n");
    for (size_t i = 0; i < 4; i++)
        end(waiting[i]);
    end(one);
    end(other);
    coil_unref(child);
    return 0;
}

TEST(call_graph_leads_through_gather_shield_wait_and_groups)
{
    /* In a real program hardly anything is awaited directly. */
    EXPECT_RUN(looks_through_all_ways(), 0);
}

COIL_ASYNC0(looks_at_itself)
{
    coil_task_set_name(coil_current_task(), "main");
    expect_text(graph_text(NULL), "in async looks_at_itself()\n");
    expect_text(tasks_text(), "main  running");
    char cut[8];
    long length = coil_format_call_graph(cut, sizeof cut, NULL);
    EXPECT(length > 20);
    EXPECT_STR(cut, "* Task(");
    EXPECT_INT(coil_format_call_graph(NULL, 0, NULL), length);
    return 0;
}

TEST(running_task_can_print_itself)
{
    /* Where a program finds that it is late it wants to say where it is. */
    EXPECT_RUN(looks_at_itself(), 0);
    EXPECT(!coil_capture_call_graph(NULL));
    EXPECT_INT(coil_error_last(), COIL_ENOTASK);
    EXPECT_INT(coil_print_tasks(NULL, stderr), COIL_ENOLOOP);
    EXPECT_INT(coil_find_deadlock(NULL, NULL, 0), COIL_ENOLOOP);
}

COIL_ASYNC0(runs_out_of_memory)
{
    coil_task *task = named(sleeps(9), "task");
    coil_task *others[3];
    for (int i = 0; i < 3; i++)
        others[i] = named(awaits(task), "other");
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0));
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        coil_testing_fail_alloc(nth);
        coil_call_graph *graph = coil_capture_call_graph(task);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(graph == NULL, failed);
        coil_call_graph_free(graph);
    }
    failed = true;
    for (long nth = 1; failed; nth++) {
        coil_testing_fail_alloc(nth);
        long rc = coil_find_deadlock(NULL, NULL, 0);
        failed = coil_testing_alloc_failed();
        coil_testing_fail_alloc(0);
        EXPECT_INT(rc, failed ? COIL_ENOMEM : 0);
    }
    for (int i = 0; i < 3; i++)
        coil_unref(others[i]);
    end(task);
    return 0;
}

TEST(looking_survives_every_failed_allocation)
{
    /* One looks when things go badly already. */
    EXPECT_RUN(runs_out_of_memory(), 0);
}

/* ---- what a task waits for ---------------------------------------------------------------------- */

COIL_ASYNC(acquires, (coil_lock *, lock))
{
    return coil_lock_acquire(lock);
}

COIL_ASYNC(acquires_slot, (coil_semaphore *, semaphore))
{
    return coil_semaphore_acquire(semaphore);
}

COIL_ASYNC(gets, (coil_queue *, queue))
{
    coil_value item;
    return coil_queue_get(queue, &item);
}

COIL_ASYNC(waits_for_event, (coil_event *, event))
{
    return coil_event_wait(event);
}

COIL_ASYNC(receives, (int, fd))
{
    char byte;
    ssize_t got = coil_sock_recv(fd, &byte, 1);
    return got < 0 ? (int)got : 0;
}

COIL_ASYNC0(waits_for_everything)
{
    coil_lock lock = COIL_LOCK_INIT, forgotten = COIL_LOCK_INIT;
    coil_semaphore semaphore = COIL_SEMAPHORE_INIT(0);
    coil_queue queue = COIL_QUEUE_INIT(7);
    coil_event event = COIL_EVENT_INIT;
    int ends[2];
    coil_task_set_name(coil_current_task(), "main");
    EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    COIL_TRY(coil_lock_acquire(&lock));
    COIL_TRY(coil_await(acquires(&forgotten), NULL));
    coil_task *dead = named(acquires(&forgotten), "dead");
    coil_lock_release(&forgotten);
    COIL_TRY(coil_await(dead, NULL));
    coil_task *tasks[] = {
        named(acquires(&lock), "a"),           named(acquires(&forgotten), "b"),
        named(acquires_slot(&semaphore), "c"), named(gets(&queue), "d"),
        named(waits_for_event(&event), "e"),   named(receives(ends[0]), "f"),
        named(sleeps(INFINITY), "g"),
    };
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0));
    coil_task *fresh = named(sleeps(1), "h");
    const char *text = tasks_text();
    expect_text(text, "\na     waiting  lock 0x");
    expect_text(text, " held by main\n");
    expect_text(text, " held by a task that has ended\n");
    expect_text(text, "\nc     waiting  semaphore 0x");
    expect_text(text, ", 0 free\n");
    expect_text(text, "\nd     waiting  queue_get on queue 0x");
    expect_text(text, ", 0 of 7 items\n");
    expect_text(text, "\ne     waiting  event 0x");
    char descriptor[64];
    snprintf(descriptor, sizeof descriptor, "\nf     waiting  sock_recv on descriptor %d\n",
             ends[0]);
    expect_text(text, descriptor);
    expect_text(text, "\ng     waiting  sleep without end\n");
    expect_text(text, "\nh     new\n");
    EXPECT(strstr(text, "Deadlock") == NULL);
    expect_text(graph_text(tasks[0]), " held by main\n");
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        end(tasks[i]);
    end(fresh);
    coil_unref(dead);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST(every_kind_of_wait_is_told)
{
    /* "It hangs" is half an answer; on what, and who has it, is the other half. */
    EXPECT_RUN(waits_for_everything(), 0);
}

/* ---- deadlocks ---------------------------------------------------------------------------------- */

COIL_ASYNC(takes_two, (coil_lock *, first), (coil_lock *, second))
{
    COIL_TRY(coil_lock_acquire(first));
    int rc = coil_sleep(1);
    if (rc == 0)
        rc = coil_lock_acquire(second);
    if (rc == 0)
        coil_lock_release(second);
    coil_lock_release(first);
    return rc;
}

COIL_ASYNC0(dines)
{
    coil_lock forks[3] = { COIL_LOCK_INIT, COIL_LOCK_INIT, COIL_LOCK_INIT };
    coil_task *diners[3];
    const char *names[] = { "plato", "kant", "hume" };
    for (int i = 0; i < 3; i++)
        diners[i] = named(takes_two(&forks[i], &forks[(i + 1) % 3]), names[i]);
    coil_task *bystander = named(acquires(&forks[0]), "bystander");
    COIL_TRY(coil_sleep(0.5));
    EXPECT_INT(coil_find_deadlock(NULL, NULL, 0), 0);
    COIL_TRY(coil_sleep(1));
    coil_future *all = coil_gather_future(NULL, (coil_future *const *)diners, 3,
                                          COIL_GATHER_COLLECT);
    coil_task *circle[3] = { NULL };
    EXPECT_INT(coil_find_deadlock(NULL, circle, 3), 3);
    for (int i = 0; i < 3; i++)
        EXPECT_PTR(circle[i], diners[i]);
    expect_text(tasks_text(), "Deadlock: plato waits for kant, which waits for hume, which waits "
                              "for plato\n");
    end(bystander);
    coil_unref(all);
    end(diners[0]);
    EXPECT_INT(coil_find_deadlock(NULL, circle, 3), 0);
    for (int i = 1; i < 3; i++) {
        EXPECT_INT(coil_await(diners[i], NULL), 0);
        coil_unref(diners[i]);
    }
    return 0;
}

TEST(deadlock_of_locks_is_named)
{
    /* Nobody finds out by looking at one task: each has a good reason to wait. */
    EXPECT_RUN(dines(), 0);
}

COIL_ASYNC(gathers_with_lock, (coil_lock *, lock))
{
    COIL_TRY(coil_lock_acquire(lock));
    int rc = coil_gather(NULL, sleeps(1), acquires(lock));
    coil_lock_release(lock);
    return rc;
}

COIL_ASYNC0(waits_for_its_child)
{
    coil_lock lock = COIL_LOCK_INIT;
    coil_task *parent = named(gathers_with_lock(&lock), "parent");
    COIL_TRY(coil_sleep(2));
    coil_task *circle[2];
    EXPECT_INT(coil_find_deadlock(NULL, circle, 2), 2);
    EXPECT_PTR(circle[0], parent);
    end(parent);
    return 0;
}

TEST(deadlock_through_gather_and_lock_is_found)
{
    /* A lock that is kept over a gather whose child wants it: the usual way to get one. */
    EXPECT_RUN(waits_for_its_child(), 0);
}

COIL_ASYNC(awaits_slot, (coil_task **, slot))
{
    COIL_TRY(coil_sleep(1));
    return coil_await(*slot, NULL);
}

COIL_ASYNC0(awaits_in_a_circle)
{
    coil_task *pair[2] = { NULL, NULL };
    pair[0] = named(awaits_slot(&pair[1]), "one");
    pair[1] = named(awaits_slot(&pair[0]), "two");
    COIL_TRY(coil_sleep(2));
    EXPECT_INT(coil_find_deadlock(NULL, NULL, 0), 2);
    const char *text = graph_text(pair[0]);
    expect_text(text, "\n        * Task(name='one'"); /* once more, and no further */
    EXPECT(strstr(text, "\n            * Task") == NULL);
    end(pair[0]);
    coil_unref(pair[1]);
    return 0;
}

TEST(tasks_that_await_one_another_are_a_deadlock)
{
    /* And the call graph of one of them must come to an end. */
    EXPECT_RUN(awaits_in_a_circle(), 0);
}

TESTS_MAIN(RUN(call_graph_shows_who_awaits_a_task),
           RUN(call_graph_leads_through_gather_shield_wait_and_groups),
           RUN(running_task_can_print_itself), RUN(looking_survives_every_failed_allocation),
           RUN(every_kind_of_wait_is_told), RUN(deadlock_of_locks_is_named),
           RUN(deadlock_through_gather_and_lock_is_found),
           RUN(tasks_that_await_one_another_are_a_deadlock))
