/* Values as bytes, and back: for another process of the same program on the same machine. */
#ifndef COIL_IO_PACK_H
#define COIL_IO_PACK_H

#include <coil/error.h>
#include <coil/value.h>

/* What was packed. After the first failure nothing is added any more. */
struct coil__packer {
    char *data; /* owned; NULL: nothing yet */
    size_t length, room;
    int code; /* COIL_ENOMEM, COIL_ETYPE, or -EMSGSIZE for what is nested too deeply; 0 */
};

void coil__pack_value(struct coil__packer *packer, coil_value value);
void coil__pack_text(struct coil__packer *packer, const char *text);
void coil__pack_integer(struct coil__packer *packer, int64_t integer);
void coil__pack_error(struct coil__packer *packer, const coil_error *error);

struct coil__unpacker {
    const char *at, *end;
};

/* Each gives 0, COIL_ENOMEM, or -EBADMSG for bytes that the calls above have not made. What is given out is
 * the caller's. Nothing is recorded. */
int coil__unpack_value(struct coil__unpacker *unpacker, coil_value *value_out);
int coil__unpack_integer(struct coil__unpacker *unpacker, int64_t *integer_out);
int coil__unpack_error(struct coil__unpacker *unpacker, coil_error **error_out);
/* A view into the bytes. NULL is a text, too. */
int coil__unpack_text(struct coil__unpacker *unpacker, const char **text_out);

#endif
