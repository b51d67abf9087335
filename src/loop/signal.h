/* Signals, inside the library. The public half is <coil/signal.h>. */
#ifndef COIL_LOOP_SIGNAL_H
#define COIL_LOOP_SIGNAL_H

#include <coil/signal.h>
#include "base/list.h"

/* ---- listening ---------------------------------------------------------------------------------- */

/* Somebody inside the library who is told of a signal, in a turn of the loop, before its callback runs. */
struct coil__listener {
    struct coil__link link;
    void (*arrived)(struct coil__listener *self, int number); /* may stop listening, all of them */
};

/* 0, or as coil_add_signal_handler. */
int coil__signal_listen(coil_loop *loop, int number, struct coil__listener *listener);
/* Of one who listens. */
void coil__signal_unlisten(coil_loop *loop, int number, struct coil__listener *listener);

/* ---- ending a run ------------------------------------------------------------------------------- */

/* SIGINT and SIGTERM for a run, in the main thread, if they have their default action: loop->on_interrupt
 * hears of them in a turn of the loop. Only one run at a time can have one of them; a handler of the user's
 * on a loop comes first. The second SIGINT puts the default action back, so that a third one ends the
 * process. False: the signal was not taken. */
bool coil__interrupt_take(coil_loop *loop, int number);
/* Gives a signal back that was taken. */
void coil__interrupt_give_back(int number);
/* How many of them have arrived since it was taken; stays until it is taken again. */
int coil__interrupt_count(int number);

/* ---- the loop's side ---------------------------------------------------------------------------- */

/* Called in a turn, after the poll, when loop->signalled is set. */
void coil__signals_look(coil_loop *loop);
void coil__signals_close(coil_loop *loop);

/* Around fork. In the child the signals have the actions again that they had before Coil's. */
void coil__signals_before_fork(void);
void coil__signals_after_fork(void);
void coil__signals_in_child(void);

#endif
