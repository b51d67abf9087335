/* The conformance kit: what a scenario needs so that its C reads like its Python.
 *
 *     #include "kit/kit.h"
 *
 *     COIL_ASYNC(worker, (const char *, name), (double, delay))
 *     {
 *         COIL_TRY(coil_sleep(delay));
 *         at(name, "slept", delay);
 *         if (delay > 1)
 *             return boom("too long");
 *         coil_return(name);
 *     }
 *
 *     COIL_ASYNC0(amain)
 *     {
 *         coil_task *tasks[2];
 *         tasks[0] = coil_create_task(worker("a", 1));
 *         tasks[1] = coil_create_task(worker("b", 2));
 *         COIL_TRY(coil_wait(tasks, 2, COIL_NO_TIMEOUT, COIL_ALL_COMPLETED));
 *         say(tasks[0], outcome(tasks[0]), "all:", outcomes(tasks, 2));
 *         unref_all(tasks, 2);
 *         return 0;
 *     }
 *
 *     int main(void)
 *     {
 *         must(run(amain(), 0, NULL));
 *     }
 *
 * prints
 *
 *     [1.000] a slept 1.000
 *     [2.000] b slept 2.000
 *     Task-2 result=a all: [result=a, ERROR(too long)]
 *
 * A part of a line is anything: a text, a number, a task (its name), an error record (its token),
 * a coil_value, NULL (nil). A call that returns bool prints true or false; of a comparison, which
 * is an int in C, say coil_bool(a == b). The parts of one line are evaluated in no particular
 * order, and so are the elements of an initializer: await, take the time, draw random numbers and
 * make tasks in statements of their own.
 *
 * The texts that the kit makes (kind, outcome, list...) live as long as the program. Nothing here
 * needs checking unless it returns an int: the kit ends the program when it runs out of memory. */
#ifndef CONFORMANCE_KIT_H
#define CONFORMANCE_KIT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coil/coil.h>
#include <coil/testing.h>

/* ---- lines ----------------------------------------------------------------------------------- */

/* Prints one line: the parts (1 to 16) with a space between them. */
#define say(...) kit_say(KIT_COUNT(__VA_ARGS__), KIT_VALUES(__VA_ARGS__))

/* The same with the loop's time in front, and before that four blanks per level of `depth`. */
#define at(...) kit_at(KIT_COUNT(__VA_ARGS__), KIT_VALUES(__VA_ARGS__))

/* The indentation of trace and at() lines, in the current context. */
extern coil_context_var *depth;
const char *pad(void);

/* ---- values as texts ------------------------------------------------------------------------- */

/* The token for the error that a call just returned, with what its record adds; "none" for 0 (and
 * any count). The same for a record, "none" for NULL. */
coil_value kind(int code);
coil_value kind_of(const coil_error *error);

/* How a future or task ended: pending, result=VALUE, CANCELLED or an error's token. Counts as
 * looking at the error. And the same for several, as a list. */
coil_value outcome(coil_future *future);
coil_value outcomes(coil_future *const *futures, size_t count);

/* Bytes in quotes; [a, b]; {a, b} sorted by text; {key: value, key: value}. */
coil_value bytes(const void *data, size_t length);
#define list(...)    list_of(KIT_VALUES(__VA_ARGS__), KIT_COUNT(__VA_ARGS__))
#define set(...)     set_of(KIT_VALUES(__VA_ARGS__), KIT_COUNT(__VA_ARGS__))
#define mapping(...) mapping_of(KIT_VALUES(__VA_ARGS__), KIT_COUNT(__VA_ARGS__))

/* The same of arrays: count values; of a mapping, keys and values in turn. */
coil_value list_of(const coil_value *values, size_t count);
coil_value set_of(const coil_value *values, size_t count);
coil_value mapping_of(const coil_value *keys_and_values, size_t count);

/* The names of some tasks as a set; of all tasks of a loop (NULL: the running one) that are not
 * done. */
coil_value set_of_tasks(coil_task *const *tasks, size_t count);
coil_value all_tasks(coil_loop *loop);

/* A list that grows, as Python's: what is appended is kept as its text.
 *
 *     struct items fired = { 0 };
 *     append(&fired, 7);
 *     say(as_list(&fired), "count", fired.count);
 *     clear(&fired);
 */
struct items {
    coil_value *values;
    size_t count;
    size_t room;
};
#define append(items, part) kit_append(items, kit_part(part))
coil_value as_list(const struct items *items);
coil_value as_set(const struct items *items);
void clear(struct items *items);

/* One value in the kit's notation, as a C text; and a text made as printf makes one. */
const char *show(coil_value value);
const char *textf(const char *format, ...) COIL_PRINTF(1, 2);

/* ---- errors and reports ---------------------------------------------------------------------- */

/* Fails with the application's own error, shown as ERROR(text): `return boom("no");`. */
#define boom(text) coil_raise(COIL_EAPP, "%s", text)

/* At the top level, where nobody could be told: ends the program with the error if code is
 * negative. Gives the code back if not. */
int must(int code);

/* An exception handler that prints one EVENT line, for coil_set_exception_handler. */
int print_event(coil_loop *loop, const coil_report *report, void *arg);

/* From here on, new loops send their own log to the output as LOG lines; and their warnings (a
 * coroutine that was never awaited, a loop that was never closed) as WARN lines. Without it they
 * go to standard error, where nothing may appear. */
void print_log(void);
void print_warnings(void);

/* ---- loops ----------------------------------------------------------------------------------- */

enum {
    TRACE = 1, /* print the steps of all tasks */
    REAL = 2,  /* the real clock, not the virtual one */
    DEBUG = 4, /* debug mode */
};

/* A loop, with a virtual clock unless REAL. One reference, to close and give back: end_loop does
 * both. */
coil_loop *new_loop(int flags);
void end_loop(coil_loop *loop);

/* Runs a coroutine on such a loop, as coil_run does. The trace ends with the main task: the steps
 * by which run shuts down are not part of it. value_out may be NULL. */
int run(coil_coro *main_coro, int flags, coil_value *value_out);

/* The running loop's time; and moving it on, as code does that keeps the processor busy. */
double now(void);
void advance(double seconds);

/* ---- callbacks that print -------------------------------------------------------------------- */

/* loop.call_soon(say, "a", 1) and its relatives, with say or at; loop may be NULL: the running
 * one. They return 0 or a negative code, as coil_call_soon.
 *
 *     COIL_TRY(call_soon(loop, say, "a", 1));
 *     COIL_TRY(call_later(loop, 0.75, at, "later"));
 */
#define call_soon(loop, how, ...) kit_call_soon(loop, how##_line, KIT_LINE(__VA_ARGS__), NULL)
#define call_later(loop, delay, how, ...)                                                          \
    kit_call_later(loop, delay, how##_line, KIT_LINE(__VA_ARGS__), NULL)
#define call_at(loop, when, how, ...)                                                              \
    kit_call_at(loop, when, how##_line, KIT_LINE(__VA_ARGS__), NULL)
#define call_soon_threadsafe(loop, how, ...)                                                       \
    kit_call_soon_threadsafe(loop, how##_line, KIT_LINE(__VA_ARGS__))

/* The same where the handle is needed: *handle_out receives one reference.
 *
 *     coil_handle *late;
 *     COIL_TRY(keep_call_later(&late, loop, 4, at, "never"));
 */
#define keep_call_soon(handle_out, loop, how, ...)                                                 \
    kit_call_soon(loop, how##_line, KIT_LINE(__VA_ARGS__), handle_out)
#define keep_call_later(handle_out, loop, delay, how, ...)                                         \
    kit_call_later(loop, delay, how##_line, KIT_LINE(__VA_ARGS__), handle_out)
#define keep_call_at(handle_out, loop, when, how, ...)                                             \
    kit_call_at(loop, when, how##_line, KIT_LINE(__VA_ARGS__), handle_out)

/* Methods as callbacks, each with the object as its argument: loop.stop, task.cancel (of any
 * future), handle.cancel, future.set_result(None).
 *
 *     COIL_TRY(coil_call_later(loop, 2, do_cancel, task, NULL));
 */
int do_stop(void *loop);
int do_cancel(void *future);
int do_cancel_handle(void *handle);
int do_complete(void *future);

/* A text as the argument of a callback, which reads it as a const char *. */
void *text_arg(const char *text);

/* ---- tasks and context variables ------------------------------------------------------------- */

/* create_task(coro, name="a", context=c):  create_task(coro, .name = "a", .context = c) */
#define create_task(coro, ...)                                                                     \
    coil_create_task_with(NULL, coro,                                                              \
                          &(coil_task_options){ .size = sizeof(coil_task_options), __VA_ARGS__ })

/* Awaits a task or future and gives the reference to it back: `await asyncio.create_task(coro)`.
 * The result, if value_out is not NULL, becomes the caller's. */
int join(coil_future *future, coil_value *value_out);

/* var.get(): the variable's value in the current context. It has one, or a default. */
coil_value value_of(coil_context_var *var);

/* Gives several references back. */
#define unref_all(objects, count) kit_unref_all((void *const *)(uintptr_t)(objects), count)

/* ---- streams --------------------------------------------------------------------------------- */

/* The token of a read that failed; want is what COIL_EINCOMPLETE was asked for: "sep", or a number. */
coil_value read_error(const coil_stream_reader *reader, int code, const char *want);

/* A line's or chunk's view as a part of a line; for a code, its token as above. */
coil_value read_bytes(const coil_stream_reader *reader, ssize_t length, const char *data,
                      const char *want);

/* open_connection to a port of this machine. */
int connect_here(int port, coil_stream_reader **reader_out, coil_stream_writer **writer_out);

/* writer.close(), await writer.wait_closed(), and both references given back. */
int hang_up(coil_stream_reader *reader, coil_stream_writer *writer);

/* await reader.read() as a part of a line. */
int read_all(coil_stream_reader *reader, coil_value *bytes_out);

/* server.close(), await server.wait_closed(), and the reference given back. */
int stop_server(coil_server *server);

/* loop.call_later(delay, reader.feed_data, text), and reader.feed_eof. */
int feed_later(coil_stream_reader *reader, double delay, const char *text);
int feed_eof_later(coil_stream_reader *reader, double delay);

/* ---- random schedules ------------------------------------------------------------------------ */

/* A 64-bit linear congruential generator: struct lcg rng = { seed }. A draw is a number of 31 bits;
 * below(n) is one from 0 to n - 1. */
struct lcg {
    uint64_t state;
};
uint64_t lcg_draw(struct lcg *rng);
uint64_t lcg_below(struct lcg *rng, uint64_t n);

/* Collects lines; shows the first and the last `keep` of them, how many there are, and a hash of
 * all.
 *
 *     struct digest log = { .keep = 20 };
 *     digest_add(&log, "w", 3, "put", 17);
 *     digest_print(&log);                    which also empties it
 */
struct digest {
    size_t keep;
    size_t count;
    uint64_t hash;
    char **lines; /* the first `keep`, then a ring of the last `keep` */
};
#define digest_add(digest, ...)                                                                    \
    kit_digest_add(digest, KIT_COUNT(__VA_ARGS__), KIT_VALUES(__VA_ARGS__))
void digest_print(struct digest *digest);

/* ---- what the macros expand to --------------------------------------------------------------- */

/* A part of a line as a value: coil_v, which also knows tasks and errors. */
#define kit_part(x)                                                                                \
    _Generic((x),                                                                                  \
        coil_future *: kit_future_part,                                                            \
        coil_error *: kind_of,                                                                     \
        const coil_error *: kind_of,                                                               \
        coil_value: coil__v_same,                                                                  \
        _Bool: coil_bool,                                                                          \
        char: coil_int,                                                                            \
        signed char: coil_int,                                                                     \
        unsigned char: coil_int,                                                                   \
        short: coil_int,                                                                           \
        unsigned short: coil_int,                                                                  \
        int: coil_int,                                                                             \
        unsigned: coil_int,                                                                        \
        long: coil_int,                                                                            \
        unsigned long: coil_int,                                                                   \
        long long: coil_int,                                                                       \
        unsigned long long: coil_int,                                                              \
        float: coil_double,                                                                        \
        double: coil_double,                                                                       \
        char *: coil_string,                                                                       \
        const char *: coil_string,                                                                 \
        default: coil_pointer)(x)

#define KIT_COUNT(...)                                                                             \
    KIT_PICK(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define KIT_PICK(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, pick, ...) \
    pick

#define KIT_VALUES(...)                                                                            \
    (coil_value[])                                                                                 \
    {                                                                                              \
        KIT_MAP(KIT_COUNT(__VA_ARGS__), __VA_ARGS__)                                               \
    }
#define KIT_MAP(count, ...)  KIT_MAP_(count, __VA_ARGS__)
#define KIT_MAP_(count, ...) KIT_MAP##count(__VA_ARGS__)
#define KIT_MAP1(a)          kit_part(a)
#define KIT_MAP2(a, ...)     kit_part(a), KIT_MAP1(__VA_ARGS__)
#define KIT_MAP3(a, ...)     kit_part(a), KIT_MAP2(__VA_ARGS__)
#define KIT_MAP4(a, ...)     kit_part(a), KIT_MAP3(__VA_ARGS__)
#define KIT_MAP5(a, ...)     kit_part(a), KIT_MAP4(__VA_ARGS__)
#define KIT_MAP6(a, ...)     kit_part(a), KIT_MAP5(__VA_ARGS__)
#define KIT_MAP7(a, ...)     kit_part(a), KIT_MAP6(__VA_ARGS__)
#define KIT_MAP8(a, ...)     kit_part(a), KIT_MAP7(__VA_ARGS__)
#define KIT_MAP9(a, ...)     kit_part(a), KIT_MAP8(__VA_ARGS__)
#define KIT_MAP10(a, ...)    kit_part(a), KIT_MAP9(__VA_ARGS__)
#define KIT_MAP11(a, ...)    kit_part(a), KIT_MAP10(__VA_ARGS__)
#define KIT_MAP12(a, ...)    kit_part(a), KIT_MAP11(__VA_ARGS__)
#define KIT_MAP13(a, ...)    kit_part(a), KIT_MAP12(__VA_ARGS__)
#define KIT_MAP14(a, ...)    kit_part(a), KIT_MAP13(__VA_ARGS__)
#define KIT_MAP15(a, ...)    kit_part(a), KIT_MAP14(__VA_ARGS__)
#define KIT_MAP16(a, ...)    kit_part(a), KIT_MAP15(__VA_ARGS__)

/* A line put aside for a callback; whoever queues it gives it away. */
struct kit_line;
#define KIT_LINE(...) kit_line_new(KIT_COUNT(__VA_ARGS__), KIT_VALUES(__VA_ARGS__))
struct kit_line *kit_line_new(size_t count, const coil_value *parts);
int say_line(void *line);
int at_line(void *line);
int kit_call_soon(coil_loop *loop, coil_callback how, struct kit_line *line,
                  coil_handle **handle_out);
int kit_call_later(coil_loop *loop, double delay, coil_callback how, struct kit_line *line,
                   coil_handle **handle_out);
int kit_call_at(coil_loop *loop, double when, coil_callback how, struct kit_line *line,
                coil_handle **handle_out);
int kit_call_soon_threadsafe(coil_loop *loop, coil_callback how, struct kit_line *line);

void kit_say(size_t count, const coil_value *parts);
void kit_at(size_t count, const coil_value *parts);
void kit_append(struct items *items, coil_value value);
void kit_digest_add(struct digest *digest, size_t count, const coil_value *parts);
void kit_unref_all(void *const *objects, size_t count);
coil_value kit_future_part(coil_future *future);

/* ---- the two sets of asyncio.wait ------------------------------------------------------------------ */

/* The names of those among some tasks that are done, and of those that are not, as sets. */
coil_value set_of_done(coil_task *const *tasks, size_t count);
coil_value set_of_pending(coil_task *const *tasks, size_t count);

#endif
