/* Context variables: values that belong to a task (or callback) and what it starts.
 *
 *     static coil_context_var *request_id;            made once: coil_context_var_new("request_id")
 *
 *     COIL_TRY(coil_context_var_set(request_id, coil_int(7), NULL));
 *     ... in any function called from here, and in any task created from here:
 *     coil_value id;
 *     COIL_TRY(coil_context_var_get(request_id, &id));
 *
 * A new task, callback or timer gets a copy of the context that is current where it is made; what it
 * sets there, nobody else sees. Copying costs the same however many variables there are. */
#ifndef COIL_CONTEXT_H
#define COIL_CONTEXT_H

#include <coil/value.h>

COIL_BEGIN_DECLS

/* What coil_context_var_set gives back, to undo it. Treat as opaque; every token is given to exactly
 * one of coil_context_var_reset and coil_context_token_fini. */
typedef struct coil_context_token {
    coil_context_var *var;
    void *old;
    coil_context *context;
} coil_context_token;

/**
 * Makes a variable. It is meant to live as long as the program, in a static.
 *
 * @param name  copied; for people
 *
 * Returns   the variable; NULL when there is no memory. coil_context_var_free takes it back
 * Suspends  never
 * Thread    any
 * Python    contextvars.ContextVar(name)
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD coil_context_var *coil_context_var_new(const char *name);

/**
 * The same with a default: what get gives where the variable has not been set.
 *
 * @param fallback  moved into the variable
 *
 * Returns   the variable; NULL when there is no memory (fallback is cleared then)
 * Suspends  never
 * Thread    any
 * Python    contextvars.ContextVar(name, default=...)
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD coil_context_var *coil_context_var_new_default(const char *name,
                                                                        coil_value fallback);

/**
 * Gives a variable's memory back.
 *
 * @param var  set in no context any more; NULL is allowed
 *
 * Suspends  never
 * Thread    any
 * Python    none
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD void coil_context_var_free(COIL_NULLABLE coil_context_var *var);

/**
 * The variable's name.
 *
 * Returns   lent as long as the variable
 * Suspends  never
 * Thread    any
 * Python    ContextVar.name
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD const char *coil_context_var_name(const coil_context_var *var);

/**
 * The variable's value in the current context: the running task's, or the callback's.
 *
 * @param value_out  a view, good until the variable is set again in this context
 *
 * Returns   0, or
 *           COIL_ELOOKUP  it is not set and has no default
 * Suspends  never
 * Thread    any: outside a loop each thread has a context of its own
 * Python    ContextVar.get()
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_context_var_get(coil_context_var *var, coil_value *value_out);

/**
 * Sets the variable in the current context.
 *
 * @param value      moved into the context; cleared if the call fails
 * @param token_out  NULL, or receives what reset needs
 *
 * Returns   0, or COIL_ENOMEM
 * Suspends  never
 * Thread    any
 * Python    ContextVar.set(value)
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD int coil_context_var_set(coil_context_var *var, coil_value value,
                                                  COIL_NULLABLE coil_context_token *token_out);

/**
 * Brings back what the variable was before the set that made the token.
 *
 * @param token  used up by the call, also if it fails with COIL_EINVAL
 *
 * Returns   0, or
 *           COIL_EINVAL    the token is another variable's, or was made in another context
 *           COIL_ERUNTIME  the token has been used
 *           COIL_ENOMEM    and the token is still good
 * Suspends  never
 * Thread    that of the set
 * Python    ContextVar.reset(token)
 * Since     0.1
 */
COIL_API int coil_context_var_reset(coil_context_var *var, coil_context_token *token);

/**
 * Gives up a token that is not going to be reset.
 *
 * Suspends  never
 * Thread    that of the set
 * Python    del token
 * Since     0.1
 */
COIL_API void coil_context_token_fini(coil_context_token *token);

/**
 * A new context: empty, or a copy of the current one.
 *
 * Returns   one reference; NULL when there is no memory
 * Suspends  never
 * Thread    any
 * Python    contextvars.Context(), contextvars.copy_context()
 * Since     0.1
 */
COIL_API COIL_ANY_THREAD COIL_OWNED coil_context *coil_context_new(void);
COIL_API COIL_ANY_THREAD COIL_OWNED coil_context *coil_context_copy(void);

/**
 * Calls a function with another context as the current one.
 *
 * @param context  borrowed; what fn sets stays in it
 * @param fn       may suspend, if the caller may: the context stays the task's until fn returns
 *
 * Returns   what fn returns, or
 *           COIL_ERUNTIME  the context is being run in already
 * Suspends  if fn does
 * Thread    the loop's
 * Python    Context.run
 * Since     0.1
 */
COIL_API int coil_context_run(coil_context *context, int (*fn)(void *arg), void *arg);

/**
 * Looks into a context without running in it.
 *
 * @param value_out  a view, good until the variable is set again in that context
 *
 * Returns   0, or
 *           COIL_ELOOKUP  the variable is not set there (its default does not count)
 * Suspends  never
 * Thread    the loop's
 * Python    context[var]
 * Since     0.1
 */
COIL_API int coil_context_get(const coil_context *context, const coil_context_var *var,
                              coil_value *value_out);

COIL_END_DECLS

#endif
