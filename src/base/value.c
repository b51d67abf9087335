#include "base/value.h"

#include <string.h>
#include "base/alloc.h"
#include "base/error.h"

static void list_destroy(void *object)
{
    coil_list *list = object;
    for (size_t i = 0; i < list->count; i++)
        coil_value_clear(&list->values[i]);
    coil__free(list);
}

static const struct coil__type list_type = { COIL__KIND_LIST, "list", list_destroy };

static void drop_reference(void *object)
{
    coil_unref(object);
}

coil_value coil_object_owned(void *object)
{
    return (coil_value){ .pointer = object, .drop = drop_reference, .kind = COIL_OBJECT };
}

coil_value coil_error_owned(coil_error *error)
{
    return (coil_value){ .error = error, .drop = drop_reference, .kind = COIL_ERROR };
}

coil_value coil_list_owned(coil_list *list)
{
    return (coil_value){ .list = list, .drop = drop_reference, .kind = COIL_LIST };
}

coil_value coil_string_copy(const char *string)
{
    char *copy = coil__strdup(string);
    return copy ? coil_string_owned(copy, coil__free) : coil_nil();
}

coil_value coil_bytes_copy(const void *data, size_t length)
{
    coil_bytes *copy = length <= SIZE_MAX - sizeof *copy ? coil__alloc(sizeof *copy + length)
                                                         : NULL;
    if (!copy)
        return coil_nil();
    copy->data = copy + 1;
    copy->length = length;
    if (length > 0)
        memcpy(copy + 1, data, length);
    coil_value value = coil_bytes_borrowed(copy);
    value.drop = coil__free;
    return value;
}

void coil_value_clear(coil_value *value)
{
    if (!value)
        return;
    coil_value old = *value;
    *value = coil_nil();
    if (old.drop)
        old.drop(old.pointer);
}

coil_list *coil_list_new(const coil_value *values, size_t count)
{
    if (count > (SIZE_MAX - sizeof(coil_list)) / sizeof *values)
        return coil__fail_null(COIL_ENOMEM);
    coil_list *list = coil__alloc(sizeof *list + count * sizeof *values);
    if (!list)
        return coil__fail_null(COIL_ENOMEM);
    coil__object_init(&list->object, &list_type);
    list->count = count;
    for (size_t i = 0; i < count; i++)
        list->values[i] = values ? values[i] : coil_nil();
    return list;
}

size_t coil_list_count(const coil_list *list)
{
    return list->count;
}

coil_value coil_list_at(const coil_list *list, size_t index)
{
    return index < list->count ? coil_value_view(list->values[index]) : coil_nil();
}
