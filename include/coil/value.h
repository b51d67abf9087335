/* Values: what a coroutine returns and a future holds.
 *
 * A value is nothing, a truth value, a 64-bit integer, a double, a text, a pointer, a list of values, an
 * error, a Coil object, or bytes. Whoever holds a value with a destructor owns what it points to; coil_value_clear
 * gives it back and is harmless for all others. Reading the result of a future gives a view without the
 * destructor: it is good for as long as you hold the future. Awaiting a coroutine gives the value itself. */
#ifndef COIL_VALUE_H
#define COIL_VALUE_H

#include <coil/base.h>

COIL_BEGIN_DECLS

typedef enum coil_value_kind {
    COIL_NIL,     /* nothing; all bytes zero */
    COIL_BOOL,    /* boolean */
    COIL_INT,     /* integer */
    COIL_DOUBLE,  /* number */
    COIL_STRING,  /* string, ends with a zero byte */
    COIL_POINTER, /* pointer */
    COIL_LIST,    /* list: coil_list_count, coil_list_at */
    COIL_ERROR,   /* error: gather's answer for a child that failed, if asked to collect */
    COIL_OBJECT,  /* pointer: a Coil object */
    COIL_BYTES,   /* bytes: data with a length */
} coil_value_kind;

/* Data with a length. In a value they are reached by a pointer. */
typedef struct coil_bytes {
    const void *data;
    size_t length;
} coil_bytes;

typedef struct coil_value {
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *string;
        void *pointer;
        coil_list *list;
        coil_error *error;
        const coil_bytes *bytes;
    };
    void (*drop)(void *pointer); /* NULL: nothing to give back, or somebody else's */
    coil_value_kind kind;
} coil_value;

#ifdef __cplusplus
#define COIL__VALUE(field, value_, kind_, drop_)                                                   \
    coil_value v_ = coil_value();                                                                  \
    v_.field = value_;                                                                             \
    v_.drop = drop_;                                                                               \
    v_.kind = kind_;                                                                               \
    return v_
#else
#define COIL__VALUE(field, value_, kind_, drop_)                                                   \
    coil_value v_ = { .field = value_, .drop = drop_, .kind = kind_ };                             \
    return v_
#endif

/* Makes a value. Texts and pointers are borrowed: they must outlive the value. */
static inline coil_value coil_nil(void)
{
    COIL__VALUE(integer, 0, COIL_NIL, NULL);
}
static inline coil_value coil_bool(bool boolean)
{
    COIL__VALUE(boolean, boolean, COIL_BOOL, NULL);
}
static inline coil_value coil_int(int64_t integer)
{
    COIL__VALUE(integer, integer, COIL_INT, NULL);
}
static inline coil_value coil_double(double number)
{
    COIL__VALUE(number, number, COIL_DOUBLE, NULL);
}
static inline coil_value coil_string(const char *string)
{
    COIL__VALUE(string, string, COIL_STRING, NULL);
}
static inline coil_value coil_pointer(const void *pointer)
{
    COIL__VALUE(pointer, (void *)(uintptr_t)pointer, COIL_POINTER, NULL);
}
static inline coil_value coil_bytes_borrowed(const coil_bytes *bytes)
{
    COIL__VALUE(bytes, bytes, COIL_BYTES, NULL);
}
/* The same, owned: drop(text or pointer) is called when the value goes. For malloc'ed memory: free. */
static inline coil_value coil_string_owned(char *string, void (*drop)(void *))
{
    COIL__VALUE(string, string, COIL_STRING, drop);
}
static inline coil_value coil_pointer_owned(void *pointer, void (*drop)(void *))
{
    COIL__VALUE(pointer, pointer, COIL_POINTER, drop);
}

/**
 * A value that is one reference to a Coil object, to an error record, or to a list.
 *
 * @param object  one reference, which moves into the value
 *
 * Returns   the value
 * Suspends  never
 * Thread    the loop's
 * Python    any object
 * Since     0.1
 */
COIL_API coil_value coil_object_owned(COIL_OWNED void *object);
COIL_API coil_value coil_error_owned(COIL_OWNED coil_error *error);
COIL_API coil_value coil_list_owned(COIL_OWNED coil_list *list);

/**
 * Gives back what the value owns, if anything, and makes it nil.
 *
 * @param value  NULL is allowed
 *
 * Suspends  never
 * Thread    the loop's
 * Python    del
 * Since     0.1
 */
COIL_API void coil_value_clear(COIL_NULLABLE coil_value *value);

/* The value without its destructor: to look at, while somebody else owns it. */
static inline coil_value coil_value_view(coil_value value)
{
    value.drop = NULL;
    return value;
}

/**
 * A text of its own: copies it, and the copy goes with the value.
 *
 * @param string  borrowed for the call
 *
 * Returns   the value; nil when there is no memory
 * Suspends  never
 * Thread    any
 * Python    str
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD coil_value coil_string_copy(const char *string);

/**
 * Bytes of their own: copies them, and the copy goes with the value.
 *
 * @param data    borrowed for the call
 * @param length  in bytes; 0 is allowed
 *
 * Returns   the value; nil when there is no memory
 * Suspends  never
 * Thread    any
 * Python    bytes
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD coil_value coil_bytes_copy(COIL_NULLABLE const void *data, size_t length);

/**
 * Makes a list of values.
 *
 * @param values  moved into the list; NULL: all nil
 *
 * Returns   one reference; NULL when there is no memory (the values stay the caller's)
 * Suspends  never
 * Thread    the loop's
 * Python    list
 * Since     0.1
 */
COIL_API COIL_OWNED coil_list *coil_list_new(const coil_value *values, size_t count);

/**
 * The length of a list, and its values, from 0 on.
 *
 * Returns   the length; a view of the value, nil beyond the end
 * Suspends  never
 * Thread    the loop's
 * Python    len(list), list[index]
 * Since     0.1
 */
COIL_API size_t coil_list_count(const coil_list *list);
COIL_API coil_value coil_list_at(const coil_list *list, size_t index);

COIL_END_DECLS

/* coil_v(x) makes a value of whatever x is: integers, doubles, texts, pointers to coil_bytes, other pointers,
 * values. A C truth value is an integer to _Generic; say coil_bool(x) if it matters. Texts and bytes are
 * borrowed: those in a local variable must not leave its function this way (coil_string_copy,
 * coil_bytes_copy). */
#ifdef __cplusplus
static inline coil_value coil_v(bool x)
{
    return coil_bool(x);
}
static inline coil_value coil_v(int x)
{
    return coil_int(x);
}
static inline coil_value coil_v(unsigned x)
{
    return coil_int(x);
}
static inline coil_value coil_v(long x)
{
    return coil_int(x);
}
static inline coil_value coil_v(unsigned long x)
{
    return coil_int((int64_t)x);
}
static inline coil_value coil_v(long long x)
{
    return coil_int(x);
}
static inline coil_value coil_v(unsigned long long x)
{
    return coil_int((int64_t)x);
}
static inline coil_value coil_v(double x)
{
    return coil_double(x);
}
static inline coil_value coil_v(const char *x)
{
    return coil_string(x);
}
static inline coil_value coil_v(const coil_bytes *x)
{
    return coil_bytes_borrowed(x);
}
static inline coil_value coil_v(const void *x)
{
    return coil_pointer(x);
}
static inline coil_value coil_v(coil_value x)
{
    return x;
}
#else
static inline coil_value coil__v_same(coil_value value)
{
    return value;
}
#define coil_v(x)                                                                                  \
    _Generic((x),                                                                                  \
        coil_value: coil__v_same,                                                                  \
        _Bool: coil_bool,                                                                          \
        char: coil_int,                                                                            \
        signed char: coil_int,                                                                     \
        unsigned char: coil_int,                                                                   \
        short: coil_int,                                                                           \
        unsigned short: coil_int,                                                                  \
        int: coil_int,                                                                             \
        unsigned: coil_int,                                                                        \
        long: coil_int,                                                                            \
        unsigned long: coil_int,                                                                   \
        long long: coil_int,                                                                       \
        unsigned long long: coil_int,                                                              \
        float: coil_double,                                                                        \
        double: coil_double,                                                                       \
        char *: coil_string,                                                                       \
        const char *: coil_string,                                                                 \
        coil_bytes *: coil_bytes_borrowed,\
        const coil_bytes *: coil_bytes_borrowed,\
        default: coil_pointer)(x)
#endif

#endif
