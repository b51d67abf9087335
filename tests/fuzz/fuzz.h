/* What a fuzz target is written with: foreign bytes as a stream of choices, a loop that must leave nothing behind,
 * and a check that ends the process.
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
 *     {
 *         struct fuzz_input input = { data, bytes };
 *         fuzz_run(reads(&input));
 *         return 0;
 *     }
 *
 * A target is one program twice: with libFuzzer, which looks for bytes (make fuzz), and with replay.c, which feeds
 * the files of its corpus (a test of the ordinary suite). */
#ifndef COIL_TESTS_FUZZ_H
#define COIL_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coil/coil.h>
#include <coil/testing.h>
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- choices ------------------------------------------------------------------------------------ */

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* 0 when nothing is left. */
static inline unsigned fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

/* 0 to 65535. */
static inline size_t fuzz_word(struct fuzz_input *input)
{
    size_t high = fuzz_byte(input);
    return high << 8 | fuzz_byte(input);
}

/* Mostly small, at times up to most. */
static inline size_t fuzz_size(struct fuzz_input *input, size_t most)
{
    unsigned first = fuzz_byte(input);
    return first < 0xc0 ? first % (most + 1) : (first << 16 | fuzz_word(input)) % (most + 1);
}

/* ---- checks ------------------------------------------------------------------------------------- */

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_failed_(__FILE__, __LINE__, #condition))

_Noreturn static inline void fuzz_failed_(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* What the library reports about foreign bytes is expected. */
static inline void fuzz_ignore_report(coil_loop *loop, coil_log_level level,
                                      const coil_report *report, void *arg)
{
    (void)loop;
    (void)level;
    (void)report;
    (void)arg;
}

static inline coil_loop *fuzz_loop(void *arg)
{
    coil_loop *loop = coil_testing_virtual_loop(arg);
    if (loop)
        coil_set_logger(loop, fuzz_ignore_report, NULL);
    return loop;
}

static inline size_t fuzz_blocks(void)
{
    coil__errors_forget_thread();
    return coil_testing_alloc_count();
}

/* Runs a coroutine on a virtual clock: it must return 0 and leak nothing. */
static inline void fuzz_run(coil_coro *coro)
{
    /* The coroutine object is a block, too. */
    size_t before = fuzz_blocks() - 1;
    coil_run_options options = COIL_RUN_OPTIONS_INIT;
    options.loop_factory = fuzz_loop;
    options.leave_sigint = true;
    int rc = coil_run_with(coro, NULL, &options);
    if (rc < 0)
        fprintf(stderr, "the run ended with %s\n", coil_error_name(rc));
    FUZZ_CHECK(rc == 0);
    FUZZ_CHECK(fuzz_blocks() == before);
}

#endif
