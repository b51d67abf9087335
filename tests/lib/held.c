#include "lib/held.h"

#include <dirent.h>
#include <pthread.h>
#include <coil/testing.h>
#include "base/error.h"
#include "test.h"

/* ---- tokens ------------------------------------------------------------------------------------- */

enum {
    TOKENS = 4096
};

static struct token {
    int64_t number;
    bool alive;
} tokens[TOKENS];
static int alive_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The next one is searched from where the last was found, so that a token dropped twice is seldom one
 * that somebody else has got meanwhile. */
int64_t *token_new(int64_t number)
{
    static size_t next;
    struct token *found = NULL;
    pthread_mutex_lock(&lock);
    for (size_t tries = 0; tries < TOKENS && !found; tries++) {
        struct token *token = &tokens[next++ % TOKENS];
        if (!token->alive)
            found = token;
    }
    if (found) {
        *found = (struct token){ number, true };
        alive_count++;
    }
    pthread_mutex_unlock(&lock);
    return found ? &found->number : NULL;
}

void token_drop(void *pointer)
{
    struct token *token = pointer;
    pthread_mutex_lock(&lock);
    bool alive = token->alive;
    if (EXPECT(alive /* dropped twice */)) {
        token->alive = false;
        alive_count--;
    }
    pthread_mutex_unlock(&lock);
}

coil_value token_value(int64_t number)
{
    return coil_pointer_owned(token_new(number), token_drop);
}

int64_t token_number(coil_value value)
{
    if (value.kind != COIL_POINTER || !value.pointer)
        return -1;
    const struct token *token = value.pointer;
    EXPECT(token->alive);
    return token->number;
}

/* ---- counting ----------------------------------------------------------------------------------- */

/* The one that reads the directory is always among them. */
static int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

struct held held_now(void)
{
    coil__errors_forget_thread();
    return (struct held){ .blocks = coil_testing_alloc_count(),
                          .descriptors = count_descriptors(),
                          .tokens = alive_count };
}

static bool same(const char *what, const char *of, long before, long now)
{
    return before == now ||
           test_report_(__FILE__, __LINE__, "%s: %s: %ld before, %ld now", what, of, before, now);
}

bool held_expect(struct held before, const char *what)
{
    struct held now = held_now();
    bool blocks = same(what, "blocks of memory", (long)before.blocks, (long)now.blocks);
    bool descriptors = same(what, "open descriptors", before.descriptors, now.descriptors);
    bool values = same(what, "values not given back", before.tokens, now.tokens);
    return blocks && descriptors && values;
}
