#include "loop/context.h"

#include <stdatomic.h>
#include <string.h>
#include "base/cache.h"
#include "base/error.h"
#include "loop/loop.h"

struct coil_context_var {
    char *name;
    bool has_default;
    coil_value fallback;
};

/* One variable's value; shared by all the maps that have it. */
struct cell {
    atomic_uint refs;
    coil_context_var *var;
    coil_value value; /* owned */
};

struct coil__map {
    atomic_uint refs;
    size_t count;
    struct cell *cells[]; /* sorted by the address of the variable */
};

/* ---- cells and maps ---------------------------------------------------------------------------- */

static struct cell *cell_new(coil_context_var *var, coil_value value)
{
    struct cell *cell = coil__alloc(sizeof *cell);
    if (!cell)
        return NULL;
    atomic_init(&cell->refs, 1);
    cell->var = var;
    cell->value = value;
    return cell;
}

static void cell_unref(struct cell *cell)
{
    if (!cell || atomic_fetch_sub(&cell->refs, 1) > 1)
        return;
    coil_value_clear(&cell->value);
    coil__free(cell);
}

static struct cell *cell_ref(struct cell *cell)
{
    if (cell)
        atomic_fetch_add(&cell->refs, 1);
    return cell;
}

static void map_unref(struct coil__map *map)
{
    if (!map || atomic_fetch_sub(&map->refs, 1) > 1)
        return;
    for (size_t i = 0; i < map->count; i++)
        cell_unref(map->cells[i]);
    coil__free(map);
}

static struct coil__map *map_ref(struct coil__map *map)
{
    if (map)
        atomic_fetch_add(&map->refs, 1);
    return map;
}

/* The index of the variable, or of the place where it would go. */
static size_t map_search(const struct coil__map *map, const coil_context_var *var)
{
    size_t low = 0, high = map ? map->count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((uintptr_t)map->cells[middle]->var < (uintptr_t)var)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct cell *map_find(const struct coil__map *map, const coil_context_var *var)
{
    size_t at = map_search(map, var);
    return map && at < map->count && map->cells[at]->var == var ? map->cells[at] : NULL;
}

/* A map like this one, in which var has this cell (consumed on success; NULL: none). The empty map is
 * NULL, so failure is told by the result. */
static int map_with(struct coil__map *map, const coil_context_var *var, struct cell *cell,
                    struct coil__map **map_out)
{
    size_t count = map ? map->count : 0, at = map_search(map, var);
    bool present = at < count && map->cells[at]->var == var;
    size_t new_count = count - present + (cell != NULL);
    if (new_count == 0) {
        *map_out = NULL;
        return 0;
    }
    struct coil__map *new = coil__alloc(sizeof *new + new_count * sizeof *new->cells);
    if (!new)
        return coil__fail_plain(COIL_ENOMEM);
    atomic_init(&new->refs, 1);
    new->count = 0;
    for (size_t i = 0; i < at; i++)
        new->cells[new->count++] = cell_ref(map->cells[i]);
    if (cell)
        new->cells[new->count++] = cell;
    for (size_t i = at + present; i < count; i++)
        new->cells[new->count++] = cell_ref(map->cells[i]);
    *map_out = new;
    return 0;
}

atomic_bool coil__contexts_used;

/* ---- contexts ---------------------------------------------------------------------------------- */

static void context_destroy(void *object)
{
    coil_context *context = object;
    map_unref(context->map);
    coil__block_give(context, sizeof *context);
}

static const struct coil__type context_type = { COIL__KIND_CONTEXT, "context", context_destroy };

static coil_context *context_make(struct coil__map *map)
{
    coil_context *context = coil__block_take(sizeof *context);
    if (!context)
        return coil__fail_null(COIL_ENOMEM);
    coil__object_init(&context->object, &context_type);
    context->map = map_ref(map);
    context->entered = false;
    return context;
}

coil_context **coil__context_slot(void)
{
    if (coil__thread.task)
        return coil__task_context_slot(coil__thread.task);
    if (coil__thread.loop)
        return &coil__thread.loop->callback_context;
    coil__thread_owns();
    return &coil__thread.context;
}

int coil__context_copy_of(const coil_context *context, coil_context **copy_out)
{
    *copy_out = NULL;
    if (!context || !context->map)
        return 0;
    *copy_out = context_make(context->map);
    return *copy_out ? 0 : COIL_ENOMEM;
}

int coil__context_inherit_used(coil_context **copy_out)
{
    return coil__context_copy_of(*coil__context_slot(), copy_out);
}

coil_context *coil__context_materialise(coil_context **slot)
{
    if (!*slot)
        *slot = context_make(NULL);
    return *slot;
}

coil_context *coil_context_new(void)
{
    return context_make(NULL);
}

coil_context *coil_context_copy(void)
{
    coil_context *current = *coil__context_slot();
    return context_make(current ? current->map : NULL);
}

int coil_context_run(coil_context *context, int (*fn)(void *arg), void *arg)
{
    coil_context **slot = coil__context_slot();
    coil_context *outer = *slot;
    /* The current one may be a callback's or a task's own, which nobody has entered by this call. */
    if (context->entered || context == outer)
        return coil__fail(COIL_ERUNTIME, "the context is being run in already");
    *slot = coil_ref(context);
    context->entered = true;
    int rc = fn(arg);
    context->entered = false;
    coil_unref(*slot);
    *slot = outer;
    return rc;
}

int coil_context_get(const coil_context *context, const coil_context_var *var,
                     coil_value *value_out)
{
    struct cell *cell = map_find(context->map, var);
    if (!cell)
        return coil__fail(COIL_ELOOKUP, "%s", var->name);
    *value_out = coil_value_view(cell->value);
    return 0;
}

/* ---- variables --------------------------------------------------------------------------------- */

coil_context_var *coil_context_var_new(const char *name)
{
    coil_context_var *var = coil__alloc_zero(sizeof *var);
    if (!var)
        return coil__fail_null(COIL_ENOMEM);
    var->name = coil__strdup(name);
    if (!var->name) {
        coil__free(var);
        return coil__fail_null(COIL_ENOMEM);
    }
    return var;
}

coil_context_var *coil_context_var_new_default(const char *name, coil_value fallback)
{
    coil_context_var *var = coil_context_var_new(name);
    if (!var) {
        coil_value_clear(&fallback);
        return NULL;
    }
    var->has_default = true;
    var->fallback = fallback;
    return var;
}

void coil_context_var_free(coil_context_var *var)
{
    if (!var)
        return;
    coil_value_clear(&var->fallback);
    coil__free(var->name);
    coil__free(var);
}

const char *coil_context_var_name(const coil_context_var *var)
{
    return var->name;
}

int coil_context_var_get(coil_context_var *var, coil_value *value_out)
{
    coil_context *current = *coil__context_slot();
    struct cell *cell = current ? map_find(current->map, var) : NULL;
    if (!cell && !var->has_default)
        return coil__fail(COIL_ELOOKUP, "%s", var->name);
    *value_out = coil_value_view(cell ? cell->value : var->fallback);
    return 0;
}

/* Gives a context a map in which var has the cell (consumed; NULL: not set). */
static int context_put(coil_context *context, coil_context_var *var, struct cell *cell)
{
    struct coil__map *map = NULL;
    int rc = map_with(context->map, var, cell, &map);
    if (rc < 0)
        return rc;
    /* A destructor may look at, and change, the context that the old value leaves. */
    struct coil__map *old = context->map;
    context->map = map;
    map_unref(old);
    return 0;
}

int coil_context_var_set(coil_context_var *var, coil_value value, coil_context_token *token_out)
{
    coil_context *context = coil__context_materialise(coil__context_slot());
    struct cell *cell = context ? cell_new(var, value) : NULL;
    if (!cell) {
        coil_value_clear(&value);
        return coil__fail_plain(COIL_ENOMEM);
    }
    struct cell *old = cell_ref(map_find(context->map, var));
    atomic_store_explicit(&coil__contexts_used, true, memory_order_relaxed);
    int rc = context_put(context, var, cell);
    if (rc < 0) {
        cell_unref(old);
        cell_unref(cell);
        return rc;
    }
    if (token_out)
        *token_out = (coil_context_token){ .var = var, .old = old, .context = coil_ref(context) };
    else
        cell_unref(old);
    return 0;
}

int coil_context_var_reset(coil_context_var *var, coil_context_token *token)
{
    if (!token->var)
        return coil__fail(COIL_ERUNTIME, "the token of %s has been used", var->name);
    if (token->var != var || token->context != *coil__context_slot()) {
        const char *what = token->var != var ? "variable" : "context";
        coil_context_token_fini(token);
        return coil__fail(COIL_EINVAL, "the token was made for another %s", what);
    }
    int rc = context_put(token->context, var, cell_ref(token->old));
    if (rc < 0) {
        cell_unref(token->old);
        return rc;
    }
    coil_context_token_fini(token);
    return 0;
}

void coil_context_token_fini(coil_context_token *token)
{
    cell_unref(token->old);
    coil_unref(token->context);
    *token = (coil_context_token){ NULL, NULL, NULL };
}
