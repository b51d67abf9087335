/* A clock for bench/instructions, preloaded: it moves on by a little whenever somebody looks at it. Under
 * valgrind everything takes fifty times as long, which the loop would notice, and poll the kernel that much
 * more often: what it counts would depend on the machine and its load. */
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static long long ns = 1000000000;

    (void)clock;
    ns += 100;
    now->tv_sec = (time_t)(ns / 1000000000);
    now->tv_nsec = (long)(ns % 1000000000);
    return 0;
}
