/* What a process pool and its worker processes have in common: the line between them.
 *
 *     pool                          worker
 *      <------------- hello          it has come to coil_process_pool_main
 *     request -------------->        a function, its arguments
 *      <------------ answer          a value, or an error
 *     end of file ---------->        it exits
 *
 * Either side speaks only when the other has finished, so no message is too long for the line. */
#ifndef COIL_IO_WORKER_H
#define COIL_IO_WORKER_H

#include <stdbool.h>
#include <stdint.h>

/* In a worker's environment: the number of its descriptor. */
#define COIL__WORKER_VARIABLE "COIL_WORKER_LINE"

enum coil__message_kind {
    COIL__MESSAGE_HELLO = 0x434f4c48, /* texts that nobody prints by accident */
    COIL__MESSAGE_REQUEST = 0x434f4c52,
    COIL__MESSAGE_ANSWER = 0x434f4c41,
};

/* In front of every message. */
struct coil__message {
    uint32_t kind;
    int32_t
        code; /* of an answer: 0, and a value follows; negative, and its record, if there are bytes */
    uint64_t bytes; /* that follow */
};

/* Whether main has begun as it must. Tests take it back. */
extern bool coil__process_pool_main_called;

#endif
