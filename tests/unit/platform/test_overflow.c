/* The overflow handler: who gets a message, and that everybody dies of what they would have died
 * of. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "platform/fiber.h"
#include "platform/overflow.h"
#include "platform/stack.h"

/* ---- a child that dies, and its last words
 * ------------------------------------------------------- */

struct end {
    int status;
    char words[4096]; /* what it wrote to file descriptor 2 */
};

/* The handlers of a sanitizer are taken out in the child: there, Coil's are the subject. */
static void become_the_child(int words_fd)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    dup2(words_fd, STDERR_FILENO);
}

static void run_child(void (*what)(void), struct end *end)
{
    int words[2];
    assert_int_equal(pipe(words), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        become_the_child(words[1]);
        what();
        _exit(0);
    }
    close(words[1]);

    size_t length = 0;
    ssize_t got;
    while ((got = read(words[0], end->words + length, sizeof end->words - 1 - length)) > 0)
        length += (size_t)got;
    end->words[length] = '\0';
    close(words[0]);
    while (waitpid(child, &end->status, 0) < 0)
        assert_int_equal(errno, EINTR);
}

static bool died_of(const struct end *end, int signal_number)
{
    return WIFSIGNALED(end->status) && WTERMSIG(end->status) == signal_number;
}

/* ---- a coroutine to overflow
 * ----------------------------------------------------------------------- */

static struct coil__stack_pool pool;
static struct coil__stack *running;
static void *main_word, *coroutine_word;

static bool describe(const void *fault_address)
{
    if (!running || !coil__stack_guard_hit(running, fault_address))
        return false;
    coil__overflow_puts("overflow of ");
    coil__overflow_putu(running->size_class);
    coil__overflow_puts("\n");
    return true;
}

static volatile int bottomless = 1;

__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    return bottomless ? recurse(depth + 1) + frame[0] : frame[0];
}

static void entry(void *arg, intptr_t value)
{
    coil__fiber_entered(arg);
    (void)value;
    bottomless = recurse(0);
    coil__fiber_switch(&coroutine_word, arg, main_word, NULL, 0, true);
}

static void overflow_a_coroutine(void)
{
    coil__stack_pool_init(&pool);
    running = coil__stack_take(&pool, 0);
    if (!running || !running->guarded)
        _exit(2);
    coroutine_word = coil__switch_prepare(running->low, running->bytes, entry, running);
    coil__fiber_switch(&main_word, NULL, coroutine_word, running, 0, false);
}

/* ---- the tests
 * ----------------------------------------------------------------------------------------- */

static void enter_and_overflow(void)
{
    coil__overflow_thread_enter(describe);
    overflow_a_coroutine();
}

static void overflow_dies_with_a_message(void **state)
{
    /* The first thing people fear about coroutines in C is an overflow that looks like any
     * crash. */
    struct end end;
    (void)state;
    run_child(enter_and_overflow, &end);
    assert_true(died_of(&end, SIGSEGV) || died_of(&end, SIGBUS));
    assert_non_null(strstr(end.words, "overflow of 4\n"));
}

static void *enter_and_overflow_here(void *arg)
{
    enter_and_overflow();
    return arg;
}

static void enter_and_overflow_in_a_thread(void)
{
    pthread_t thread;
    coil__overflow_thread_enter(describe);
    pthread_create(&thread, NULL, enter_and_overflow_here, NULL);
    pthread_join(thread, NULL);
}

static void overflow_in_a_second_thread_has_a_message_too(void **state)
{
    /* Alternate stacks are per thread, the handler is not. */
    struct end end;
    (void)state;
    run_child(enter_and_overflow_in_a_thread, &end);
    assert_true(died_of(&end, SIGSEGV) || died_of(&end, SIGBUS));
    assert_non_null(strstr(end.words, "overflow of 4\n"));
}

static void nest_leave_and_overflow(void)
{
    coil__overflow_thread_enter(describe);
    coil__overflow_thread_enter(describe);
    coil__overflow_thread_leave();
    overflow_a_coroutine();
}

static void inner_leave_keeps_the_alternate_stack(void **state)
{
    struct end end;
    (void)state;
    run_child(nest_leave_and_overflow, &end);
    assert_non_null(strstr(end.words, "overflow of 4\n"));
}

static void switch_off_and_overflow(void)
{
    setenv("COIL_OVERFLOW_HANDLER", "0", 1);
    coil__overflow_thread_enter(describe);

    stack_t alternate;
    struct sigaction action;
    sigaltstack(NULL, &alternate);
    sigaction(SIGSEGV, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        _exit(3);
    overflow_a_coroutine();
}

static void environment_switches_the_handler_off(void **state)
{
    /* For programs whose crash reporter wants the first look, and for debugging this one. */
    struct end end;
    (void)state;
    run_child(switch_off_and_overflow, &end);
    assert_true(died_of(&end, SIGSEGV) || died_of(&end, SIGBUS));
    assert_null(strstr(end.words, "overflow"));
}

static char *nowhere;

static void fault_elsewhere(void)
{
    nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    coil__overflow_thread_enter(describe);
    *(volatile char *)nowhere = 1;
}

static void fault_elsewhere_dies_as_without_coil(void **state)
{
    struct end end;
    (void)state;
    run_child(fault_elsewhere, &end);
    assert_true(died_of(&end, SIGSEGV));
    assert_null(strstr(end.words, "overflow"));
}

static void read_past_the_end_of_a_file(void)
{
    char name[] = "/tmp/coil-overflow-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    nowhere = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    coil__overflow_thread_enter(describe);
    _exit(*(volatile char *)nowhere);
}

static void bus_error_stays_a_bus_error(void **state)
{
    struct end end;
    (void)state;
    run_child(read_past_the_end_of_a_file, &end);
    assert_true(died_of(&end, SIGBUS));
}

static void send_a_signal(void)
{
    coil__overflow_thread_enter(describe);
    kill(getpid(), SIGSEGV);
    pause();
}

static void signal_that_was_sent_kills(void **state)
{
    /* No instruction faults again after the handler here: it has to see to it. */
    struct end end;
    (void)state;
    run_child(send_a_signal, &end);
    assert_true(died_of(&end, SIGSEGV));
}

static void applications_handler(int signal_number)
{
    (void)signal_number;
    coil__overflow_puts("the application's\n");
    _exit(0);
}

static void fault_with_a_handler_of_its_own(void)
{
    signal(SIGSEGV, applications_handler);
    fault_elsewhere();
}

static void handler_of_the_application_stays(void **state)
{
    struct end end;
    (void)state;
    run_child(fault_with_a_handler_of_its_own, &end);
    assert_true(WIFEXITED(end.status));
    assert_non_null(strstr(end.words, "the application's\n"));
}

static void compare_alternate_stacks(void)
{
    static char mine[64 * 1024];
    stack_t before = { .ss_sp = mine, .ss_size = sizeof mine }, now;
    sigaltstack(&before, NULL);
    coil__overflow_thread_enter(describe);
    sigaltstack(NULL, &now);
    if (now.ss_sp != mine)
        _exit(1);
    coil__overflow_thread_leave();
    sigaltstack(NULL, &now);
    if (now.ss_sp != mine || (now.ss_flags & SS_DISABLE))
        _exit(2);
}

static void alternate_stack_of_the_application_stays(void **state)
{
    struct end end;
    (void)state;
    run_child(compare_alternate_stacks, &end);
    assert_int_equal(end.status, 0);
}

static void put_up_and_take_down(void)
{
    stack_t none = { .ss_flags = SS_DISABLE }, now;
    sigaltstack(&none, NULL);
    for (int i = 0; i < 3; i++) {
        coil__overflow_thread_enter(describe);
        sigaltstack(NULL, &now);
        if (now.ss_flags & SS_DISABLE)
            _exit(1);
        coil__overflow_thread_leave();
        sigaltstack(NULL, &now);
        if (!(now.ss_flags & SS_DISABLE))
            _exit(2);
    }
}

static void last_leave_takes_the_alternate_stack_down(void **state)
{
    struct end end;
    (void)state;
    run_child(put_up_and_take_down, &end);
    assert_int_equal(end.status, 0);
}

static void replace_while_up(void)
{
    static char mine[64 * 1024];
    stack_t none = { .ss_flags = SS_DISABLE }, ours = { .ss_sp = mine, .ss_size = sizeof mine },
            now;
    sigaltstack(&none, NULL);
    coil__overflow_thread_enter(describe);
    sigaltstack(&ours, NULL);
    coil__overflow_thread_leave();
    sigaltstack(NULL, &now);
    if (now.ss_sp != mine || (now.ss_flags & SS_DISABLE))
        _exit(1);
}

static void alternate_stack_put_up_meanwhile_stays(void **state)
{
    struct end end;
    (void)state;
    run_child(replace_while_up, &end);
    assert_int_equal(end.status, 0);
}

static void write_numbers(void)
{
    size_t numbers[] = { 0, 7, 10, 4096, SIZE_MAX };
    for (int i = 0; i < 5; i++) {
        coil__overflow_putu(numbers[i]);
        coil__overflow_puts(" ");
    }
    coil__overflow_puts("");
}

static void numbers_are_written_in_decimal(void **state)
{
    struct end end;
    char expected[100];
    (void)state;
    run_child(write_numbers, &end);
    snprintf(expected, sizeof expected, "0 7 10 4096 %zu ", SIZE_MAX);
    assert_non_null(strstr(end.words, expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_dies_with_a_message),
        cmocka_unit_test(overflow_in_a_second_thread_has_a_message_too),
        cmocka_unit_test(inner_leave_keeps_the_alternate_stack),
        cmocka_unit_test(environment_switches_the_handler_off),
        cmocka_unit_test(fault_elsewhere_dies_as_without_coil),
        cmocka_unit_test(bus_error_stays_a_bus_error),
        cmocka_unit_test(signal_that_was_sent_kills),
        cmocka_unit_test(handler_of_the_application_stays),
        cmocka_unit_test(alternate_stack_of_the_application_stays),
        cmocka_unit_test(last_leave_takes_the_alternate_stack_down),
        cmocka_unit_test(alternate_stack_put_up_meanwhile_stays),
        cmocka_unit_test(numbers_are_written_in_decimal),
    };
    return cmocka_run_group_tests_name("overflow", tests, NULL, NULL);
}
