/* Other programs: started, fed, read, waited for, and told to stop.
 *
 *     COIL_ASYNC(word_count, (const char *, text))
 *     {
 *         coil_process_options options = COIL_PROCESS_OPTIONS_INIT;
 *         options.in = options.out = COIL_PIPE;
 *         coil_process *wc = coil_create_subprocess_exec(COIL_ARGS("wc", "-w"), &options);
 *         if (!wc)
 *             return coil_error_last();
 *         coil_output out;
 *         int rc = coil_process_communicate(wc, text, strlen(text), &out, NULL);
 *         if (rc == 0)
 *             printf("%.*s", (int)out.length, out.data);
 *         coil_unref(wc);
 *         return rc;
 *     }
 *
 * Every child is reaped, when it ends, by the loop that started it: also one whose object has been given back
 * by coil_unref, which goes on by itself, its pipes closed, and one whose waiting task was cancelled. When the
 * loop is closed first, a thread stays behind for each child that is left. Coil looks at its own children only,
 * by their pidfds; it has no handler for SIGCHLD and reaps nobody else's.
 *
 * The child gets no descriptor but 0, 1, 2 and those in pass_fds, no blocked signals, and default actions for
 * all signals that its parent handles, and for SIGPIPE.
 *
 * Whoever waits with a time limit decides what becomes of the child; nothing here kills one by itself:
 *
 *     COIL_ASYNC(run_at_most, (coil_process *, child), (double, seconds))
 *     {
 *         int rc = COIL_TIMEOUT(seconds, coil_process_wait(child, NULL));
 *         if (rc < 0) {
 *             (void)coil_process_kill(child);
 *             (void)coil_process_wait(child, NULL);
 *         }
 *         return rc;
 *     }
 */
#ifndef COIL_PROCESS_H
#define COIL_PROCESS_H

#include <sys/types.h>
#include <coil/base.h>
#include <coil/stream.h>

COIL_BEGIN_DECLS

/* Where a child's descriptor 0, 1 or 2 leads: one of these, or the number of an open descriptor above 0. */
enum coil_redirection {
    COIL_INHERIT = 0,  /* where the parent's leads */
    COIL_PIPE = -1,    /* to us */
    COIL_STDOUT = -2,  /* err only: where out leads */
    COIL_DEVNULL = -3, /* nowhere */
};

typedef struct coil_process_options {
    size_t size;                          /* sizeof(coil_process_options) */
    int in, out, err;                     /* enum coil_redirection, or a descriptor: stays yours */
    COIL_NULLABLE const char *executable; /* the program, if argv[0] shall name another one */
    COIL_NULLABLE const char *cwd;        /* the directory to start in; NULL: this one */
    COIL_NULLABLE const char *const *env; /* "NAME=value", then NULL; NULL: this process's */
    COIL_NULLABLE const int *pass_fds;    /* descriptors that it keeps, under the same numbers */
    size_t pass_fd_count;
    bool new_session; /* in a session of its own, away from the terminal */
    bool new_group;   /* in a process group of its own: Ctrl-C does not reach it */
    bool set_umask;
    mode_t umask; /* if set_umask */
    size_t limit; /* of its streams' readers, see coil_stream_reader_new; 0: COIL_STREAM_LIMIT */
} coil_process_options;
#define COIL_PROCESS_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(coil_process_options), COIL_INHERIT, COIL_INHERIT, COIL_INHERIT, NULL, NULL, NULL,  \
            NULL, 0, false, false, false, 0, 0                                                     \
    }

/* An argument list, ended as it must be: COIL_ARGS("ls", "-l"). */
#define COIL_ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/**
 * Starts a program.
 *
 * @param argv     its name and arguments, then NULL; borrowed for the call. A name without a slash is looked
 *                 for in the PATH of the environment that the program gets
 * @param options  borrowed for the call; NULL: none
 *
 * Returns   one reference; or NULL, and there is no child. coil_error_last is then
 *           -ENOENT, -EACCES...  of exec: no such program; or of cwd, as the message says
 *           -EMFILE, -EAGAIN...  no descriptors, no processes
 *           COIL_EINVAL          no program, or options that contradict one another
 *           COIL_ENOLOOP, COIL_ECLOSED, COIL_ENOMEM
 * Suspends  never; the call returns when the program runs
 * Thread    the loop's
 * Python    asyncio.create_subprocess_exec
 * Since     0.1
 */
COIL_API COIL_OWNED coil_process *
coil_create_subprocess_exec(const char *const *argv,
                            COIL_NULLABLE const coil_process_options *options);

/**
 * Has /bin/sh run a command. Never put foreign text into it: pass that as an argument to a program.
 *
 * Returns   as coil_create_subprocess_exec. That a command was not found is the shell's business: it ends
 *           with 127
 * Suspends  never
 * Thread    the loop's
 * Python    asyncio.create_subprocess_shell
 * Since     0.1
 */
COIL_API COIL_OWNED coil_process *
coil_create_subprocess_shell(const char *command,
                             COIL_NULLABLE const coil_process_options *options);

/**
 * The number of the process. It is the child's until the child is reaped; to send a signal,
 * coil_process_send_signal is safe at any time.
 *
 * Returns   the number
 * Suspends  never
 * Thread    the loop's
 * Python    Process.pid
 * Since     0.1
 */
COIL_API pid_t coil_process_pid(const coil_process *process);

/**
 * Whether the child has ended, as far as the loop has seen.
 *
 * @param returncode_out  NULL, or receives the exit status, or minus the number of the signal that ended it;
 *                        untouched while it runs
 *
 * Returns   true if it has ended and its status is known
 * Suspends  never
 * Thread    the loop's
 * Python    Process.returncode (not None)
 * Since     0.1
 */
COIL_API bool coil_process_returncode(const coil_process *process,
                                      COIL_NULLABLE int *returncode_out);

/**
 * The child's input, output and errors as streams, where they are pipes. A stream is made when it is asked for the
 * first time; from then on it has the descriptor, and coil_process_fd gives -1. The output is read as far as the
 * limit allows even if nobody waits; beyond it the child has to wait.
 *
 *     COIL_ASYNC(ask, (coil_process *, bc), (const char *, question))
 *     {
 *         char *answer;
 *         COIL_TRY(coil_stream_write(coil_process_stdin(bc), question, strlen(question)));
 *         COIL_TRY(coil_stream_readline(coil_process_stdout(bc), &answer));
 *         printf("%s", answer);
 *         return 0;
 *     }
 *
 * The end of the input is told by coil_stream_close. Whether the child reads it all is its business: when it is gone,
 * writing fails with -EPIPE or -ECONNRESET, and no signal comes.
 *
 * Streams are closed when the last reference of the process goes, which is reported (COIL_EVENT_UNCLOSED_PROCESS) if
 * the child still runs. What was written before is sent all the same.
 *
 * Returns   the stream, lent until the process goes; the same each time; coil_ref to keep the object, which is
 *           closed then. NULL, and coil_error_last is
 *           COIL_EINVAL    it is no pipe
 *           COIL_ECLOSED   it was closed, by coil_process_close_fd or by communicate; or the loop is
 *           COIL_ERUNTIME  a task communicates with the process
 *           COIL_ENOMEM, -ENOSPC
 * Suspends  never
 * Thread    the loop's
 * Python    Process.stdin, Process.stdout, Process.stderr
 * Since     0.1
 */
COIL_API COIL_NULLABLE coil_stream_writer *coil_process_stdin(coil_process *process);
COIL_API COIL_NULLABLE coil_stream_reader *coil_process_stdout(coil_process *process);
COIL_API COIL_NULLABLE coil_stream_reader *coil_process_stderr(coil_process *process);

/**
 * Our end of a pipe to the child: non-blocking, for coil_wait_readable and read(2), or coil_wait_writable and
 * write(2). It stays the process's.
 *
 * @param which  0 (what we write), 1 or 2 (what we read)
 *
 * Returns   the descriptor; -1 if there is no such pipe, or it is closed, or a stream's
 * Suspends  never
 * Thread    the loop's
 * Python    none; as Popen.stdin.fileno()
 * Since     0.1
 */
COIL_API int coil_process_fd(const coil_process *process, int which);

/**
 * Closes our end of a pipe, or its stream: the child's input ends, or its output goes nowhere. Twice is fine.
 *
 * @param which  0, 1 or 2
 *
 * Suspends  never
 * Thread    the loop's
 * Python    Process.stdin.close
 * Since     0.1
 */
COIL_API void coil_process_close_fd(coil_process *process, int which);

/**
 * Waits until the child has ended. Pipes are not waited for, so one that a grandchild keeps open does not
 * delay it. A child that fills a pipe that nobody reads never ends: see coil_process_communicate.
 *
 * @param returncode_out  NULL, or receives what coil_process_returncode gives
 *
 * Returns   0, or
 *           -ECHILD        it has ended, but somebody else has reaped it: the program ignores SIGCHLD, or
 *                          waits for all children
 *           COIL_ECLOSED   its loop has been closed
 *           COIL_ECANCELED, COIL_ENOTASK
 * Suspends  while the child runs
 * Cancel    the child goes on, and is reaped when it ends
 * Thread    the loop's, in a task
 * Python    Process.wait
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_process_wait(coil_process *process,
                                                              COIL_NULLABLE int *returncode_out);

/**
 * Sends a signal to the child; SIGTERM; SIGKILL. Never to another process, whatever became of its number.
 *
 * Returns   0, or
 *           -ESRCH   it has ended
 *           -EPERM, COIL_EINVAL
 * Suspends  never
 * Thread    the loop's
 * Python    Process.send_signal, Process.terminate, Process.kill
 * Since     0.1
 */
COIL_API int coil_process_send_signal(coil_process *process, int number);
COIL_API int coil_process_terminate(coil_process *process);
COIL_API int coil_process_kill(coil_process *process);

/* What a child has written to a pipe. */
typedef struct coil_output {
    const char *data; /* the process's; a zero byte follows. NULL: it was no pipe */
    size_t length;
} coil_output;

typedef struct coil_communicate_options {
    size_t size; /* sizeof(coil_communicate_options) */
    COIL_NULLABLE const void *input;
    size_t input_bytes; /* of input */
    size_t limit;       /* of each output, in bytes; 0: none */
    double timeout;     /* seconds; 0: none */
} coil_communicate_options;
#define COIL_COMMUNICATE_OPTIONS_INIT                                                              \
    {                                                                                              \
        sizeof(coil_communicate_options), NULL, 0, 0, 0                                            \
    }

/**
 * Feeds the child's input and closes it, reads its output and errors to the end, all at the same time, and
 * waits for it. A child that does not read its input is no error. Where a stream was asked for it goes through the
 * streams: what was written to them comes before the input, and what was read from them is not in the output.
 *
 * @param input    borrowed until the call returns; NULL: nothing is written
 * @param out      NULL, or receives what it wrote to 1: lent until the process goes, or the next call
 * @param err      NULL, or receives what it wrote to 2
 * @param options  borrowed for the call
 *
 * Returns   0, or
 *           -EMSGSIZE       an output is longer than the limit
 *           COIL_ETIMEDOUT  the time limit expired
 *           COIL_ERUNTIME   another task is in such a call
 *           COIL_EINVAL     there is input, and the child's is no pipe
 *           COIL_ENOMEM, or as coil_process_wait
 * Suspends  while the child runs, or its pipes are open, be it in a grandchild
 * Cancel    the child goes on. Nothing is lost: the next call, with the same input, continues where this
 *           one was, and gives all of the output. So it is after any failure
 * Thread    the loop's, in a task
 * Python    Process.communicate
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_process_communicate(coil_process *process, COIL_NULLABLE const void *input, size_t input_bytes,
                         COIL_NULLABLE coil_output *out, COIL_NULLABLE coil_output *err);
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int
coil_process_communicate_with(coil_process *process, const coil_communicate_options *options,
                              COIL_NULLABLE coil_output *out, COIL_NULLABLE coil_output *err);

COIL_END_DECLS

#endif
