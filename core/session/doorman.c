/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered is a digest of name, password and the hash in the file, under a key of this
 * process. So whoever is taken out of a file, or given another password, is not known any more, and
 * the others need no new check when a file changes.
 */
#include "core/session/doorman.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/engine/file_watch.h"
#include "tls/digest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WAYS = 4, /* places that a digest can have */
    SETS = DOORMAN_REMEMBERED_MAX / WAYS,
};

_Static_assert((int)DOORMAN_DIGEST_LEN == (int)DIGEST_LEN, "a digest is SHA-256");

/* A password to be checked; independent of the sessions that wait. */
struct user_order {
    struct list_node link; /* of the queue; in none while it is worked on */
    struct list_node waiters;
    uint8_t digest[DIGEST_LEN];
    bool is_known; /* else the hash is somebody else's, and the answer no */
    char hash[USER_HASH_LEN + 1];
    char password[USER_PASSWORD_MAX + 1];
    int64_t asked_ns;
};

struct remembered {
    uint8_t digest[DIGEST_LEN];
    int64_t until_ns; /* 0: empty */
};

struct user_file {
    struct list_node link;
    uint32_t references; /* the doorman's lock */
    struct users *users; /* owned; replaced under the doorman's lock */
    _Atomic uint64_t generation;
    struct file_watch watch; /* owns the path; main's thread */
};

struct doorman {
    uint8_t key[DIGEST_LEN];
    pthread_t thread;
    pthread_mutex_t lock; /* all below; never held while checking or reading a file */
    pthread_cond_t wake;
    struct list_node queue;
    uint32_t queue_len;
    struct user_order *current; /* worked on; others may still join it */
    bool ending;
    struct list_node files;
    uint32_t file_count;
    struct remembered memory[SETS][WAYS];
};

/* ---- digests and what is remembered ---- */

static void digest_of(const struct doorman *d, uint8_t digest[DIGEST_LEN], struct span kind,
                      struct span name, struct span password)
{
    uint8_t memory[DIGEST_LEN + USER_HASH_LEN + 1 + 1 + USER_NAME_MAX + USER_PASSWORD_MAX];
    struct text t = text_make(memory, sizeof(memory));

    text_bytes(&t, span_make(d->key, sizeof(d->key)));
    text_bytes(&t, kind); /* of one length for each use */
    text_char(&t, (char)name.len);
    text_bytes(&t, name);
    text_bytes(&t, password);
    ASSERT(!t.overflow);
    digest_sha256(digest, text_view(&t));
    explicit_bzero(memory, sizeof(memory));
}

void doorman_digest(const struct doorman *d, uint8_t digest[DOORMAN_DIGEST_LEN], struct span name,
                    struct span password)
{
    digest_of(d, digest, SPAN_LITERAL("s"), name, password);
}

static struct remembered *set_of(struct doorman *d, const uint8_t digest[DIGEST_LEN])
{
    uint32_t index;

    memcpy(&index, digest, sizeof(index));
    return d->memory[index % SETS];
}

static bool is_remembered(struct doorman *d, const uint8_t digest[DIGEST_LEN], int64_t now_ns)
{
    struct remembered *set = set_of(d, digest);

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].until_ns > now_ns &&
            digest_equal(span_make(set[i].digest, DIGEST_LEN), span_make(digest, DIGEST_LEN))) {
            set[i].until_ns = now_ns + DOORMAN_REMEMBERED_S * NS_PER_S;
            return true;
        }
    }
    return false;
}

/* In the place of whoever came least lately. */
static void remember(struct doorman *d, const uint8_t digest[DIGEST_LEN], int64_t now_ns)
{
    struct remembered *set = set_of(d, digest);
    struct remembered *place = &set[0];

    for (size_t i = 1; i < WAYS; i++) {
        if (set[i].until_ns < place->until_ns) {
            place = &set[i];
        }
    }
    memcpy(place->digest, digest, DIGEST_LEN);
    place->until_ns = now_ns + DOORMAN_REMEMBERED_S * NS_PER_S;
}

/* ---- the thread ---- */

static void order_free(struct user_order *order)
{
    explicit_bzero(order, sizeof(*order));
    free(order);
}

/* With the lock, which is let go of meanwhile. */
static void work_on(struct doorman *d, struct user_order *order)
{
    bool is_right;

    d->current = order;
    pthread_mutex_unlock(&d->lock);
    is_right = users_verify(order->hash, order->password) && order->is_known;
    pthread_mutex_lock(&d->lock);
    d->current = NULL;
    if (is_right) {
        remember(d, order->digest, order->asked_ns);
    }
    LIST_FOREACH_SAFE (node, &order->waiters) {
        struct user_check *check = CONTAINER_OF(node, struct user_check, link);
        list_remove(&check->link);
        check->is_right = is_right;
        check->is_posted = true;
        worker_post(check->worker, &check->letter); /* from now on the worker's */
    }
    order_free(order);
}

static void *run(void *argument)
{
    struct doorman *d = argument;

    pthread_mutex_lock(&d->lock);
    for (;;) {
        struct list_node *first = list_pop_front(&d->queue);
        if (first) {
            d->queue_len--;
            work_on(d, CONTAINER_OF(first, struct user_order, link));
        } else if (d->ending) {
            pthread_mutex_unlock(&d->lock);
            return NULL;
        } else {
            pthread_cond_wait(&d->wake, &d->lock);
        }
    }
}

struct doorman *doorman_new(void)
{
    struct doorman *d = calloc(1, sizeof(*d)); /* what is not remembered takes no memory */

    if (!d) {
        return NULL;
    }
    list_init(&d->queue);
    list_init(&d->files);
    digest_random(d->key, sizeof(d->key));
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    if (pthread_create(&d->thread, NULL, run, d) != 0) {
        free(d);
        return NULL;
    }
    return d;
}

void doorman_free(struct doorman *d)
{
    pthread_mutex_lock(&d->lock);
    d->ending = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    ASSERT(list_is_empty(&d->files));
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    explicit_bzero(d->key, sizeof(d->key));
    free(d);
}

/* ---- files ---- */

static void file_free(struct user_file *file)
{
    users_free(file->users);
    free(file->watch.path);
    free(file);
}

/* Main's thread. The users that were read before stay when this fails. */
static bool file_read(struct doorman *d, struct user_file *file, char *error, size_t error_cap)
{
    const char *path = file->watch.path;
    struct users *users = NULL;
    struct users *before;
    uint8_t *bytes;
    size_t len;
    int result;

    file_watch_changed(&file->watch); /* what comes after this is seen at the next look */
    result = file_watch_read(&file->watch, USERS_FILE_MAX + 1, &bytes, &len);
    if (result < 0) {
        snprintf(error, error_cap, "%s: cannot be read: %s (listeners.users)", path,
                 strerror(-result));
        return false;
    }
    if (!bytes) {
        snprintf(error, error_cap, "%s: not a regular file (listeners.users)", path);
        return false;
    }
    users = users_parse(span_make(bytes, len), path, stderr, error, error_cap);
    explicit_bzero(bytes, len);
    free(bytes);
    if (!users) {
        return false;
    }
    pthread_mutex_lock(&d->lock);
    before = file->users;
    file->users = users;
    atomic_fetch_add(&file->generation, 1);
    pthread_mutex_unlock(&d->lock);
    users_free(before);
    log_write(LOG_INFO, "%s: %zu user%s", path, users_count(users),
              users_count(users) == 1 ? "" : "s");
    return true;
}

/* With a reference; null: not known. */
static struct user_file *file_find(struct doorman *d, const char *path)
{
    struct user_file *found = NULL;

    pthread_mutex_lock(&d->lock);
    LIST_FOREACH (node, &d->files) {
        struct user_file *file = CONTAINER_OF(node, struct user_file, link);
        if (strcmp(file->watch.path, path) == 0) {
            found = file;
            found->references++;
            break;
        }
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

static struct user_file *file_new(struct doorman *d, const char *path)
{
    struct user_file *file = calloc(1, sizeof(*file));
    bool has_room;

    if (!file) {
        return NULL;
    }
    list_init(&file->link);
    file->references = 1;
    file->watch.path = strdup(path);
    if (!file->watch.path) {
        file_free(file);
        return NULL;
    }
    pthread_mutex_lock(&d->lock);
    has_room = d->file_count < DOORMAN_FILES_MAX;
    if (has_room) {
        list_push_back(&d->files, &file->link);
        d->file_count++;
    }
    pthread_mutex_unlock(&d->lock);
    if (!has_room) {
        file_free(file);
        return NULL;
    }
    return file;
}

struct user_file *doorman_file_get(struct doorman *d, const char *path, char *error,
                                   size_t error_cap)
{
    struct user_file *file = file_find(d, path);

    if (!file) {
        file = file_new(d, path);
    }
    if (!file) {
        snprintf(error, error_cap, "%s: out of memory, or more than %d files of users", path,
                 DOORMAN_FILES_MAX);
        return NULL;
    }
    if (!file_read(d, file, error, error_cap)) {
        doorman_file_put(d, file);
        return NULL;
    }
    return file;
}

void doorman_file_put(struct doorman *d, struct user_file *file)
{
    bool last;

    pthread_mutex_lock(&d->lock);
    last = --file->references == 0;
    if (last) {
        list_remove(&file->link);
        d->file_count--;
    }
    pthread_mutex_unlock(&d->lock);
    if (last) {
        file_free(file);
    }
}

/* The file after `file`, or the first; with a reference, since others may put theirs back. */
static struct user_file *next_file(struct doorman *d, struct user_file *file)
{
    struct list_node *node;
    struct user_file *next = NULL;

    pthread_mutex_lock(&d->lock);
    node = file ? file->link.next : d->files.next;
    if (node != &d->files) {
        next = CONTAINER_OF(node, struct user_file, link);
        next->references++;
    }
    pthread_mutex_unlock(&d->lock);
    if (file) {
        doorman_file_put(d, file);
    }
    return next;
}

void doorman_look_at_files(struct doorman *d)
{
    char error[512];

    for (struct user_file *file = next_file(d, NULL); file; file = next_file(d, file)) {
        if (file_watch_changed(&file->watch) && !file_read(d, file, error, sizeof(error))) {
            log_write(LOG_ERROR, "%s; the users that were read before stay", error);
        }
    }
}

bool doorman_has_files(struct doorman *d)
{
    bool has;

    pthread_mutex_lock(&d->lock);
    has = d->file_count > 0;
    pthread_mutex_unlock(&d->lock);
    return has;
}

uint64_t user_file_generation(const struct user_file *file)
{
    return atomic_load(&file->generation);
}

/* ---- checks ---- */

/* On the worker's thread. */
static void deliver(struct letter *letter)
{
    struct user_check *check = CONTAINER_OF(letter, struct user_check, letter);

    check->worker->letters_expected--;
    check->done = true;
    if (check->owner) {
        actor_ready(check->owner);
        return;
    }
    free(check);
}

/* What the file has of this name. False: nothing to compare with. */
static bool look_up(struct doorman *d, struct user_file *file, struct span name,
                    char hash[USER_HASH_LEN + 1], bool *is_known)
{
    const char *found;

    pthread_mutex_lock(&d->lock);
    found = users_find(file->users, name);
    *is_known = found != NULL;
    found = found ? found : users_decoy(file->users, name);
    if (found) {
        memcpy(hash, found, USER_HASH_LEN + 1);
    }
    pthread_mutex_unlock(&d->lock);
    return found != NULL;
}

static struct user_order *order_new(const uint8_t digest[DIGEST_LEN], const char *hash,
                                    bool is_known, struct span password, int64_t now_ns)
{
    struct user_order *order = calloc(1, sizeof(*order));

    if (!order) {
        return NULL;
    }
    list_init(&order->link);
    list_init(&order->waiters);
    memcpy(order->digest, digest, DIGEST_LEN);
    memcpy(order->hash, hash, USER_HASH_LEN);
    if (password.len) {
        memcpy(order->password, password.data, password.len);
    }
    order->is_known = is_known;
    order->asked_ns = now_ns;
    return order;
}

/* With the lock: the same question, asked by somebody else. */
static struct user_order *find_order(struct doorman *d, const uint8_t digest[DIGEST_LEN])
{
    if (d->current && memcmp(d->current->digest, digest, DIGEST_LEN) == 0) {
        return d->current;
    }
    LIST_FOREACH (node, &d->queue) {
        struct user_order *order = CONTAINER_OF(node, struct user_order, link);
        if (memcmp(order->digest, digest, DIGEST_LEN) == 0) {
            return order;
        }
    }
    return NULL;
}

static struct user_check *check_new(struct doorman *d, struct worker *worker, struct actor *owner)
{
    struct user_check *check = calloc(1, sizeof(*check));

    if (check) {
        list_init(&check->link);
        check->letter.deliver = deliver;
        check->doorman = d;
        check->worker = worker;
        check->owner = owner;
    }
    return check;
}

enum user_answer user_check_ask(struct doorman *d, struct user_file *file, struct worker *worker,
                                struct actor *owner, struct span name, struct span password,
                                struct user_check **check)
{
    int64_t now_ns = worker_now(worker);
    enum user_answer answer = USER_BUSY;
    char kind[1 + USER_HASH_LEN + 1] = "";
    uint8_t digest[DIGEST_LEN];
    struct user_order *order;
    bool is_known;

    *check = NULL;
    if (name.len > USER_NAME_MAX || password.len > USER_PASSWORD_MAX ||
        span_find(password, '\0') < password.len || !look_up(d, file, name, kind + 1, &is_known)) {
        return USER_WRONG;
    }
    kind[0] = is_known ? 'u' : 'd';
    digest_of(d, digest, span_make(kind, 1 + USER_HASH_LEN), name, password);
    pthread_mutex_lock(&d->lock);
    if (is_remembered(d, digest, now_ns)) {
        pthread_mutex_unlock(&d->lock);
        return USER_RIGHT;
    }
    order = find_order(d, digest);
    if (!order && d->queue_len < DOORMAN_QUEUE_MAX) {
        order = order_new(digest, kind + 1, is_known, password, now_ns);
        if (order) {
            list_push_back(&d->queue, &order->link);
            d->queue_len++;
        }
    }
    *check = order ? check_new(d, worker, owner) : NULL;
    if (*check) {
        (*check)->order = order;
        list_push_back(&order->waiters, &(*check)->link);
        worker->letters_expected++;
        pthread_cond_signal(&d->wake);
        answer = USER_CHECKING;
    } else if (order && list_is_empty(&order->waiters) && order != d->current) {
        list_remove(&order->link);
        d->queue_len--;
        order_free(order);
    }
    pthread_mutex_unlock(&d->lock);
    return answer;
}

void user_check_drop(struct user_check *check)
{
    struct doorman *d = check->doorman;
    struct user_order *order = check->order;

    check->owner = NULL;
    if (check->done) {
        free(check);
        return;
    }
    pthread_mutex_lock(&d->lock);
    if (check->is_posted) { /* its letter is still to come, and frees it */
        pthread_mutex_unlock(&d->lock);
        return;
    }
    list_remove(&check->link);
    if (list_is_empty(&order->waiters) && order != d->current) {
        list_remove(&order->link);
        d->queue_len--;
        order_free(order);
    }
    pthread_mutex_unlock(&d->lock);
    check->worker->letters_expected--;
    free(check);
}
