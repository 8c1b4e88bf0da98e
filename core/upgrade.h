/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade: one process of weir takes over from another without a connection being refused: the old
 * one starts the program anew (whatever lies at its path now) with its listening sockets inherited,
 * waits until that one says that it serves, and only then drains. If it does not say so, the old
 * one goes on as if nothing had happened.
 *
 * What is inherited is said in the environment, WEIR_UPGRADE: "parent=PID ready=FD" and a word
 * "FD=ADDRESS/N" a socket, N being the listener's place in the old configuration or "admin". No
 * other descriptor is inherited. A listening socket that two processes have is one queue: who comes
 * is accepted by either of them, and nothing is lost when one of them closes it.
 *
 * Thread: main only.
 */
#ifndef WEIR_UPGRADE_H
#define WEIR_UPGRADE_H

#include "core/base/assert.h"
#include "core/config/config.h"
#include "core/engine/address.h"

#include <sys/types.h>

enum { UPGRADE_ADMIN = -1 /* instead of a listener's place */ };

struct upgrade_socket {
    int fd;
    int32_t listener;
    struct address address; /* as it is bound */
    bool taken;
};

/* ---- the new process ---- */

struct inheritance {
    int ready_fd; /* -1: started by nobody who waits */
    struct upgrade_socket *sockets;
    size_t count;
};

/* Reads the environment, and takes the word out of it. False, with a sentence: it is there and
 * wrong. Nothing there is no error. */
bool inheritance_init(struct inheritance *inheritance, char *error, size_t error_cap) MUST_CHECK;

/*
 * The next socket that fits this address of listener number `listener`, or UPGRADE_ADMIN, and that
 * was not taken yet: its descriptor, or -1. The port 0 fits the socket of the same listener.
 */
int inheritance_take(struct inheritance *inheritance, const struct config_address *address,
                     int32_t listener);

/* Closes what nobody took: those addresses are served no more. */
void inheritance_drop_rest(struct inheritance *inheritance);

/* Tells the old process that this one serves. */
void inheritance_say_ready(struct inheritance *inheritance);
void inheritance_fini(struct inheritance *inheritance);

/* ---- the old process ---- */

/* The path at which this program is to be found anew: argv[0] where that leads here, be it over a
 * symbolic link, else that of /proc/self/exe. Owned by the caller; null: unknown. At start. */
char *upgrade_program(const char *argv0);

struct upgrade {
    pid_t pid; /* of the new process; 0: no upgrade is under way */
    int ready_fd;
    int64_t deadline_ns; /* clock_monotonic_ns() */
};

/* Starts the new process. False: said why. */
bool upgrade_begin(struct upgrade *upgrade, const char *program, char *const *argv,
                   const struct upgrade_socket *sockets, size_t count) MUST_CHECK;

enum upgrade_outcome { UPGRADE_PENDING, UPGRADE_DONE, UPGRADE_FAILED };
/* When ready_fd can be read, or the deadline has passed. After a failure, which it reports, there
 * is no new process and no upgrade. */
enum upgrade_outcome upgrade_look(struct upgrade *upgrade);

/* Ends the new process, if there is one: this one is to end, too. */
void upgrade_cancel(struct upgrade *upgrade);

#endif
