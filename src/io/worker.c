/* The worker's side of a process pool: a program that serves instead of doing what it does otherwise.
 *
 * It is one thread, blocks wherever it likes, and has no loop; a job may run one. */
#include <coil/process_pool.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/error.h"
#include "io/pack.h"
#include "io/worker.h"

bool coil__process_pool_main_called;

static coil_process_function *functions;

void coil_process_function_register(coil_process_function *function)
{
    function->next = functions;
    functions = function;
}

/* ---- the line -------------------------------------------------------------------------------------- */

/* The pool has closed the line, or is gone: an ordinary end, with what stands in the buffers of stdio. */
static _Noreturn void leave(void)
{
    exit(EXIT_SUCCESS);
}

static void send_all(int line, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t sent = send(line, at, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            leave();
        at += sent;
        bytes -= (size_t)sent;
    }
}

static void receive_all(int line, void *data, size_t bytes)
{
    char *at = data;
    while (bytes > 0) {
        ssize_t got = recv(line, at, bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            leave();
        at += got;
        bytes -= (size_t)got;
    }
}

/* A request for which there is no memory is read all the same, since an answer must follow it. */
static void skip(int line, uint64_t bytes)
{
    char waste[4096];
    while (bytes > 0) {
        size_t some = bytes < sizeof waste ? (size_t)bytes : sizeof waste;
        receive_all(line, waste, some);
        bytes -= some;
    }
}

static void answer(int line, int code, const char *data, size_t bytes)
{
    struct coil__message message = { COIL__MESSAGE_ANSWER, code, bytes };
    send_all(line, &message, sizeof message);
    send_all(line, data, bytes);
}

/* ---- a request ------------------------------------------------------------------------------------- */

static const coil_process_function *find(const char *name, const char *file, int64_t where)
{
    for (const coil_process_function *function = functions; function; function = function->next)
        if (function->line == where && strcmp(function->name, name) == 0 &&
            strcmp(function->file, file) == 0)
            return function;
    return NULL;
}

static int call(const coil_process_function *function, struct coil__unpacker *unpacker,
                coil_value *result_out)
{
    size_t ready = 0;
    int rc = 0;
    /* One more than needed, as nothing may be asked of an allocator for 0 bytes. */
    coil_value *args = coil__alloc((function->arg_count + 1) * sizeof *args);
    if (!args)
        return coil__fail_plain(COIL_ENOMEM);
    for (; ready < function->arg_count && rc == 0; ready++)
        rc = coil__unpack_value(unpacker, &args[ready]);
    if (rc < 0)
        rc = coil__fail(rc, "the arguments of %s", function->name);
    else
        rc = function->entry(args, result_out);
    if (rc > 0 && result_out->kind == COIL_NIL)
        *result_out = coil_int(rc); /* `return n;` of a count, as in a coroutine */
    if (rc < 0)
        coil_value_clear(result_out);
    for (size_t i = 0; i < ready; i++)
        coil_value_clear(&args[i]);
    coil__free(args);
    return rc < 0 ? rc : 0;
}

static int run(struct coil__unpacker *unpacker, struct coil__packer *packer)
{
    const char *name, *file;
    int64_t where;
    if (coil__unpack_text(unpacker, &name) < 0 || coil__unpack_text(unpacker, &file) < 0 ||
        coil__unpack_integer(unpacker, &where) < 0 || !name || !file)
        return coil__fail(-EBADMSG, "a request that no pool has made");
    const coil_process_function *function = find(name, file, where);
    if (!function)
        return coil__fail(COIL_ELOOKUP,
                          "the worker process knows no job %s: it is in none of the "
                          "libraries that are loaded at its start",
                          name);
    coil_value result = coil_nil();
    int rc = call(function, unpacker, &result);
    if (rc == 0)
        coil__pack_value(packer, result);
    if (packer->code < 0)
        rc = coil__fail(packer->code, "the result of %s cannot be sent", name);
    coil_value_clear(&result);
    return rc;
}

static void serve(int line, const struct coil__message *message)
{
    struct coil__packer packer = { NULL, 0, 0, 0 };
    char *request = message->bytes < SIZE_MAX ? coil__alloc((size_t)message->bytes + 1) : NULL;
    if (!request) {
        skip(line, message->bytes);
        answer(line, COIL_ENOMEM, NULL, 0);
        return;
    }
    receive_all(line, request, (size_t)message->bytes);
    struct coil__unpacker unpacker = { request, request + message->bytes };
    int rc = run(&unpacker, &packer);
    coil__free(request);
    if (rc < 0) {
        coil_error *error = coil__errors_take(&coil__thread.errors, rc);
        packer.length = 0;
        packer.code = 0;
        if (error)
            coil__pack_error(&packer, error);
        if (packer.code < 0)
            packer.length = 0; /* the code is enough */
        coil_unref(error);
    }
    answer(line, rc, packer.data, packer.length);
    coil__free(packer.data);
    coil__errors_forget_thread();
}

/* ---- becoming one ---------------------------------------------------------------------------------- */

static _Noreturn void serve_all(int line)
{
    struct coil__message message = { COIL__MESSAGE_HELLO, 0, 0 };
    send_all(line, &message, sizeof message);
    for (;;) {
        receive_all(line, &message, sizeof message);
        if (message.kind != COIL__MESSAGE_REQUEST)
            leave();
        serve(line, &message);
    }
}

static bool is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

void coil_process_pool_main(void)
{
    const char *text = secure_getenv(COIL__WORKER_VARIABLE);
    coil__process_pool_main_called = true;
    if (!text)
        return;
    int line = atoi(text);
    (void)unsetenv(COIL__WORKER_VARIABLE); /* it is not for the programs that a job starts */
    if (line <= STDERR_FILENO || !is_socket(line))
        return; /* somebody else's variable */
    (void)fcntl(line, F_SETFD, FD_CLOEXEC);
    /* Sent when the thread ends that has started us, which stays until it has seen our end. If it is gone
     * already the line is closed, too. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve_all(line);
}
