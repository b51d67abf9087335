#include "io/resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <coil/dns.h>
#include <coil/group.h>
#include <coil/sock.h>
#include <coil/sync.h>
#include <coil/timeout.h>
#include "base/error.h"
#include "io/creation.h"
#include "tasks/task.h"

enum {
    ADDRESSES_MAX = 64, /* of one host that are tried */
    STORY_BYTES = 512,  /* of a message that tells of several failures */
};

/* ---- addresses of a host --------------------------------------------------------------------------- */

static int copy_list(const struct addrinfo *list, struct coil__address **addresses_out)
{
    int count = 0;
    for (const struct addrinfo *info = list; info && count < ADDRESSES_MAX; info = info->ai_next)
        count++;
    struct coil__address *addresses = coil__alloc_zero((size_t)count * sizeof *addresses);
    if (!addresses)
        return coil__fail_plain(COIL_ENOMEM);
    for (int i = 0; i < count; i++, list = list->ai_next) {
        addresses[i].length = list->ai_addrlen;
        memcpy(&addresses[i].storage, list->ai_addr, list->ai_addrlen);
    }
    *addresses_out = addresses;
    return count;
}

static int look_up(const char *host, int port, int family, int type, bool passive,
                   struct coil__address **addresses_out)
{
    struct addrinfo hints = { .ai_family = family,
                              .ai_socktype = type,
                              .ai_flags = passive ? AI_PASSIVE : 0 };
    char service[8];
    struct addrinfo *list;
    if (port < 0 || port > UINT16_MAX)
        return coil__fail(COIL_EINVAL, "port %d", port);
    (void)snprintf(service, sizeof service, "%d", port);
    int rc = coil_getaddrinfo(host, service, &hints, &list);
    if (rc < 0)
        return rc;
    rc = copy_list(list, addresses_out);
    freeaddrinfo(list);
    return rc;
}

int coil__resolve(const char *host, int port, int family, int type, bool passive,
                  struct coil__address **addresses_out)
{
    struct coil__address numeric[COIL__ADDRESSES_MAX];
    int count = coil__address_numeric(host, port, family, type, passive, numeric);
    if (count < 0)
        return look_up(host, port, family, type, passive, addresses_out);
    *addresses_out = coil__alloc((size_t)count * sizeof **addresses_out);
    if (!*addresses_out)
        return coil__fail_plain(COIL_ENOMEM);
    memcpy(*addresses_out, numeric, (size_t)count * sizeof numeric[0]);
    return count;
}

/* ---- one of several -------------------------------------------------------------------------------- */

struct race {
    const struct coil__address *addresses, *locals;
    int count, local_count;
    int next, running; /* the address to try next; how many are being tried */
    int winner;        /* a descriptor; -1: none yet */
    int code;          /* what the first one failed with */
    char story[STORY_BYTES];
    coil_event changed;
};

/* The first of the local addresses that goes with a peer's; NULL: none does. */
static const struct coil__address *local_for(const struct race *race,
                                             const struct coil__address *address)
{
    for (int i = 0; i < race->local_count; i++)
        if (race->locals[i].generic.sa_family == address->generic.sa_family)
            return &race->locals[i];
    return NULL;
}

static int connect_one(const struct race *race, const struct coil__address *address)
{
    const struct coil__address *local = local_for(race, address);
    if (race->local_count > 0 && !local)
        return coil__fail(COIL_EINVAL, "the local address is of another family");
    return coil__creation_connect(SOCK_STREAM, address, local);
}

static void note_failure(struct race *race, int code)
{
    if (race->code == 0)
        race->code = code;
    const coil_error *error = coil_error_current(code);
    const char *message = error ? coil_error_message(error) : NULL;
    size_t used = strlen(race->story);
    (void)snprintf(race->story + used, sizeof race->story - used, "%s%s: %s", used > 0 ? "; " : "",
                   message ? message : "an address", coil_strerror(code));
}

COIL_ASYNC(attempt, (struct race *, race), (const struct coil__address *, address))
{
    int fd = connect_one(race, address);
    race->running--;
    if (fd < 0)
        note_failure(race, fd);
    else if (race->winner < 0)
        race->winner = fd;
    else
        coil_sock_close(fd); /* two in the same turn */
    coil_event_set(&race->changed);
    return 0;
}

/* Waits until an attempt has ended, or for so long; 0 either way. */
static int wait_for_news(struct race *race, double delay)
{
    coil_event_clear(&race->changed);
    if (delay < 0 || race->next == race->count)
        return coil_event_wait(&race->changed);
    int rc = COIL_TIMEOUT(delay, coil_event_wait(&race->changed));
    return rc == COIL_ETIMEDOUT ? 0 : rc;
}

static int run(struct race *race, double delay)
{
    coil_task_group attempts;
    int rc = coil_task_group_enter(&attempts);
    if (rc < 0)
        return rc;
    while (rc == 0 && race->winner < 0 && (race->next < race->count || race->running > 0)) {
        if (race->next < race->count) {
            rc = coil_task_group_spawn(&attempts, attempt(race, &race->addresses[race->next++]));
            if (rc == 0)
                race->running++;
        }
        if (rc == 0)
            rc = wait_for_news(race, delay);
    }
    coil_task_group_cancel(&attempts);
    return coil_task_group_exit(&attempts, rc);
}

/* One after the other, without tasks: there is nothing to wait for but the one. */
static void try_in_turn(struct race *race)
{
    while (race->winner < 0 && race->next < race->count) {
        int fd = connect_one(race, &race->addresses[race->next++]);
        if (fd >= 0)
            race->winner = fd;
        else
            note_failure(race, fd);
        if (fd == COIL_ECANCELED || fd == COIL_ECLOSING) {
            race->code = fd;
            return;
        }
    }
}

/* The first of each family in turn, each family in its own order. */
static void interleave(struct coil__address *addresses, int count)
{
    for (int i = 1; i < count; i++) {
        int other = i;
        while (other < count &&
               addresses[other].generic.sa_family == addresses[i - 1].generic.sa_family)
            other++;
        if (other == count)
            return;
        struct coil__address moved = addresses[other];
        memmove(&addresses[i + 1], &addresses[i], (size_t)(other - i) * sizeof moved);
        addresses[i] = moved;
    }
}

int coil__connect_any(struct coil__address *addresses, int count,
                      const struct coil__address *locals, int local_count, double delay)
{
    struct race race = { .addresses = addresses,
                         .locals = locals,
                         .count = count,
                         .local_count = local_count,
                         .winner = -1 };
    int rc = 0;
    if (delay < 0 || count == 1) {
        try_in_turn(&race);
    } else {
        interleave(addresses, count);
        coil_event_init(&race.changed);
        rc = run(&race, delay);
        coil_event_fini(&race.changed);
    }
    if (rc == 0 && race.winner >= 0)
        return race.winner;
    coil_sock_close(race.winner); /* -1: nothing */
    if (rc < 0)
        return rc;
    if (count > 1 && race.code > -4096)
        coil__fail(race.code, "%s", race.story);
    return race.code;
}
