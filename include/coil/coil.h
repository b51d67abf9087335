/* Coil: asyncio for C. This header includes all the others but <coil/testing.h>.
 *
 *     COIL_ASYNC(say_after, (double, delay), (const char *, what))
 *     {
 *         COIL_TRY(coil_sleep(delay));
 *         puts(what);
 *         coil_return(coil_nil());
 *     }
 *
 *     COIL_ASYNC0(amain)
 *     {
 *         COIL_TRY(coil_gather(NULL, say_after(1, "hello"), say_after(2, "world")));
 *         coil_return(0);
 *     }
 *
 *     int main(void) { return coil_main(amain()); }
 */
#ifndef COIL_COIL_H
#define COIL_COIL_H

#include <coil/base.h>
#include <coil/version.h>
#include <coil/error.h>
#include <coil/value.h>
#include <coil/alloc.h>
#include <coil/context.h>
#include <coil/loop.h>
#include <coil/future.h>
#include <coil/coro.h>
#include <coil/task.h>
#include <coil/timeout.h>
#include <coil/cancel.h>
#include <coil/wait.h>
#include <coil/group.h>
#include <coil/subprocess.h>
#include <coil/sync.h>
#include <coil/queue.h>
#include <coil/gen.h>
#include <coil/signal.h>
#include <coil/sock.h>
#include <coil/transport.h>
#include <coil/server.h>
#include <coil/stream.h>
#include <coil/tls.h>
#include <coil/dns.h>
#include <coil/executor.h>
#include <coil/process.h>
#include <coil/process_pool.h>
#include <coil/run.h>
#include <coil/debug.h>
#include <coil/inspect.h>
#include <coil/metrics.h>

#endif
