/* Conditions, for barriers, which are made of one. */
#ifndef COIL_STRUCTURE_CONDITION_H
#define COIL_STRUCTURE_CONDITION_H

#include <coil/sync.h>

/* coil_condition_wait, with the name of the call that waits. */
int coil__condition_wait(coil_condition *condition, const char *operation);

/* coil_condition_fini, with the message for the report. */
void coil__condition_fini(coil_condition *condition, const char *message);

#endif
