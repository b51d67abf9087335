/* Look-ups: jobs for a pool of the loop's own. Numbers are turned into addresses on the spot. */
#include <coil/dns.h>

#include <netdb.h>
#include <string.h>
#include "base/alloc.h"
#include "io/pool.h"
#include "tasks/task.h"

enum {
    THREADS_MAX = 16, /* they wait for name servers; some may be stuck there for half a minute */
};

/* ---- errors ------------------------------------------------------------------------------------- */

static int code_for(int eai, int error)
{
    switch (eai) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return COIL_EGAI_NONAME;
    case EAI_AGAIN:
        return COIL_EGAI_AGAIN;
    case EAI_SERVICE:
        return COIL_EGAI_SERVICE;
    case EAI_BADFLAGS:
        return COIL_EINVAL;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_SOCKTYPE:
        return -ESOCKTNOSUPPORT;
    case EAI_MEMORY:
        return COIL_ENOMEM;
    case EAI_OVERFLOW:
        return -EOVERFLOW;
    case EAI_SYSTEM:
        return error > 0 ? -error : COIL_EGAI_FAIL;
    default:
        return COIL_EGAI_FAIL;
    }
}

/* Fails with what getaddrinfo or getnameinfo has said; error: errno, right after it. */
static int fail(int eai, int error, const char *host, const char *service)
{
    int code = code_for(eai, error);
    const char *why = eai == EAI_SYSTEM ? "the look-up failed" : gai_strerror(eai);
    coil__fail(code, "%s%s%s: %s", host ? host : "", host && service ? " " : "",
               service ? service : "", why);
    coil_error *record = coil_error_current(code);
    if (record)
        coil_error_set_detail(record, eai);
    return code;
}

/* ---- the threads -------------------------------------------------------------------------------- */

/* Lent; NULL: there is no memory. */
static coil_executor *resolver_of(coil_loop *loop)
{
    if (!loop->resolver) {
        coil_thread_pool_options options = COIL_THREAD_POOL_OPTIONS_INIT;
        options.max_workers = THREADS_MAX;
        options.thread_name_prefix = "coil-dns";
        loop->resolver = coil_thread_pool_executor_new(&options);
    }
    return loop->resolver;
}

/* Runs a look-up (consumed) in a thread; waits for its result, which is the caller's. */
static int look_up(coil_job *job, coil_value *value_out)
{
    if (!job)
        return COIL_ENOMEM;
    struct coil__task *task = coil__thread.task;
    coil_loop *loop = task->future.loop;
    int rc = coil__loop_open_for_work(loop);
    coil_executor *resolver = rc == 0 ? resolver_of(loop) : NULL;
    if (!resolver) {
        coil_unref(job);
        return rc < 0 ? rc : COIL_ENOMEM;
    }
    coil_future *future = coil__run_in_pool(loop, resolver, job);
    if (!future)
        return coil_error_last();
    rc = coil_await(future, NULL);
    if (rc == 0)
        rc = coil_future_take_result(future, value_out);
    coil_unref(future);
    return rc;
}

/* ---- addresses of a name ------------------------------------------------------------------------ */

struct address_query {
    char *host, *service; /* owned; NULL: none */
    struct addrinfo hints;
};

static void drop_address_query(void *args)
{
    struct address_query *query = args;
    coil__free(query->host);
    coil__free(query->service);
}

static void drop_list(void *list)
{
    freeaddrinfo(list);
}

static int run_address_query(void *args, coil_value *coil_result)
{
    struct address_query *query = args;
    struct addrinfo *list = NULL;
    int eai = getaddrinfo(query->host, query->service, &query->hints, &list), error = errno;
    int rc = eai == 0 ? 0 : fail(eai, error, query->host, query->service);
    drop_address_query(query);
    if (rc == 0)
        *coil_result = coil_pointer_owned(list, drop_list);
    return rc;
}

static coil_job *address_job(const char *host, const char *service, const struct addrinfo *hints)
{
    static const coil_job_type type = { "getaddrinfo", run_address_query, __FILE__, __LINE__,
                                        drop_address_query };
    struct address_query query = { .hints = *hints };
    query.host = host ? coil__strdup(host) : NULL;
    query.service = service ? coil__strdup(service) : NULL;
    bool copied = (query.host || !host) && (query.service || !service);
    coil_job *job = copied ? coil_job_new(&type, &query, sizeof query) : NULL;
    if (job)
        return job;
    drop_address_query(&query);
    return coil__fail_null(COIL_ENOMEM);
}

/* True if no name is left to be looked up: *eai_out is the outcome then. */
static bool resolve_numbers(const char *host, const char *service, const struct addrinfo *hints,
                            struct addrinfo **list_out, int *eai_out)
{
    struct addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
    *eai_out = getaddrinfo(host, service, &numeric, list_out);
    return *eai_out != EAI_NONAME || numeric.ai_flags == hints->ai_flags;
}

int coil_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                     struct addrinfo **list_out)
{
    if (!coil__thread.task)
        return coil__fail(COIL_ENOTASK, "getaddrinfo outside a task");
    struct addrinfo wanted = { 0 }, *list = NULL;
    if (hints) {
        wanted.ai_flags = hints->ai_flags;
        wanted.ai_family = hints->ai_family;
        wanted.ai_socktype = hints->ai_socktype;
        wanted.ai_protocol = hints->ai_protocol;
    }
    int eai;
    if (resolve_numbers(host, service, &wanted, &list, &eai)) {
        if (eai != 0)
            return fail(eai, errno, host, service);
        *list_out = list;
        return 0;
    }
    coil_value value = coil_nil();
    int rc = look_up(address_job(host, service, &wanted), &value);
    if (rc == 0)
        *list_out = value.pointer;
    return rc;
}

/* ---- names of an address ------------------------------------------------------------------------ */

struct names {
    char host[NI_MAXHOST], service[NI_MAXSERV];
};

struct name_query {
    struct sockaddr_storage address;
    socklen_t length;
    int flags;
};

static int find_names(const struct name_query *query, struct names *names)
{
    const struct sockaddr *address = (const struct sockaddr *)&query->address;
    int eai = getnameinfo(address, query->length, names->host, sizeof names->host, names->service,
                          sizeof names->service, query->flags);
    return eai == 0 ? 0 : fail(eai, errno, "an address", NULL);
}

static int run_name_query(void *args, coil_value *coil_result)
{
    struct names *names = coil__alloc(sizeof *names);
    if (!names)
        return coil__fail_plain(COIL_ENOMEM);
    int rc = find_names(args, names);
    if (rc < 0)
        coil__free(names);
    else
        *coil_result = coil_pointer_owned(names, coil__free);
    return rc;
}

/* Both fit, or nothing is written. */
static int give_names(const struct names *names, char *host_out, size_t host_bytes,
                      char *service_out, size_t service_bytes)
{
    size_t host_length = strlen(names->host), service_length = strlen(names->service);
    if ((host_out && host_length >= host_bytes) || (service_out && service_length >= service_bytes))
        return fail(EAI_OVERFLOW, 0, names->host, names->service);
    if (host_out)
        memcpy(host_out, names->host, host_length + 1);
    if (service_out)
        memcpy(service_out, names->service, service_length + 1);
    return 0;
}

int coil_getnameinfo(const struct sockaddr *address, socklen_t length, int flags, char *host_out,
                     size_t host_bytes, char *service_out, size_t service_bytes)
{
    static const coil_job_type type = { "getnameinfo", run_name_query, __FILE__, __LINE__, NULL };
    enum {
        NUMBERS = NI_NUMERICHOST | NI_NUMERICSERV
    };
    if (!coil__thread.task)
        return coil__fail(COIL_ENOTASK, "getnameinfo outside a task");
    struct name_query query = { .length = length, .flags = flags };
    if (length > sizeof query.address)
        return fail(EAI_FAMILY, 0, "an address", NULL);
    memcpy(&query.address, address, length);

    if ((flags & NUMBERS) == NUMBERS) {
        struct names names;
        int rc = find_names(&query, &names);
        return rc < 0 ? rc : give_names(&names, host_out, host_bytes, service_out, service_bytes);
    }
    coil_value value = coil_nil();
    int rc = look_up(coil_job_new(&type, &query, sizeof query), &value);
    if (rc < 0)
        return rc;
    rc = give_names(value.pointer, host_out, host_bytes, service_out, service_bytes);
    coil_value_clear(&value);
    return rc;
}
