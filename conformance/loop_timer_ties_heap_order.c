/* Many equal deadlines fire in the order in which they were made.
 *
 * Here Coil differs from CPython, and means to: CPython's order is that of its binary heap (0 2 1
 * 3 4 for five), and its documentation calls the order undefined. Coil numbers its timers and
 * compares the numbers when deadlines are equal, because a program that schedules things for one
 * instant expects the obvious order. So the expected output is not CPython's in this one scenario.
 *
 * Why: It is written down so that a difference from CPython here is a choice and not an accident.
 * Tags: heap-ties */
#include "kit/kit.h"

struct append_call {
    struct items *fired;
    int number;
};

static int append_number(void *arg)
{
    struct append_call *call = arg;
    append(call->fired, call->number);
    return 0;
}

int main(void)
{
    static const int counts[] = { 2, 3, 4, 5, 8, 13 };
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        coil_loop *loop = new_loop(0);
        struct items fired = { 0 };
        struct append_call calls[13];
        for (int i = 0; i < counts[c]; i++) {
            calls[i] = (struct append_call){ &fired, i };
            must(coil_call_at(loop, 1.0, append_number, &calls[i], NULL));
        }
        must(coil_call_at(loop, 2.0, do_stop, loop, NULL));
        must(coil_run_forever(loop));
        end_loop(loop);
        say(counts[c], as_list(&fired));
        clear(&fired);
    }
}
