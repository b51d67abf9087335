/* Errors: a code to decide by, a record to explain.
 *
 * A failing call returns a negative code. The system's own are -errno; Coil's are listed below, and
 * codes from COIL_EAPP down are yours. Beside the code there is a record with a message, the place, the
 * way it came up through COIL_TRY, a cause and, for COIL_EGROUP, the list of the errors. The record
 * belongs to the task (outside tasks: to the thread); a future keeps the one it failed with.
 *
 *     if (port > 65535)
 *         return coil_raise(COIL_EINVAL, "port %d", port);
 *     ...
 *     int rc = serve(port);
 *     if (rc < 0)
 *         coil_error_print(stderr, rc);
 *
 * The code is enough: `return -EPIPE;` is an error, too, only one that explains less. A record is found by
 * its code, so one that was dealt with long ago may explain it wrongly: coil_error_clear forgets it.
 *
 * Cleanup that fails does not hide the first error. The last few records of a task are kept and are
 * looked up by code, so returning the first code brings the first record back. */
#ifndef COIL_ERROR_H
#define COIL_ERROR_H

#include <errno.h>
#include <stdio.h>
#include <coil/base.h>

COIL_BEGIN_DECLS

enum {
#define COIL_ERROR_CODE(name, value, text, manual) name = value,
#include <coil/errors.def>
#undef COIL_ERROR_CODE
};

/**
 * Fails: writes a record with a message, and gives the code back to return.
 *
 *     return coil_raise(COIL_EAPP, "no user %s", name);
 *
 * @param code    negative: -errno, one of Coil's, or COIL_EAPP and below
 * @param format  as printf's; the text of the code (coil_strerror) is printed in front of it anyway
 *
 * Returns   code. Where there is no memory for the record, there is none: the code is not changed
 * Suspends  never
 * Thread    any: the record is the calling task's or thread's
 * Python    raise
 * Since     0.1
 */
#define coil_raise(code, ...) coil_raise_at(__FILE__, __LINE__, __func__, code, NULL, __VA_ARGS__)

/**
 * Fails because of another failure: as coil_raise, with the record of `cause` kept as the reason.
 *
 *     rc = read_config(path);
 *     if (rc < 0)
 *         return coil_raise_from(rc, COIL_EAPP, "cannot start without %s", path);
 *
 * @param cause   the code of the earlier failure, whose record is looked up
 *
 * Returns   code
 * Suspends  never
 * Thread    any
 * Python    raise ... from
 * Since     0.1
 */
#define coil_raise_from(cause, code, ...)                                                          \
    coil_raise_at(__FILE__, __LINE__, __func__, code, coil_error_current(cause), __VA_ARGS__)

/**
 * What coil_raise and coil_raise_from expand to.
 *
 * @param cause  borrowed, kept; NULL: none
 *
 * Returns   code
 * Suspends  never
 * Thread    any
 * Python    raise
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_PRINTF(6, 7) int coil_raise_at(const char *file, int line,
                                                             const char *function, int code,
                                                             COIL_NULLABLE coil_error *cause,
                                                             const char *format, ...);

/**
 * The record of an error that has just been returned: the newest one with this code.
 *
 * @param code  what the failing call returned
 *
 * Returns   the record, lent until the task (or thread) fails again; coil_ref it to keep it.
 *           NULL if none was written: the code is all there is
 * Suspends  never
 * Thread    any
 * Python    sys.exception
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD coil_error *coil_error_current(int code);

/**
 * The code of the newest failure in this thread: why a call that returns NULL did so.
 *
 *     coil_task *task = coil_create_task(work());
 *     if (!task)
 *         return coil_error_last();
 *
 * Returns   a negative code; meaningful right after a call of Coil's has failed
 * Suspends  never
 * Thread    any
 * Python    none: constructors raise
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_error_last(void);

/**
 * Puts a record that was kept back in place, and gives its code back to return: raises it again.
 *
 * @param error  borrowed
 *
 * Returns   the record's code
 * Suspends  never
 * Thread    the loop's
 * Python    raise error
 * Since     0.1
 */
COIL_API int coil_reraise(coil_error *error);

/**
 * Forgets the records of a code: says that the error has been dealt with, so that it will not be taken to
 * explain another failure that returns the same code without a record.
 *
 * Suspends  never
 * Thread    any
 * Python    leaving an except block
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_error_clear(int code);

/**
 * The parts of a record: its code; its message ("" if it has none); how many errors it lists
 * (0 unless its code is COIL_EGROUP).
 *
 * @param error  borrowed; NULL, as coil_error_current may give, has code 0, no message, no errors
 *
 * Returns   the part; a text lives as long as the record
 * Suspends  never
 * Thread    the loop's
 * Python    Exception.args, BaseExceptionGroup.exceptions
 * Since     0.1
 */
COIL_API int coil_error_code(COIL_NULLABLE const coil_error *error);
COIL_API const char *coil_error_message(COIL_NULLABLE const coil_error *error);
COIL_API size_t coil_error_count(COIL_NULLABLE const coil_error *error);

/**
 * One of the errors that a group lists, or the cause of an error.
 *
 * @param index  below coil_error_count(error)
 *
 * Returns   the record, lent; NULL if there is none
 * Suspends  never
 * Thread    the loop's
 * Python    BaseExceptionGroup.exceptions, Exception.__cause__
 * Since     0.1
 */
COIL_API coil_error *coil_error_at(const coil_error *error, size_t index);
COIL_API coil_error *coil_error_cause(const coil_error *error);

/**
 * A group: one error that lists others. Raises it.
 *
 * @param errors  borrowed, kept by the group
 * @param count   at least 1
 *
 * Returns   COIL_EGROUP, or COIL_ENOMEM
 * Suspends  never
 * Thread    the loop's
 * Python    raise ExceptionGroup
 * Since     0.1
 */
COIL_API int coil_raise_group(coil_error *const *errors, size_t count, const char *message);

/* Says whether an error is one that is looked for. */
typedef bool (*coil_error_predicate)(const coil_error *error, void *arg);

/**
 * Whether an error has this code, or lists one that has, at whatever depth.
 *
 * @param error  borrowed
 *
 * Returns   the answer
 * Suspends  never
 * Thread    the loop's
 * Python    BaseExceptionGroup.subgroup(type) is not None
 * Since     0.1
 */
COIL_API bool coil_error_matches(const coil_error *error, int code);

/**
 * Divides a group into the errors that match and those that don't. Both parts are groups like the
 * original: nested groups stay nested, without those of their errors that went to the other part; the
 * message, the place and the cause stay the same. A group that itself matches is not looked into. An
 * error that is no group goes to one side whole.
 *
 * @param error      borrowed
 * @param code       what to look for; with _if, matches says it, for each group before its errors
 * @param match_out  NULL, or receives the part that matches, yours to unref; NULL: nothing does
 * @param rest_out   NULL, or receives the other part, yours to unref; NULL: there is none
 *
 * Returns   0, or COIL_ENOMEM, and both parts are NULL
 * Suspends  never
 * Thread    the loop's
 * Python    BaseExceptionGroup.split
 * Since     0.1
 */
COIL_API int coil_error_split(coil_error *error, int code, COIL_NULLABLE coil_error **match_out,
                              COIL_NULLABLE coil_error **rest_out);
COIL_API int coil_error_split_if(coil_error *error, coil_error_predicate matches, void *arg,
                                 COIL_NULLABLE coil_error **match_out,
                                 COIL_NULLABLE coil_error **rest_out);

/**
 * Catches the errors with one code, and lets the others go on.
 *
 *     coil_error *gone;
 *     rc = coil_error_catch(rc, -ECONNRESET, &gone);
 *     for (size_t i = 0; gone && i < coil_error_count(gone); i++)
 *         warn(coil_error_message(coil_error_at(gone, i)));
 *     coil_unref(gone);
 *     return rc;
 *
 * Several calls in a row each take their part. What is caught is always a group, of one error if rc is
 * no COIL_EGROUP.
 *
 * @param rc          what the failing call returned; nothing is caught of 0 and above
 * @param code        what to look for; with _if, matches says it (see coil_error_split)
 * @param caught_out  receives the group of the errors caught, yours to unref; NULL: none was
 *
 * Returns   0 if all was caught; else what is left: rc, with those caught no longer in its record.
 *           Without memory to divide the group nothing is caught
 * Suspends  never
 * Thread    the loop's
 * Python    except*
 * Since     0.1
 */
COIL_API int coil_error_catch(int rc, int code, coil_error **caught_out);
COIL_API int coil_error_catch_if(int rc, coil_error_predicate matches, void *arg,
                                 coil_error **caught_out);

/**
 * Takes a group of one apart: what a task group with a single failure ended with, as a code to branch by.
 *
 *     int rc = coil_error_unwrap(coil_task_group_exit(&tg, block(&tg)));
 *     if (rc == -ECONNREFUSED)
 *         return try_another();
 *
 * @param rc  what the failing call returned
 *
 * Returns   if rc is COIL_EGROUP and its record lists one error only, that error's code, raised again
 *           (a group of one in a group of one is taken apart as well); otherwise rc: several errors have
 *           no code in common, and coil_error_catch takes them one kind at a time
 * Suspends  never
 * Thread    the loop's
 * Python    none (Trio: strict_exception_groups=False)
 * Since     0.1
 */
COIL_API int coil_error_unwrap(int rc);

/**
 * A number that goes with an error: the status of coil_exit, the count of a partial read.
 *
 * @param detail  the number; 0 until it is set
 *
 * Returns   the number
 * Suspends  never
 * Thread    the loop's
 * Python    attributes of an exception (SystemExit.code)
 * Since     0.1
 */
COIL_API int64_t coil_error_detail(const coil_error *error);
COIL_API void coil_error_set_detail(coil_error *error, int64_t detail);

/**
 * Where an error was raised.
 *
 * @param file_out      the source file; any of the three may be NULL
 * @param line_out      1 and up, 0 if unknown
 * @param function_out  the function
 *
 * Returns   true if the place is known
 * Suspends  never
 * Thread    the loop's
 * Python    Exception.__traceback__
 * Since     0.1
 */
COIL_API bool coil_error_place(const coil_error *error, const char **file_out, int *line_out,
                               const char **function_out);

/**
 * Prints an error like a traceback: causes first, the way up, the message, and what a group lists.
 *
 * @param code  as returned by the failing call; its record is looked up
 *
 * Suspends  never
 * Thread    any
 * Python    traceback.print_exception
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_error_print(FILE *file, int code);

/**
 * The same for a record that was kept.
 *
 * @param error  borrowed
 *
 * Suspends  never
 * Thread    the loop's
 * Python    traceback.print_exception
 * Since     0.1
 */
COIL_API void coil_error_print_record(FILE *file, const coil_error *error);

/**
 * The name of a code, such as "COIL_ECANCELED" or "ECONNREFUSED"; "ok" for one that is no error.
 *
 * Returns   a static text; for codes of the application's own range what coil_error_register was told,
 *           or "application error"; "error" for any other that has no name
 * Suspends  never
 * Thread    any
 * Python    type(error).__name__
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD const char *coil_error_name(int code);

/**
 * The meaning of a code in a few words, such as "cancelled" or "Connection refused"; "ok" for one that is
 * no error.
 *
 * Returns   a text that lives until the next call in this thread
 * Suspends  never
 * Thread    any
 * Python    os.strerror
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD const char *coil_strerror(int code);

/* A code of the application's own, with its name and its meaning in a few words. */
typedef struct coil_error_entry {
    int code; /* COIL_EAPP - 1 down to -29999 */
    const char *name;
    const char *text;
} coil_error_entry;

/**
 * Gives names and texts to codes of the application's own range, so that reports, tracebacks and
 * coil_error_name say them.
 *
 *     static const coil_error_entry codes[] = {
 *         { COIL_EAPP - 1, "ENOUSER", "no such user" },
 *         { COIL_EAPP - 2, "EQUOTA", "quota exceeded" },
 *     };
 *     COIL_TRY(coil_error_register(codes, 2));
 *
 * @param entries  borrowed for good: static
 * @param count    of the entries
 *
 * Returns   0, also if the same table is registered again, or
 *           COIL_EINVAL  a code is outside the range, or has no name or text
 *           -EEXIST      a code has a name already
 *           COIL_ENOMEM  there are 16 tables already. After a failure none of the entries counts
 * Suspends  never
 * Thread    any
 * Python    class NoUser(Exception)
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_error_register(const coil_error_entry *entries, size_t count);

/**
 * Asks for the end of the program from inside a task: returned from the task's coroutine it leaves the
 * loop at once, and run gives it back. coil_main turns it into the exit status.
 *
 * @param status  0 to 255
 *
 * Returns   COIL_EEXIT
 * Suspends  never
 * Thread    the loop's
 * Python    raise SystemExit(status)
 * Since     0.1
 */
COIL_API int coil_exit(int status);

COIL_END_DECLS

#endif
