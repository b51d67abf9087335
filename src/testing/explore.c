/* The explorer: runs a program once for each of its points, and disturbs it there.
 *
 * The tracing hooks say where a task begins to wait, and where it is woken. They may not suspend, but they
 * may cancel: so the cancellation comes exactly there. A run that did not come to the n-th point was the
 * last one of its mode. */
#include <coil/testing.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <coil/debug.h>
#include <coil/error.h>
#include <coil/run.h>
#include <coil/timeout.h>
#include "base/alloc.h"
#include "base/error.h"
#include "loop/loop.h"
#include "structure/shutdown.h"
#include "tasks/task.h"
#include "testing/left.h"

enum {
    CHAIN_BYTES = 2048,
    SETTLE_IDLE_TURNS = 3,
    SETTLE_TURNS_MAX = 10000,      /* for what the program has set going to come to an end */
    PATIENCE_NS = 1 * 1000 * 1000, /* a peer's bytes take a moment, also on this machine */
    WAITS_MAX = 1000 * 1000,       /* in a run; more of them are one that does not end */
};

static const struct mode {
    unsigned flag;
    const char *name; /* in COIL_EXPLORE */
    const char *what; /* happens there */
} modes[] = {
    { COIL_EXPLORE_CANCEL, "cancel", "cancelled in" },
    { COIL_EXPLORE_WOKEN, "woken", "cancelled when it was woken from" },
    { COIL_EXPLORE_TIMEOUT, "timeout", "a timeout expires in" },
    { COIL_EXPLORE_ALLOC, "alloc", "no memory in" },
    { COIL_EXPLORE_CLOSE, "close", "the loop is closed in" },
};
enum {
    MODES = sizeof modes / sizeof modes[0]
};

static const struct mode undisturbed = { 0, "none", "not disturbed" };

struct exploration {
    coil_explore_options options;
    coil_coro *(*program)(void *arg);
    void *arg;
    FILE *output;
    char name[128];
    int wrong; /* points */

    /* The run. */
    const struct mode *mode;
    long point;  /* the one to disturb; 0: none */
    long points; /* seen so far */
    long waits;
    coil_loop *loop;
    coil_task *main;    /* borrowed; NULL before its first step and after its last */
    coil_timeout limit; /* around the program */
    bool reached, found, endless;
    const char *operation; /* at the point */
    char chain[CHAIN_BYTES];
};

/* ---- what is found ------------------------------------------------------------------------------ */

static void print_head(struct exploration *self)
{
    if (self->point == 0)
        fprintf(self->output, "explore %s: not disturbed\n", self->name);
    else
        fprintf(self->output, "explore %s: point %ld: %s %s\n%s", self->name, self->point,
                self->mode->what, self->reached ? self->operation : "(not reached)", self->chain);
}

static void find(void *arg, const char *what)
{
    struct exploration *self = arg;
    if (!self->found)
        print_head(self);
    self->found = true;
    fprintf(self->output, "  * %s\n", what);
}

COIL_PRINTF(2, 3) static void findf(struct exploration *self, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    find(self, text);
}

/* Some reports say that something was forgotten. The others are about errors, which are to be expected. */
static void on_report(coil_loop *loop, coil_log_level level, const coil_report *report, void *arg)
{
    struct exploration *self = arg;
    (void)loop;
    (void)level;
    bool wrong = report->event == COIL_EVENT_NEVER_AWAITED ||
                 report->event == COIL_EVENT_CLOSE_IGNORED ||
                 report->event == COIL_EVENT_DESTROYED_IN_USE ||
                 report->event == COIL_EVENT_GROUP_LEFT || report->event == COIL_EVENT_SCOPE_LEFT;
    if (wrong)
        findf(self, "reported: %s", report->message);
}

/* ---- the point ---------------------------------------------------------------------------------- */

static void describe_chain(struct exploration *self, coil_task *task)
{
    self->chain[0] = '\0';
    FILE *file = task ? fmemopen(self->chain, sizeof self->chain, "w") : NULL;
    if (!file)
        return;
    coil_task_print_stack(task, file);
    fclose(file);
    self->chain[sizeof self->chain - 1] = '\0';
}

/* True at the point that is to be disturbed. */
static bool at_point(struct exploration *self, coil_task *task, const char *operation)
{
    if (self->reached || !self->main)
        return false;
    const char *wanted = self->options.task;
    if (wanted ? strcmp(wanted, "*") != 0 && strcmp(wanted, coil_task_get_name(task)) != 0
               : task != self->main)
        return false;
    if (++self->points != self->point)
        return false;
    self->reached = true;
    self->operation = operation;
    describe_chain(self, task);
    return true;
}

static void on_created(void *arg, coil_task *task)
{
    struct exploration *self = arg;
    if (self->mode->flag == COIL_EXPLORE_CANCEL && at_point(self, task, "its creation"))
        (void)coil_task_cancel(task, "explored"); /* true: it has not begun */
}

static void on_waits(void *arg, coil_task *task, const coil_wait_info *info)
{
    struct exploration *self = arg;
    if (++self->waits > WAITS_MAX) {
        self->endless = true;
        coil__loop_leave(self->loop, COIL_ERUNTIME, NULL);
    }
    if (self->mode->flag == COIL_EXPLORE_CANCEL && at_point(self, task, info->operation))
        (void)coil_task_cancel(task, "explored"); /* true: it waits */
    else if (self->mode->flag == COIL_EXPLORE_TIMEOUT && at_point(self, task, info->operation))
        (void)coil_timeout_reschedule(&self->limit, 0); /* fails if the program has just ended */
    else if (self->mode->flag == COIL_EXPLORE_CLOSE && at_point(self, task, info->operation))
        coil_loop_stop(self->loop);
}

static void on_woken(void *arg, coil_task *task, coil_task *by)
{
    struct exploration *self = arg;
    const struct coil__wait *wait = coil__as_task(task)->waiting;
    (void)by;
    if (self->mode->flag == COIL_EXPLORE_WOKEN &&
        at_point(self, task, wait ? wait->operation : "sleep"))
        (void)coil_task_cancel(task, "explored"); /* true: it is not done */
}

/* For the allocation that fails, which comes without an argument. */
static struct exploration *exploring;

static void on_failing(void)
{
    exploring->reached = true;
    exploring->operation = "an allocation";
    describe_chain(exploring, coil_current_task());
}

/* ---- one run ------------------------------------------------------------------------------------ */

/* A program without a name is named after its coroutine. */
static coil_coro *make_program(struct exploration *self)
{
    coil_coro *coro = self->program(self->arg);
    if (coro && !self->name[0])
        snprintf(self->name, sizeof self->name, "%s", coil_coro_name(coro));
    return coro;
}

static int run_limited(struct exploration *self)
{
    if (self->mode->flag != COIL_EXPLORE_TIMEOUT)
        return coil_await(make_program(self), NULL);
    COIL_TRY(coil_timeout_enter(&self->limit, COIL_NO_TIMEOUT));
    return coil_timeout_exit(&self->limit, coil_await(make_program(self), NULL));
}

COIL_ASYNC(explored, (struct exploration *, self))
{
    self->main = coil_current_task();
    if (self->mode->flag == COIL_EXPLORE_ALLOC)
        coil_testing_fail_alloc(self->point);
    int rc = run_limited(self);
    self->main = NULL;
    return rc;
}

COIL_ASYNC(checked, (struct exploration *, self))
{
    return coil_await(self->options.check(self->arg), NULL);
}

static coil_loop *make_loop(struct exploration *self)
{
    coil_loop *loop = coil_testing_virtual_loop(NULL);
    if (!loop)
        return NULL;
    coil_set_logger(loop, on_report, self);
    loop->patience_ns = PATIENCE_NS;
    return loop;
}

static void close_loop(struct exploration *self)
{
    if (!self->loop)
        return;
    (void)coil_loop_close(self->loop); /* cannot fail: it does not run */
    coil_unref(self->loop);
    self->loop = NULL;
}

/* Lets what is ready run, and looks for what has become ready at descriptors, without moving the clock: a
 * turn that is to be the last one does not wait. What ends may be what makes a descriptor of the next one
 * ready, so it takes several turns of nothing to say that nothing is left. */
static void settle(struct exploration *self)
{
    int idle = 0;
    for (int turns = 0; idle < SETTLE_IDLE_TURNS && !self->endless; turns++) {
        if (turns == SETTLE_TURNS_MAX) {
            find(self, "what it has set going does not come to an end");
            return;
        }
        coil_loop_stop(self->loop);
        int rc = coil_loop_step(self->loop, 0);
        if (rc < 0)
            return;
        idle = rc > 0 ? 0 : idle + 1;
    }
}

/* The end of coil_run, in which nothing is disturbed any more. */
static void end_as_run(struct exploration *self)
{
    coil_testing_fail_alloc(0);
    int rc = coil__run_shutdown(self->loop);
    if (rc < 0)
        findf(self, "what is left does not end: %s", coil_error_name(rc));
}

static int run_program(struct exploration *self)
{
    static const coil_trace_hooks hooks = { .size = sizeof hooks,
                                            .task_created = on_created,
                                            .task_waits = on_waits,
                                            .task_woken = on_woken };
    coil_tracer *tracer = coil_trace_attach(self->loop, &hooks, self, NULL);
    if (!tracer)
        return coil_error_last();
    exploring = self;
    coil__alloc_when_failing = on_failing;
    int rc = coil_run_until_complete(self->loop, explored(self), NULL);
    bool stopped = self->mode->flag == COIL_EXPLORE_CLOSE && self->reached;
    bool over = stopped || rc == COIL_ESTALLED || self->endless;
    if (!over && self->options.as_run)
        end_as_run(self);
    if (!over)
        settle(self);
    coil_testing_fail_alloc(0);
    coil__alloc_when_failing = NULL;
    coil_trace_detach(tracer);
    coil_unref(tracer);

    if (self->endless)
        find(self, "it does not come to an end");
    else if (rc == COIL_ESTALLED)
        find(self, "it waits for ever: nothing is ready and no timer is set");
    else if (self->point == 0 && rc < 0)
        findf(self, "it failed: %s", coil_error_name(rc));
    if (!stopped)
        coil__left_on_loop(self->loop, find, self);
    else
        close_loop(self);
    self->main = NULL;
    return 0;
}

static void run_check(struct exploration *self)
{
    if (!self->options.check)
        return;
    if (!self->loop)
        self->loop = make_loop(self);
    int rc = self->loop ? coil_run_until_complete(self->loop, checked(self), NULL) : COIL_ENOMEM;
    if (rc == COIL_ESTALLED)
        find(self, "the check waits for ever");
    else if (rc < 0)
        findf(self, "the check failed: %s%s%s", coil_error_name(rc),
              coil_error_current(rc) ? ": " : "",
              coil_error_current(rc) ? coil_error_message(coil_error_current(rc)) : "");
}

/* 0, or why no loop could be made; *self says what was found. */
static int run_once(struct exploration *self, const struct mode *mode, long point, bool compare)
{
    struct coil__left before;
    self->mode = mode;
    self->point = point;
    self->points = self->waits = 0;
    self->main = NULL;
    self->reached = self->found = self->endless = false;
    self->chain[0] = '\0';
    coil__left_note(&before);
    self->loop = make_loop(self);
    if (!self->loop)
        return coil_error_last();
    int rc = run_program(self);
    if (rc == 0)
        run_check(self);
    close_loop(self);
    if (compare)
        coil__left_compare(&before, find, self);
    if (self->found) {
        self->wrong++;
        if (point > 0)
            fprintf(self->output, "  again: COIL_EXPLORE=%s/%s:%ld\n", self->name, mode->name,
                    point);
        fflush(self->output);
    }
    return rc;
}

/* ---- all of them -------------------------------------------------------------------------------- */

static int explore_mode(struct exploration *self, const struct mode *mode)
{
    int rc = 0;
    for (long point = 1; rc == 0; point++) {
        rc = run_once(self, mode, point, true);
        if (!self->reached)
            break;
    }
    return rc;
}

/* COIL_EXPLORE=[NAME/]MODE:POINT. False: it has another form. *mode_out is NULL if it is for another. */
static bool read_wish(const struct exploration *self, const char *wish,
                      const struct mode **mode_out, long *point_out)
{
    const char *slash = strrchr(wish, '/');
    const char *name = slash ? slash + 1 : wish, *colon = strchr(name, ':');
    char *end;
    *mode_out = NULL;
    if (!colon)
        return false;
    *point_out = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end || *point_out < 1)
        return false;
    for (int i = 0; i < MODES && !*mode_out; i++)
        if (strlen(modes[i].name) == (size_t)(colon - name) &&
            strncmp(modes[i].name, name, (size_t)(colon - name)) == 0)
            *mode_out = &modes[i];
    if (!*mode_out)
        return false;
    size_t own = strlen(self->name);
    if (slash && ((size_t)(slash - wish) != own || strncmp(wish, self->name, own) != 0))
        *mode_out = NULL;
    return true;
}

static int explore_wish(struct exploration *self, const char *wish)
{
    const struct mode *mode;
    long point;
    if (!read_wish(self, wish, &mode, &point))
        return coil__fail(COIL_EINVAL, "COIL_EXPLORE=%s: not of the form [NAME/]MODE:POINT", wish);
    if (!mode)
        return 0;
    int rc = run_once(self, mode, point, true);
    if (rc == 0 && !self->found)
        fprintf(self->output, "explore %s: %s:%ld: nothing found%s\n", self->name, mode->name,
                point, self->reached ? "" : "; there is no such point");
    return rc;
}

static int explore_all(struct exploration *self)
{
    int rc = run_once(self, &undisturbed, 0, true);
    if (rc < 0 || self->found)
        return rc;
    for (int i = 0; i < MODES && rc == 0; i++)
        if (self->options.modes & modes[i].flag)
            rc = explore_mode(self, &modes[i]);
    return rc;
}

int coil_testing_explore(coil_coro *(*program)(void *arg), void *arg,
                         const coil_explore_options *options)
{
    static const coil_explore_options defaults = COIL_EXPLORE_OPTIONS_INIT;
    struct exploration self = { .options = options ? *options : defaults,
                                .program = program,
                                .arg = arg };
    if (coil__thread.loop)
        return coil__fail(COIL_ENESTED, "a loop is running");
    self.output = self.options.output ? self.options.output : stderr;
    if (self.options.name)
        snprintf(self.name, sizeof self.name, "%s", self.options.name);
    /* The first run is not compared: what is made once, and kept, is made in it. So is the name. */
    int rc = run_once(&self, &undisturbed, 0, false);
    if (rc < 0 || self.found)
        return rc < 0 ? rc : self.wrong;
    const char *wish = getenv("COIL_EXPLORE");
    rc = wish ? explore_wish(&self, wish) : explore_all(&self);
    return rc < 0 ? rc : self.wrong;
}
