/* What a program leaves behind: on its loop, and in the process. */
#ifndef COIL_TESTING_LEFT_H
#define COIL_TESTING_LEFT_H

#include <coil/base.h>

enum {
    COIL__LEFT_DESCRIPTORS = 4096
}; /* those with greater numbers are not looked at */

struct coil__left {
    size_t blocks;                              /* of the library's memory */
    uint64_t open[COIL__LEFT_DESCRIPTORS / 64]; /* a bit for each descriptor */
};

/* Told of each thing that is left. */
typedef void (*coil__left_report)(void *arg, const char *what);

/* What the process holds now. Lets go of the thread's error records first: they are no leak. */
void coil__left_note(struct coil__left *left);
/* Reports what it holds more than then. */
void coil__left_compare(const struct coil__left *before, coil__left_report report, void *arg);
/* Reports what is left on a loop that does not run. */
void coil__left_on_loop(coil_loop *loop, coil__left_report report, void *arg);

#endif
