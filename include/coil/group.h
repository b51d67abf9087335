/* Task groups: tasks that end before the block that started them.
 *
 *     coil_task_group tg;
 *     coil_task_group_enter(&tg);
 *     coil_task *page = coil_task_group_create_task(&tg, fetch("page"));
 *     int rc = coil_task_group_spawn(&tg, log_progress());
 *     rc = coil_task_group_exit(&tg, rc);       waits for both; rc < 0 cancels what still runs
 *     if (rc == 0)
 *         rc = use(page);
 *     coil_unref(page);
 *     return rc;
 *
 * A task that fails cancels its siblings and the block: the call in which the block waits returns
 * COIL_ECANCELED, and exit turns that into COIL_EGROUP, with the list of what failed, also if that is one
 * error only: coil_error_unwrap(rc) gives that one, coil_error_catch takes several by kind. A task that was
 * cancelled alone is no failure. A block with several ways out is best a function of its own, so that
 * exit is passed on each: rc = coil_task_group_exit(&tg, block(&tg)).
 *
 * The struct lies wherever you like, and needs no initialisation before enter. One that other code may
 * use before enter begins as COIL_TASK_GROUP_INIT. */
#ifndef COIL_GROUP_H
#define COIL_GROUP_H

#include <coil/task.h>

COIL_BEGIN_DECLS

struct coil__group;

typedef struct coil_task_group {
    struct coil__group *coil__state; /* private, as is all of it: NULL outside enter and exit */
    int coil__code;
} coil_task_group;
#define COIL_TASK_GROUP_INIT                                                                       \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/**
 * Begins a group, which belongs to the calling task. Every enter needs its exit, in the same task.
 *
 * The result may be ignored: in a group that could not be entered, create_task and spawn fail with the
 * same code, and so does exit.
 *
 * @param tg  yours; it may be reused after exit
 *
 * Returns   0, or
 *           COIL_ENOTASK   not in a task
 *           COIL_ERUNTIME  the task is in this very group already
 *           COIL_ENOMEM
 * Suspends  never
 * Thread    the loop's, in a task
 * Python    TaskGroup.__aenter__
 * Since     0.1
 */
COIL_API int coil_task_group_enter(coil_task_group *tg);

/**
 * Starts a task in a group. Any task or callback of the loop may do that, the group's own children for
 * instance, also while the group waits in exit.
 *
 * @param coro  consumed, also on failure: one that is refused never runs
 *
 * Returns   one reference, to read the result from; NULL: COIL_ERUNTIME (the group is not entered, is
 *           over, or is being cancelled), or as coil_create_task (coil_error_last says)
 * Suspends  never (an eager task factory runs the first step)
 * Thread    the loop's
 * Python    TaskGroup.create_task
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_task *coil_task_group_create_task(coil_task_group *tg,
                                                                         coil_coro *coro);

/**
 * The same with a name, for people and traces; and with options.
 *
 * @param coro     consumed, also on failure
 * @param name     copied
 * @param options  copied; NULL: none
 *
 * Returns   as coil_task_group_create_task; NULL also as coil_create_task_with
 * Suspends  never; with eager, the new task runs until it first suspends
 * Thread    the loop's
 * Python    TaskGroup.create_task(coro, name=, context=)
 * Since     0.1
 */
COIL_API COIL_MUST_USE COIL_OWNED coil_task *
coil_task_group_create_task_named(coil_task_group *tg, coil_coro *coro, const char *name);
COIL_API COIL_MUST_USE COIL_OWNED coil_task *
coil_task_group_create_task_with(coil_task_group *tg, coil_coro *coro,
                                 COIL_NULLABLE const coil_task_options *options);

/**
 * create_task for when the task itself is not needed: the group waits for it all the same.
 *
 * @param coro  consumed, also on failure
 *
 * Returns   0, or the code that coil_task_group_create_task fails with
 * Suspends  never (an eager task factory runs the first step)
 * Thread    the loop's
 * Python    TaskGroup.create_task, with the result dropped
 * Since     0.1
 */
COIL_API COIL_MUST_USE int coil_task_group_spawn(coil_task_group *tg, coil_coro *coro);

/**
 * Ends a group without an error: cancels its tasks and the block. The group takes no more tasks, and
 * exit, once all have ended, returns 0. What fails meanwhile is a failure all the same.
 *
 * Returns   true; false if the group is not entered, or is over
 * Suspends  never
 * Thread    the loop's; any task or callback
 * Python    TaskGroup.cancel (3.15)
 * Since     0.1
 */
COIL_API bool coil_task_group_cancel(coil_task_group *tg);
COIL_API bool coil__task_group_cancel_here(coil_task_group *tg, const coil_place *place);
#define coil_task_group_cancel(tg) coil__task_group_cancel_here(tg, COIL_HERE)

/**
 * Ends the block: waits for all tasks of the group. If the block failed, or a task does, those that
 * still run are cancelled first, and their cleanup is waited for.
 *
 * @param rc  how the block ended: 0 or more, or the code of its error, COIL_ECANCELED included
 *
 * Returns   rc if that is 0 or more and nothing failed (0 for a block cancelled by
 *           coil_task_group_cancel), or
 *           COIL_EGROUP     tasks failed, or the block did: the record lists the errors in the order
 *                           in which the tasks ended, that of the block last. See coil_error_catch. If
 *                           the task was cancelled from outside, too, it finds that at its next await
 *           COIL_ECANCELED  the task was cancelled, and no task of the group failed
 *           COIL_EEXIT, COIL_EINTERRUPT  the block or a task ended with it: goes before all others
 *           COIL_ECLOSING   the loop or the coroutine is being closed; if it is the loop, the group's tasks
 *                           have been closed first, as the loop would: nothing outlives the group
 *           COIL_ERUNTIME   the group is not entered, or was entered by another task
 *           COIL_ENOMEM     no memory to list the errors (if the block failed: rc). Each goes to the
 *                           exception handler instead
 * Suspends  while a task of the group runs
 * Cancel    cancels the group's tasks, and goes on waiting for them: nothing outlives the group
 * Thread    the loop's, in the task that entered
 * Python    TaskGroup.__aexit__
 * Since     0.1
 *
 * A block that is left without exit (by `return`, or COIL_TRY) is reported (COIL_EVENT_GROUP_LEFT), at
 * the latest when its task ends. The group's tasks are neither waited for nor cancelled then: they run
 * on as if made by coil_create_task.
 */
COIL_API COIL_MAY_SUSPEND COIL_MUST_USE int coil_task_group_exit(coil_task_group *tg, int rc);

/**
 * What COIL_SCOPED (see <coil/cancel.h>) calls: ends a group whose block was left early. Cancels its tasks, waits
 * for them, and gives nothing back: errors that nobody looks at are reported. Does nothing to a group that
 * is not entered, so initialise it by COIL_TASK_GROUP_INIT.
 *
 * Suspends  while a task of the group runs
 * Cancel    goes on waiting; a cancellation that comes meanwhile is delivered by the next wait
 * Thread    the loop's, in the task that entered
 * Python    TaskGroup.__aexit__
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND void coil_task_group_leave(coil_task_group *tg);

COIL_END_DECLS

#endif
