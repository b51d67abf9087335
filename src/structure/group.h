/* Task groups, inside the library. The public half is <coil/group.h>. */
#ifndef COIL_STRUCTURE_GROUP_H
#define COIL_STRUCTURE_GROUP_H

#include <coil/group.h>
#include "tasks/task.h"

struct coil__group {
    struct coil__group *outer; /* in the owner's list: entered before it */
    coil_task_group *handle;   /* the user's; dead memory if the block was left without exit */
    struct coil__task *owner;  /* borrowed: it cannot end without leaving its groups */
    coil_timeout *limit; /* the innermost of the owner's in which it was entered, and which holds */
    const coil_coro_type *entered_in; /* the coroutine function, for the report */
    struct coil__link children;       /* not heard of yet, in the order in which they were made */
    struct coil__link failed;         /* in the order in which they ended */
    size_t failed_count;
    struct coil__wait *wait; /* while the owner waits in exit */
    int leave_code;          /* COIL_EEXIT, COIL_EINTERRUPT: goes before everything */
    coil_error *leave_error; /* its record */
    bool exiting;
    bool aborting;
    bool owner_cancelled; /* by us: one request of its count is ours */
};

/* One of the owner's limits has been left: groups that were entered in it are in the one around it now. */
void coil__groups_outlive(struct coil__task *owner, const coil_timeout *limit, coil_timeout *outer);

/* A scope that holds for the group has been cancelled: tells its children. */
void coil__group_reach_children(struct coil__group *group);

/* A scope that may hold for the task has been cancelled. Of cancel_scope.c. */
void coil__task_reach(struct coil__task *task);

#endif
