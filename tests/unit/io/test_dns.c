/* Looking names up: off the loop, in threads of their own, and cancelled without a trace. Names that end in
 * ".test" are answered here (see tests/CMakeLists.txt), so that no name server takes part. */
#include "lib/steps.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>

static sem_t started, gate;
static atomic_int asked;

/* ---- a resolver ------------------------------------------------------------------------------------- */

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list_out);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list_out);
int __real_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
                       socklen_t host_bytes, char *service, socklen_t service_bytes, int flags);
int __wrap_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
                       socklen_t host_bytes, char *service, socklen_t service_bytes, int flags);

static int numeric(const char *host, const char *service, const struct addrinfo *hints,
                   struct addrinfo **list_out)
{
    struct addrinfo wanted = *hints;
    wanted.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
    return __real_getaddrinfo(host, strcmp(service, "web") == 0 ? "80" : service, &wanted,
                              list_out);
}

/* Two addresses, the less usual one first: the order is the system's to choose. */
static int two(const char *service, const struct addrinfo *hints, struct addrinfo **list_out)
{
    int rc = numeric("127.0.0.2", service, hints, list_out);
    return rc ? rc : numeric("127.0.0.1", service, hints, &(*list_out)->ai_next);
}

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list_out)
{
    const char *dot = host ? strrchr(host, '.') : NULL;
    if (!dot || strcmp(dot, ".test") != 0 || (hints->ai_flags & AI_NUMERICHOST))
        return __real_getaddrinfo(host, service, hints, list_out);
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    EXPECT(strncmp(name, "coil-dns_", 9) == 0);
    atomic_fetch_add(&asked, 1);
    if (strcmp(host, "slow.test") == 0) {
        sem_post(&started);
        sem_wait(&gate);
    }
    errno = EMFILE;
    return strcmp(host, "missing.test") == 0   ? EAI_NONAME
           : strcmp(host, "silent.test") == 0  ? EAI_AGAIN
           : strcmp(host, "refused.test") == 0 ? EAI_FAIL
           : strcmp(host, "system.test") == 0  ? EAI_SYSTEM
           : strcmp(host, "memory.test") == 0  ? EAI_MEMORY
                                               : two(service, hints, list_out);
}

int __wrap_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
                       socklen_t host_bytes, char *service, socklen_t service_bytes, int flags)
{
    if (flags & NI_NUMERICHOST)
        return __real_getnameinfo(address, length, host, host_bytes, service, service_bytes, flags);
    atomic_fetch_add(&asked, 1);
    if (flags & NI_NAMEREQD)
        return EAI_NONAME;
    snprintf(host, host_bytes, "named.test");
    snprintf(service, service_bytes, "web");
    return 0;
}

static void reset(void)
{
    sem_init(&started, 0, 0);
    sem_init(&gate, 0, 0);
    atomic_store(&asked, 0);
    notes_[0] = '\0';
}

static const struct addrinfo stream = { .ai_socktype = SOCK_STREAM };

static void note_addresses(const struct addrinfo *list)
{
    for (; list; list = list->ai_next) {
        char text[NI_MAXHOST], port[NI_MAXSERV];
        EXPECT_INT(getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, port,
                               sizeof port, NI_NUMERICHOST | NI_NUMERICSERV),
                   0);
        note("%s:%s", text, port);
    }
}

/* ---- addresses -------------------------------------------------------------------------------------- */

COIL_ASYNC0(asks_for_numbers)
{
    struct addrinfo *list, passive = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    COIL_TRY(coil_call_soon(NULL, note_callback, "callback", NULL));
    COIL_TRY(coil_getaddrinfo("127.0.0.1", "80", &stream, &list));
    note_addresses(list);
    freeaddrinfo(list);
    COIL_TRY(coil_getaddrinfo("::1", "443", &stream, &list));
    note_addresses(list);
    freeaddrinfo(list);
    passive.ai_family = AF_INET;
    COIL_TRY(coil_getaddrinfo(NULL, "8080", &passive, &list));
    note_addresses(list);
    freeaddrinfo(list);
    COIL_TRY(coil_getaddrinfo("127.0.0.1", NULL, NULL, &list));
    freeaddrinfo(list);
    passive.ai_family = AF_INET6;
    EXPECT_INT(coil_getaddrinfo("127.0.0.1", "80", &passive, &list), COIL_EGAI_NONAME);
    passive.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    EXPECT_INT(coil_getaddrinfo("slow.test", "80", &passive, &list), COIL_EGAI_NONAME);
    return coil_sleep(0);
}

TEST(numbers_need_no_thread_and_no_turn)
{
    reset();
    EXPECT_RUN(asks_for_numbers(), 0);
    EXPECT_NOTES("127.0.0.1:80 ::1:443 0.0.0.0:8080 callback");
    EXPECT_INT(atomic_load(&asked), 0);
}

COIL_ASYNC0(asks_for_names)
{
    struct addrinfo *list;
    COIL_TRY(coil_getaddrinfo("two.test", "80", &stream, &list));
    note_addresses(list);
    freeaddrinfo(list);
    COIL_TRY(coil_getaddrinfo("two.test", "web", &stream, &list));
    note_addresses(list);
    freeaddrinfo(list);
    return 0;
}

TEST(addresses_of_a_name_keep_their_order)
{
    reset();
    EXPECT_RUN(asks_for_names(), 0);
    EXPECT_NOTES("127.0.0.2:80 127.0.0.1:80 127.0.0.2:80 127.0.0.1:80");
}

static void expect_failure(const char *host, int code, int eai)
{
    struct addrinfo *list = NULL;
    EXPECT_INT(coil_getaddrinfo(host, "80", &stream, &list), code);
    EXPECT_PTR(list, NULL);
    coil_error *error = coil_error_current(code);
    if (code == COIL_ENOMEM || !EXPECT(error != NULL))
        return;
    EXPECT_INT(coil_error_detail(error), eai);
    EXPECT(strstr(coil_error_message(error), host) != NULL);
}

COIL_ASYNC0(asks_in_vain)
{
    expect_failure("missing.test", COIL_EGAI_NONAME, EAI_NONAME);
    EXPECT_STR(coil_error_message(coil_error_current(COIL_EGAI_NONAME)),
               "missing.test 80: Name or service not known");
    expect_failure("silent.test", COIL_EGAI_AGAIN, EAI_AGAIN);
    expect_failure("refused.test", COIL_EGAI_FAIL, EAI_FAIL);
    expect_failure("system.test", -EMFILE, EAI_SYSTEM);
    expect_failure("memory.test", COIL_ENOMEM, EAI_MEMORY);
    return 0;
}

TEST(failure_says_which_and_why)
{
    reset();
    EXPECT_RUN(asks_in_vain(), 0);
}

/* ---- slow ones -------------------------------------------------------------------------------------- */

COIL_ASYNC0(asks_slowly)
{
    struct addrinfo *list;
    COIL_TRY(coil_getaddrinfo("slow.test", "80", &stream, &list));
    freeaddrinfo(list);
    return 0;
}

COIL_JOB0(quick)
{
    return 1;
}

COIL_ASYNC0(is_cancelled)
{
    coil_task *task = coil_create_task(asks_slowly());
    COIL_TRY(coil_sleep(0));
    sem_wait(&started);
    COIL_TRY(coil_to_thread(quick(), NULL)); /* a slow look-up takes no thread from jobs */
    coil_task_cancel(task, NULL);
    EXPECT_INT(coil_await(task, NULL), COIL_ECANCELED);
    coil_unref(task);
    return 0;
}

static void await_blocks(size_t blocks)
{
    while (steps_blocks() != blocks)
        sched_yield();
}

TEST(run_ends_although_a_look_up_that_was_cancelled_is_stuck)
{
    reset();
    size_t blocks = steps_blocks();
    EXPECT_INT(steps_run(is_cancelled(), NULL, NULL), 0);
    EXPECT_INT(reports_total(), 0);
    sem_post(&gate);
    await_blocks(blocks); /* the late answer is gone, and its thread */
}

COIL_ASYNC0(has_a_limit)
{
    EXPECT_INT(COIL_TIMEOUT(0.01, coil_await(asks_slowly(), NULL)), COIL_ETIMEDOUT);
    return 0;
}

TEST(limit_ends_a_look_up)
{
    reset();
    size_t blocks = steps_blocks();
    EXPECT_INT(steps_run(has_a_limit(), NULL, &gate), 0);
    sem_post(&gate);
    await_blocks(blocks);
}

enum {
    MANY = 40 /* more than there are threads */
};

COIL_ASYNC0(asks_many_times)
{
    coil_task *tasks[MANY];
    for (int i = 0; i < MANY; i++)
        tasks[i] = coil_create_task(asks_slowly());
    COIL_TRY(coil_sleep(0));
    COIL_TRY(coil_sleep(0));
    sem_wait(&started);
    for (int i = 0; i < MANY; i += 2) {
        coil_task_cancel(tasks[i], NULL);
        sem_post(&gate);
        sem_post(&gate);
    }
    for (int i = 0; i < MANY; i++) {
        EXPECT_INT(coil_await(tasks[i], NULL), i % 2 ? 0 : COIL_ECANCELED);
        coil_unref(tasks[i]);
    }
    return 0;
}

TEST(look_ups_wait_in_line_and_each_gets_its_answer)
{
    reset();
    size_t blocks = steps_blocks();
    EXPECT_INT(steps_run(asks_many_times(), NULL, &gate), 0);
    await_blocks(blocks);
    EXPECT(atomic_load(&asked) >= MANY / 2);
}

/* ---- names ------------------------------------------------------------------------------------------ */

COIL_ASYNC0(asks_who)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
    const struct sockaddr *any = (const struct sockaddr *)&address;
    char host[NI_MAXHOST], service[NI_MAXSERV], tiny[4] = "abc";
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    COIL_TRY(coil_getnameinfo(any, sizeof address, 0, host, sizeof host, service, sizeof service));
    note("%s %s", host, service);
    COIL_TRY(coil_getnameinfo(any, sizeof address, 0, host, sizeof host, NULL, 0));
    EXPECT_INT(atomic_load(&asked), 2);
    COIL_TRY(coil_getnameinfo(any, sizeof address, NI_NUMERICHOST | NI_NUMERICSERV, host,
                              sizeof host, service, sizeof service));
    note("%s %s", host, service);
    EXPECT_INT(atomic_load(&asked), 2);
    EXPECT_INT(coil_getnameinfo(any, sizeof address, 0, tiny, sizeof tiny, NULL, 0), -EOVERFLOW);
    EXPECT_STR(tiny, "abc");
    EXPECT_INT(coil_getnameinfo(any, sizeof address, NI_NAMEREQD, host, sizeof host, NULL, 0),
               COIL_EGAI_NONAME);
    EXPECT_INT(
        coil_getnameinfo(any, 1, NI_NUMERICHOST | NI_NUMERICSERV, host, sizeof host, NULL, 0),
        -EAFNOSUPPORT);
    EXPECT_INT(coil_getnameinfo(any, 1000, 0, host, sizeof host, NULL, 0), -EAFNOSUPPORT);
    return 0;
}

TEST(names_of_an_address_are_found)
{
    reset();
    EXPECT_RUN(asks_who(), 0);
    EXPECT_NOTES("named.test web 127.0.0.1 80");
}

TEST(look_up_outside_a_task_is_refused)
{
    reset();
    struct addrinfo *list;
    struct sockaddr_in address = { .sin_family = AF_INET };
    EXPECT_INT(coil_getaddrinfo("127.0.0.1", "80", NULL, &list), COIL_ENOTASK);
    EXPECT_INT(
        coil_getnameinfo((const struct sockaddr *)&address, sizeof address, 0, NULL, 0, NULL, 0),
        COIL_ENOTASK);
}

/* ---- every point ------------------------------------------------------------------------------------ */

COIL_ASYNC0(explored)
{
    struct addrinfo *list = NULL;
    char host[NI_MAXHOST];
    int rc = coil_getaddrinfo("two.test", "80", &stream, &list);
    if (rc == 0)
        rc = coil_getnameinfo(list->ai_addr, list->ai_addrlen, 0, host, sizeof host, NULL, 0);
    if (list)
        freeaddrinfo(list);
    return rc;
}

static coil_coro *make_explored(void *arg)
{
    (void)arg;
    return explored();
}

TEST(nothing_is_left_wherever_a_look_up_is_disturbed)
{
    /* What is cancelled or closed may be in its thread still when the memory is counted. */
    reset();
    coil_explore_options options = COIL_EXPLORE_OPTIONS_INIT;
    options.modes = COIL_EXPLORE_ALLOC;
    EXPECT_INT(coil_testing_explore(make_explored, NULL, &options), 0);
    options.modes = COIL_EXPLORE_WOKEN;
    EXPECT_INT(coil_testing_explore(make_explored, NULL, &options), 0);
}

TESTS_MAIN(RUN(numbers_need_no_thread_and_no_turn), RUN(addresses_of_a_name_keep_their_order),
           RUN(failure_says_which_and_why),
           RUN(run_ends_although_a_look_up_that_was_cancelled_is_stuck), RUN(limit_ends_a_look_up),
           RUN(look_ups_wait_in_line_and_each_gets_its_answer), RUN(names_of_an_address_are_found),
           RUN(look_up_outside_a_task_is_refused),
           RUN(nothing_is_left_wherever_a_look_up_is_disturbed))
