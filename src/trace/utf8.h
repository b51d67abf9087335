/* Names as characters: a task's name is meant to be UTF-8, but may be any bytes. */
#ifndef COIL_TRACE_UTF8_H
#define COIL_TRACE_UTF8_H

#include <stdint.h>

enum {
    COIL__UTF8_REPLACEMENT = 0xfffd,
    COIL__UTF8_MAX = 4, /* bytes of one character */
};

/* Takes the next character off a text and moves the text on behind it; 0 at the end. A byte that
 * does not belong to well-formed UTF-8 is one replacement character. */
uint32_t coil__utf8_next(const char **text);

/* Writes a character; returns the number of its bytes. */
int coil__utf8_put(uint32_t character, char bytes[COIL__UTF8_MAX]);

#endif
