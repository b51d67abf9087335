/* What a test holds, to compare before and after: blocks of the library's memory, open descriptors, and
 * values whose destructor has not been called. */
#ifndef COIL_TESTS_LIB_HELD_H
#define COIL_TESTS_LIB_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <coil/value.h>

struct held {
    size_t blocks;
    int descriptors;
    int tokens;
};

/* Lets go of the thread's error records first: they are no leak. */
struct held held_now(void);

/* True if nothing more, and nothing less, is held now; otherwise reports, as EXPECT does, in the name of
 * `what`. */
bool held_expect(struct held before, const char *what);

/* Something to be given back exactly once: a pointer to its number. NULL without a report if there are
 * too many. Any thread. */
int64_t *token_new(int64_t number);
void token_drop(void *token);

/* A token as a value that owns it, and the number behind such a value; -1 if it is none. */
coil_value token_value(int64_t number);
int64_t token_number(coil_value value);

#endif
