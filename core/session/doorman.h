/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorman: checks passwords of users without holding a worker up. bcrypt takes milliseconds to
 * seconds and runs on the doorman's thread; workers ask and are told by letter. What was right is
 * remembered, so that a steady load costs a digest and a look. The doorman also keeps the files of
 * users and follows their changes.
 */
#ifndef WEIR_SESSION_DOORMAN_H
#define WEIR_SESSION_DOORMAN_H

#include "core/engine/worker.h"
#include "core/session/users.h"

enum {
    DOORMAN_QUEUE_MAX = 128,        /* checks that wait; more are refused */
    DOORMAN_REMEMBERED_MAX = 16384, /* passwords that were right */
    DOORMAN_REMEMBERED_S = 10 * 60, /* since they were last used */
    DOORMAN_FILES_MAX = 1024,       /* different files of users */
    DOORMAN_DIGEST_LEN = 32,
};

struct doorman;
struct user_file;
struct user_order;

struct doorman *doorman_new(void) MUST_CHECK; /* null: no memory, or no thread */
void doorman_free(struct doorman *doorman);   /* workers must have ended, files must be put back */

/* ---- files: counted, shared by all who name the same path ---- */

/* Reads the file, also when it is known already. Null with a sentence in error; each bad line is
 * told on standard error, and whoever has the file goes on with the last good copy. Main's thread.
 */
struct user_file *doorman_file_get(struct doorman *doorman, const char *path, char *error,
                                   size_t error_cap) MUST_CHECK;
void doorman_file_put(struct doorman *doorman, struct user_file *file); /* any thread */

/* Reads again what has changed. A file that cannot be used is told in the log, and its last good
 * copy stays. Main's thread, about once a second. */
void doorman_look_at_files(struct doorman *doorman);

/* Is there any file to look at? */
bool doorman_has_files(struct doorman *doorman);

/* Changes whenever the file's content was read anew; any thread. */
uint64_t user_file_generation(const struct user_file *file);

/* ---- checks ---- */

enum user_answer {
    USER_CHECKING, /* not known yet: the owner is made ready when it is */
    USER_RIGHT,
    USER_WRONG,
    USER_BUSY, /* too many checks wait, or no memory: ask again later */
};

/* One session's question. Worker's thread. */
struct user_check {
    struct letter letter;
    struct list_node link; /* of the order's waiters; the doorman's lock */
    struct doorman *doorman;
    struct user_order *order;
    struct worker *worker;
    struct actor *owner; /* null: nobody wants it any more */
    bool is_posted;      /* the doorman's lock */
    bool is_right;
    bool done;
};

/*
 * Is this the password of that user? Remembered ones, and those that need no check, are answered at
 * once and *check stays null. USER_CHECKING: *check is the question, whose `done` and `is_right`
 * tell; drop it in any case. Name and password are copied.
 */
enum user_answer user_check_ask(struct doorman *doorman, struct user_file *file,
                                struct worker *worker, struct actor *owner, struct span name,
                                struct span password, struct user_check **check);

/* Lets go of a question, done or not. A check that nobody waits for and that has not begun is not
 * made. */
void user_check_drop(struct user_check *check);

/* A digest that only this process can make, to know credentials again without keeping them. At most
 * USER_NAME_MAX and USER_PASSWORD_MAX bytes. */
void doorman_digest(const struct doorman *doorman, uint8_t digest[DOORMAN_DIGEST_LEN],
                    struct span name, struct span password);

#endif
