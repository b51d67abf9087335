/* Names and addresses: getaddrinfo(3) and getnameinfo(3), which block, without blocking.
 *
 *     #include <netdb.h>
 *     ...
 *     struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
 *     COIL_TRY(coil_getaddrinfo("www.example.org", "https", &hints, &list));
 *     for (struct addrinfo *address = list; address; address = address->ai_next)
 *         try_address(address->ai_addr, address->ai_addrlen);
 *     freeaddrinfo(list);
 *
 * A loop looks names up in threads of their own, so neither do slow look-ups keep jobs for other threads
 * waiting (coil_to_thread), nor the other way round. There are up to 16 at a time; further ones wait in line.
 * Cancelling returns at once: the system's look-up goes on in its thread, and its answer is dropped. So a
 * limit is set as everywhere else:
 *
 *     rc = COIL_TIMEOUT(2.5, coil_getaddrinfo(host, "443", &hints, &list));
 *
 * Closing the loop (coil_run does) does not wait for look-ups that nobody waits for. */
#ifndef COIL_DNS_H
#define COIL_DNS_H

#include <sys/socket.h>
#include <coil/base.h>

struct addrinfo;

COIL_BEGIN_DECLS

/**
 * Finds the addresses of a host and a service, in the order in which the system prefers them.
 *
 * @param host      a name, or an address as text; NULL: this host, or with AI_PASSIVE all its addresses
 * @param service   a name or a number as text; NULL: none. Not both may be NULL
 * @param hints     borrowed for the call, as for getaddrinfo(3): flags, family, socktype and protocol; NULL: none
 * @param list_out  receives at least one address; untouched on failure
 *
 * Returns   0, or
 *           COIL_EGAI_NONAME   there is no such host, or it has no address of this family, or no such service
 *           COIL_EGAI_AGAIN    the name servers do not answer; they may later
 *           COIL_EGAI_FAIL     the name servers refuse
 *           COIL_EGAI_SERVICE  the service is not there for this type of socket
 *           COIL_ECANCELED, COIL_ENOTASK, COIL_ENOMEM, COIL_ECLOSING
 *           COIL_EINVAL        flags that do not go together
 *           -EAFNOSUPPORT, -ESOCKTNOSUPPORT, or -errno (descriptors, threads)
 *           The record has the system's text, and the number (EAI_...) as its detail
 * Owns      the list is yours: give it back by freeaddrinfo(3)
 * Suspends  until the answer is there; not at all if host and service are numbers
 * Cancel    the answer is dropped when it comes
 * Thread    the loop's, in a task
 * Python    loop.getaddrinfo
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_getaddrinfo(COIL_NULLABLE const char *host,
                                               COIL_NULLABLE const char *service,
                                               COIL_NULLABLE const struct addrinfo *hints,
                                               struct addrinfo **list_out);

/**
 * Finds the names of an address.
 *
 * @param address       borrowed for the call
 * @param flags         as for getnameinfo(3): NI_NUMERICHOST, NI_NAMEREQD...
 * @param host_out      NULL, or receives the host's name, at most host_bytes with the zero byte at its end
 *                      (NI_MAXHOST is always enough); untouched on failure
 * @param service_out   the same for the service (NI_MAXSERV)
 *
 * Returns   0, or
 *           COIL_EGAI_NONAME  there is no name, and NI_NAMEREQD was asked for
 *           -EOVERFLOW        a name is longer than its room
 *           and as coil_getaddrinfo
 * Suspends  until the answer is there; not at all if both are to be numbers (NI_NUMERICHOST |
 *           NI_NUMERICSERV)
 * Cancel    the answer is dropped when it comes
 * Thread    the loop's, in a task
 * Python    loop.getnameinfo
 * Since     0.1
 */
COIL_API COIL_MAY_SUSPEND int coil_getnameinfo(const struct sockaddr *address, socklen_t length,
                                               int flags, COIL_NULLABLE char *host_out,
                                               size_t host_bytes, COIL_NULLABLE char *service_out,
                                               size_t service_bytes);

COIL_END_DECLS

#endif
