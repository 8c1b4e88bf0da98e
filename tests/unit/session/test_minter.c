/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The minter with real workers, rings and certificates. Its file is part of this program, so that a
 * gate can hold minting up while others ask, and memory can run out.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct ca;
struct leaf;
struct leaf_keys;
struct leaf_request;

static _Thread_local int calls_until_failure = -1; /* negative: memory is there */

static void *scarce_calloc(size_t count, size_t size)
{
    if (calls_until_failure == 0) {
        return NULL;
    }
    calls_until_failure -= calls_until_failure > 0;
    return calloc(count, size);
}

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_closed;
static unsigned mint_count; /* begun */

static struct leaf *gated_mint(struct ca *ca, struct leaf_keys *keys,
                               const struct leaf_request *request, char *error, size_t error_cap);

#include "core/engine/worker.h"

/*
 * A sanitizer of threads does not see that the read of an eventfd, by io_uring, comes after its
 * write: to it the end of a worker would race with the wake-up that the worker has long seen. Posts
 * hold this lock, and so does who is about to end a worker, for a moment.
 */
static pthread_mutex_t post_lock = PTHREAD_MUTEX_INITIALIZER;

static void locked_post(struct worker *worker, struct letter *letter)
{
    pthread_mutex_lock(&post_lock);
    worker_post(worker, letter);
    pthread_mutex_unlock(&post_lock);
}

static bool end_worker(struct worker *worker)
{
    while (worker->letters_expected) {
        worker_turn(worker);
    }
    pthread_mutex_lock(&post_lock);
    pthread_mutex_unlock(&post_lock);
    return worker_fini(worker);
}

#include "tls/leaf.h"
#define leaf_mint   gated_mint
#define worker_post locked_post
#define calloc      scarce_calloc
#include "core/session/minter.c"
#undef calloc
#undef worker_post
#undef leaf_mint

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static struct leaf *gated_mint(struct ca *ca, struct leaf_keys *keys,
                               const struct leaf_request *request, char *error, size_t error_cap)
{
    pthread_mutex_lock(&gate_lock);
    mint_count++;
    pthread_cond_broadcast(&gate_moved);
    while (gate_closed) {
        pthread_cond_wait(&gate_moved, &gate_lock);
    }
    pthread_mutex_unlock(&gate_lock);
    return leaf_mint(ca, keys, request, error, error_cap);
}

static void set_gate(bool closed)
{
    pthread_mutex_lock(&gate_lock);
    gate_closed = closed;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

static void wait_for_minting(unsigned count)
{
    pthread_mutex_lock(&gate_lock);
    while (mint_count < count) {
        pthread_cond_wait(&gate_moved, &gate_lock);
    }
    pthread_mutex_unlock(&gate_lock);
}

static unsigned minted(void)
{
    unsigned count;

    pthread_mutex_lock(&gate_lock);
    count = mint_count;
    pthread_mutex_unlock(&gate_lock);
    return count;
}

enum { TOO_LONG_S = 60, DAYS = 30 };

static struct ca *ca;
static struct leaf_keys *keys;

static int set_up_ca(void **state)
{
    char folder[] = "/tmp/weir-test-minter-XXXXXX";
    char command[128];
    char error[512] = "";
    bool created;

    (void)state;
    log_set_level(LOG_ERROR);
    assert_non_null(mkdtemp(folder));
    ca = ca_open(folder, clock_wall_ns() / NS_PER_S, &created, error, sizeof(error));
    assert_string_equal(error, "");
    assert_true(ca && created);
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    keys = leaf_keys_new();
    return keys ? 0 : -1;
}

static int tear_down_ca(void **state)
{
    (void)state;
    leaf_keys_free(keys);
    ca_free(ca);
    return 0;
}

/* What one test works with; the worker is the calling thread's. */
struct kit {
    struct leaf_cache *cache;
    struct minter *minter;
    struct worker worker;
};

struct owner {
    struct actor actor;
    int runs;
};

static void count_run(struct actor *actor)
{
    CONTAINER_OF(actor, struct owner, actor)->runs++;
}

static void start_worker(struct worker *worker, uint32_t index)
{
    const struct resolver_options resolver = {
        .timeout_ms = 1000, .cache_count = 16, .ttl_max_s = 60, .negative_ttl_s = 1};
    const struct worker_options options = {.index = index,
                                           .conn_cap = 16,
                                           .dial_cap = 8,
                                           .idle_cap = 4,
                                           .idle_ns = NS_PER_S,
                                           .buffer_high = 65536,
                                           .buffer_low = 16384,
                                           .resolver = &resolver};
    char error[256] = "";

    memset(worker, 0, sizeof(*worker));
    if (worker_init(worker, &options, error, sizeof(error)) < 0) {
        fail_msg("%s", error);
    }
}

static void kit_begin(struct kit *kit, bool inline_only, uint32_t cache_cap)
{
    struct minter_options options = {.ca = ca, .keys = keys, .inline_only = inline_only};

    alarm(TOO_LONG_S);
    set_gate(false);
    mint_count = 0;
    kit->cache = options.cache = leaf_cache_new(cache_cap);
    assert_non_null(kit->cache);
    kit->minter = minter_new(&options);
    assert_non_null(kit->minter);
    start_worker(&kit->worker, 0);
}

static void kit_end(struct kit *kit)
{
    assert_true(end_worker(&kit->worker));
    assert_int_equal(kit->worker.letters_expected, 0);
    minter_free(kit->minter);
    leaf_cache_free(kit->cache);
    alarm(0);
}

static struct leaf_key make_key(const char *name)
{
    struct leaf_key key = {.asked_name = span_from_string(name), .kind = LEAF_ECDSA};

    memset(key.server_digest, 7, sizeof(key.server_digest));
    return key;
}

static struct mint *ask(struct kit *kit, struct worker *worker, struct owner *owner,
                        const char *name)
{
    struct leaf_key key = make_key(name);

    if (owner) {
        actor_init(&owner->actor, &worker->ready, count_run);
        owner->runs = 0;
    }
    return minter_ask(kit->minter, worker, owner ? &owner->actor : NULL, &key, false, DAYS,
                      span_make(NULL, 0));
}

static void turn_until_run(struct worker *worker, const struct owner *owner)
{
    while (owner->runs == 0) {
        worker_turn(worker);
    }
}

/* Made, then found again: the same leaf, which is for the name that was asked for. */
static void check_mint_then_hit(bool inline_only)
{
    struct owner owner;
    struct mint *first, *second;
    struct kit kit;

    kit_begin(&kit, inline_only, 64);
    first = ask(&kit, &kit.worker, &owner, "mint.example");
    assert_non_null(first);
    assert_false(first->done);
    assert_false(first->hit);
    assert_int_equal(kit.worker.letters_expected, 1);
    turn_until_run(&kit.worker, &owner);
    assert_int_equal(owner.runs, 1);
    assert_true(first->done);
    assert_false(first->hit);
    assert_non_null(first->leaf);
    assert_true(first->begin_ns > 0 && first->end_ns >= first->begin_ns);
    assert_int_equal(kit.worker.letters_expected, 0);
    assert_non_null(
        memmem(leaf_der(first->leaf).data, leaf_der(first->leaf).len, "mint.example", 12));
    int64_t days = (leaf_not_after_s(first->leaf) - clock_wall_ns() / NS_PER_S) / 86400;
    assert_true(days >= DAYS - 1 && days <= DAYS);

    second = ask(&kit, &kit.worker, &owner, "MINT.example");
    assert_true(second->done && second->hit);
    assert_ptr_equal(second->leaf, first->leaf);
    assert_int_equal(second->end_ns, second->begin_ns);
    assert_int_equal(kit.worker.letters_expected, 0);
    assert_int_equal(minted(), 1);
    mint_drop(second);

    /* The owner may take the leaf out of the wish. */
    struct leaf *taken = first->leaf;
    first->leaf = NULL;
    mint_drop(first);
    assert_true(leaf_der(taken).len > 0);
    leaf_put(taken);
    kit_end(&kit);
}

static void a_leaf_is_minted_and_then_found(void **state)
{
    (void)state;
    check_mint_then_hit(false);
}

static void without_a_thread_too(void **state)
{
    (void)state;
    check_mint_then_hit(true);
}

/* Failure is told, not kept: the next one who asks causes another try. */
static void check_failure(bool inline_only)
{
    struct kit kit;

    kit_begin(&kit, inline_only, 64);
    for (unsigned i = 1; i <= 2; i++) {
        struct owner owner;
        struct mint *mint = ask(&kit, &kit.worker, &owner, "not a name");
        assert_non_null(mint);
        turn_until_run(&kit.worker, &owner);
        assert_true(mint->done);
        assert_false(mint->hit);
        assert_null(mint->leaf);
        assert_int_equal(minted(), i);
        mint_drop(mint);
    }
    kit_end(&kit);
}

static void failure_is_told_and_not_kept(void **state)
{
    (void)state;
    check_failure(false);
    check_failure(true);
}

struct other {
    pthread_t thread;
    struct kit *kit;
    struct worker worker;
    const char *name;
    int drops;         /* wishes asked for and dropped at once */
    struct leaf *leaf; /* what it got */
    _Atomic int asked; /* its wishes lie with the minter */
    bool is_clean;
};

static void *run_other(void *argument)
{
    struct other *other = argument;
    struct owner owner;
    struct mint *mint;

    start_worker(&other->worker, 1);
    for (int i = 0; i < other->drops; i++) {
        mint_drop(ask(other->kit, &other->worker, &owner, other->name));
    }
    mint = ask(other->kit, &other->worker, &owner, other->name);
    atomic_store(&other->asked, 1);
    if (!mint->done) {
        turn_until_run(&other->worker, &owner);
    }
    other->leaf = mint->leaf;
    mint->leaf = NULL;
    mint_drop(mint);
    other->is_clean = end_worker(&other->worker) && other->worker.letters_expected == 0;
    return NULL;
}

/* While the one order waits at the gate, both workers ask for it, more than once. */
static void one_order_serves_both_workers(void **state)
{
    static struct other other;
    struct owner owner[3];
    struct mint *mint[3];
    struct kit kit;

    (void)state;
    kit_begin(&kit, false, 64);
    set_gate(true);
    mint[0] = ask(&kit, &kit.worker, &owner[0], "one.example");
    wait_for_minting(1);
    other = (struct other){.kit = &kit, .name = "one.example", .drops = 2};
    assert_int_equal(pthread_create(&other.thread, NULL, run_other, &other), 0);
    mint[1] = ask(&kit, &kit.worker, &owner[1], "one.example");
    mint[2] = ask(&kit, &kit.worker, &owner[2], "one.example");
    while (!atomic_load(&other.asked)) {
        usleep(1000);
    }
    assert_int_equal(kit.worker.letters_expected, 3);
    mint_drop(mint[2]);
    assert_false(mint[0]->done);
    assert_false(mint[1]->done);
    set_gate(false);
    turn_until_run(&kit.worker, &owner[0]);
    turn_until_run(&kit.worker, &owner[1]);
    pthread_join(other.thread, NULL);
    assert_int_equal(minted(), 1);
    assert_non_null(mint[0]->leaf);
    assert_ptr_equal(mint[1]->leaf, mint[0]->leaf);
    assert_ptr_equal(other.leaf, mint[0]->leaf);
    assert_false(mint[1]->hit);
    assert_true(other.is_clean);
    leaf_put(other.leaf);
    mint_drop(mint[0]);
    mint_drop(mint[1]);
    kit_end(&kit);
    assert_int_equal(owner[2].runs, 0); /* who dropped is not disturbed */
}

/* Both workers ask for the same names at once, without a gate: each is minted once. */
static void a_race_mints_each_name_once(void **state)
{
    enum { NAMES = 40 };
    struct kit kit;

    (void)state;
    kit_begin(&kit, false, 1024);
    for (unsigned i = 0; i < NAMES; i++) {
        static struct other other;
        char name[32];
        struct owner owner;
        struct mint *mint;
        snprintf(name, sizeof(name), "n%u.example", i);
        other = (struct other){.kit = &kit, .name = name, .drops = (int)(i % 3)};
        assert_int_equal(pthread_create(&other.thread, NULL, run_other, &other), 0);
        if (i & 1) {
            usleep(i * 100); /* the other one first, mostly */
        }
        mint = ask(&kit, &kit.worker, &owner, name);
        if (!mint->done) {
            turn_until_run(&kit.worker, &owner);
        }
        pthread_join(other.thread, NULL);
        assert_non_null(mint->leaf);
        assert_ptr_equal(mint->leaf, other.leaf);
        assert_true(other.is_clean);
        assert_int_equal(minted(), i + 1);
        leaf_put(other.leaf);
        mint_drop(mint);
    }
    kit_end(&kit);
}

/* A wish that was let go is answered all the same, and what it was for is kept. */
static void a_dropped_wish_leaves_its_leaf_behind(void **state)
{
    (void)state;
    for (int inline_only = 0; inline_only < 2; inline_only++) {
        struct owner owner;
        struct mint *mint;
        struct kit kit;
        kit_begin(&kit, inline_only, 64);
        mint_drop(ask(&kit, &kit.worker, &owner, "dropped.example"));
        mint_drop(ask(&kit, &kit.worker, NULL, "not a name"));
        while (kit.worker.letters_expected) {
            worker_turn(&kit.worker);
        }
        assert_int_equal(owner.runs, 0);
        mint = ask(&kit, &kit.worker, &owner, "dropped.example");
        assert_true(mint->hit);
        mint_drop(mint);
        assert_int_equal(minted(), 2);
        kit_end(&kit);
    }
}

/* Every wish is answered, also those that nobody waits for any more. */
static void dropped_wishes_are_answered_before_the_end(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, false, 64);
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d.example", i / 2);
        mint_drop(ask(&kit, &kit.worker, NULL, name));
    }
    kit_end(&kit);
    assert_int_equal(minted(), 4);
}

/* Orders above the bound fail by letter; those below it are all served. */
static void the_queue_is_bounded(void **state)
{
    enum { MORE = 10, ALL = 1 + MINTER_QUEUE_MAX + MORE };
    static struct owner owner[ALL];
    static struct mint *mint[ALL];
    unsigned served = 0;
    struct kit kit;

    (void)state;
    kit_begin(&kit, false, 1 << 16);
    set_gate(true);
    for (unsigned i = 0; i < ALL; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%u.example", i);
        mint[i] = ask(&kit, &kit.worker, &owner[i], name);
        assert_non_null(mint[i]);
        assert_false(mint[i]->done);
        if (i == 0) {
            wait_for_minting(1); /* this one no longer waits */
        }
    }
    for (unsigned i = ALL - MORE; i < ALL; i++) {
        turn_until_run(&kit.worker, &owner[i]);
        assert_null(mint[i]->leaf);
    }
    set_gate(false);
    for (unsigned i = 0; i < ALL; i++) {
        turn_until_run(&kit.worker, &owner[i]);
        assert_int_equal(owner[i].runs, 1);
        served += mint[i]->leaf != NULL;
        mint_drop(mint[i]);
    }
    assert_int_equal(served, 1 + MINTER_QUEUE_MAX);
    assert_int_equal(minted(), 1 + MINTER_QUEUE_MAX);
    kit_end(&kit);
}

static void count_wake(struct leaf_waiter *waiter, struct leaf *leaf)
{
    (void)waiter;
    assert_null(leaf);
}

/* The cache refuses when too many are being minted: no wish is made, none is expected. */
static void a_refusal_of_the_cache_is_null(void **state)
{
    enum { PENDING_MAX = 1000 };
    static struct leaf_waiter waiter[PENDING_MAX];
    static char name[PENDING_MAX][32];
    enum leaf_answer answer = LEAF_YOURS;
    int64_t now_s = clock_wall_ns() / NS_PER_S;
    struct owner owner;
    struct kit kit;
    int count = 0;

    (void)state;
    kit_begin(&kit, false, 1);
    for (; answer == LEAF_YOURS; count++) {
        struct leaf *leaf;
        assert_true(count < PENDING_MAX);
        snprintf(name[count], sizeof(name[count]), "p%d.example", count);
        struct leaf_key key = make_key(name[count]);
        list_init(&waiter[count].link);
        waiter[count].wake = count_wake;
        answer = leaf_cache_get(kit.cache, &key, now_s, &waiter[count], &leaf);
    }
    assert_int_equal(answer, LEAF_REFUSED);
    assert_null(ask(&kit, &kit.worker, &owner, "more.example"));
    assert_int_equal(kit.worker.letters_expected, 0);
    assert_int_equal(minted(), 0);
    for (count -= 2; count >= 0; count--) {
        struct leaf_key key = make_key(name[count]);
        leaf_cache_fill(kit.cache, &key, NULL);
    }
    kit_end(&kit);
}

static void memory_that_ran_out_is_a_failure(void **state)
{
    struct minter_options options = {.ca = ca, .keys = keys};
    struct owner owner;
    struct mint *mint;
    struct kit kit;

    (void)state;
    kit_begin(&kit, false, 64);
    calls_until_failure = 0;
    assert_null(minter_new(&options));
    assert_null(ask(&kit, &kit.worker, &owner, "memory.example"));
    assert_int_equal(kit.worker.letters_expected, 0);
    calls_until_failure = 1; /* the wish, but not its order */
    mint = ask(&kit, &kit.worker, &owner, "memory.example");
    calls_until_failure = -1;
    assert_non_null(mint);
    turn_until_run(&kit.worker, &owner);
    assert_null(mint->leaf);
    assert_int_equal(minted(), 0);
    mint_drop(mint);
    mint = ask(&kit, &kit.worker, &owner, "memory.example");
    turn_until_run(&kit.worker, &owner);
    assert_non_null(mint->leaf);
    mint_drop(mint);
    kit_end(&kit);
}

/* What the order is made from is copied: the caller's bytes may go at once. */
static void the_question_is_copied(void **state)
{
    char name[] = "copied.example";
    struct leaf_key key = make_key(name);
    struct owner owner;
    struct mint *mint;
    struct kit kit;
    uint8_t *certificate;
    size_t len;

    (void)state;
    kit_begin(&kit, false, 64);
    /* Any certificate will do for a server's: the CA's own. */
    len = ca_certificate_der(ca).len;
    certificate = malloc(len);
    memcpy(certificate, ca_certificate_der(ca).data, len);
    set_gate(true);
    actor_init(&owner.actor, &kit.worker.ready, count_run);
    owner.runs = 0;
    mint = minter_ask(kit.minter, &kit.worker, &owner.actor, &key, false, DAYS,
                      span_make(certificate, len));
    memset(name, 'x', sizeof(name) - 1);
    memset(certificate, 0, len);
    free(certificate);
    set_gate(false);
    turn_until_run(&kit.worker, &owner);
    assert_non_null(mint->leaf);
    assert_non_null(
        memmem(leaf_der(mint->leaf).data, leaf_der(mint->leaf).len, "copied.example", 14));
    mint_drop(mint);
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_is_minted_and_then_found),
        cmocka_unit_test(without_a_thread_too),
        cmocka_unit_test(failure_is_told_and_not_kept),
        cmocka_unit_test(one_order_serves_both_workers),
        cmocka_unit_test(a_race_mints_each_name_once),
        cmocka_unit_test(a_dropped_wish_leaves_its_leaf_behind),
        cmocka_unit_test(dropped_wishes_are_answered_before_the_end),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(a_refusal_of_the_cache_is_null),
        cmocka_unit_test(memory_that_ran_out_is_a_failure),
        cmocka_unit_test(the_question_is_copied),
    };
    return cmocka_run_group_tests(tests, set_up_ca, tear_down_ca);
}
