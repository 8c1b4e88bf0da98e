/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doorman with real workers and rings. Its file is part of this program, so that a gate can
 * hold checks up, and what a password is can be said without bcrypt: "right" is right.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_closed;
static unsigned check_count; /* begun */

static bool gated_verify(const char *hash, const char *password);

static _Thread_local int calls_until_failure = -1; /* negative: memory is there */

static void *scarce_calloc(size_t count, size_t size)
{
    if (calls_until_failure == 0) {
        return NULL;
    }
    calls_until_failure -= calls_until_failure > 0;
    return calloc(count, size);
}

#include "core/engine/worker.h"

/* A sanitizer of threads does not see that the read of an eventfd, by io_uring, comes after its
 * write: posts hold this lock, and so does who is about to end a worker, for a moment. */
static pthread_mutex_t post_lock = PTHREAD_MUTEX_INITIALIZER;

static void locked_post(struct worker *worker, struct letter *letter)
{
    pthread_mutex_lock(&post_lock);
    worker_post(worker, letter);
    pthread_mutex_unlock(&post_lock);
}

#include "core/session/users.h"
#define users_verify gated_verify
#define worker_post  locked_post
#define calloc       scarce_calloc
#include "core/session/doorman.c"
#undef calloc
#undef worker_post
#undef users_verify

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

static bool gated_verify(const char *hash, const char *password)
{
    pthread_mutex_lock(&gate_lock);
    check_count++;
    pthread_cond_broadcast(&gate_moved);
    while (gate_closed) {
        pthread_cond_wait(&gate_moved, &gate_lock);
    }
    pthread_mutex_unlock(&gate_lock);
    return strlen(hash) == USER_HASH_LEN && strcmp(password, "right") == 0;
}

static void set_gate(bool closed)
{
    pthread_mutex_lock(&gate_lock);
    gate_closed = closed;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

static void wait_for_checks(unsigned count)
{
    pthread_mutex_lock(&gate_lock);
    while (check_count < count) {
        pthread_cond_wait(&gate_moved, &gate_lock);
    }
    pthread_mutex_unlock(&gate_lock);
}

static unsigned checked(void)
{
    unsigned count;

    pthread_mutex_lock(&gate_lock);
    count = check_count;
    pthread_mutex_unlock(&gate_lock);
    return count;
}

enum { TOO_LONG_S = 60 };

#define TAIL "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"

struct kit {
    struct worker worker;
    struct doorman *doorman;
    struct user_file *file;
    char path[64];
};

struct owner {
    struct actor actor;
    int runs;
};

static void count_run(struct actor *actor)
{
    CONTAINER_OF(actor, struct owner, actor)->runs++;
}

static void write_file(const struct kit *kit, const char *content)
{
    FILE *out = fopen(kit->path, "w");

    assert_non_null(out);
    fputs(content, out);
    fclose(out);
}

static void kit_begin(struct kit *kit, const char *content)
{
    const struct resolver_options resolver = {
        .timeout_ms = 1000, .cache_count = 16, .ttl_max_s = 60, .negative_ttl_s = 1};
    const struct worker_options options = {.conn_cap = 16,
                                           .dial_cap = 8,
                                           .idle_ns = 1,
                                           .buffer_high = 65536,
                                           .buffer_low = 16384,
                                           .resolver = &resolver};
    char error[512] = "";
    int fd;

    memset(kit, 0, sizeof(*kit));
    snprintf(kit->path, sizeof(kit->path), "/tmp/weir-test-doorman-XXXXXX");
    fd = mkstemp(kit->path);
    assert_true(fd >= 0);
    close(fd);
    write_file(kit, content);
    assert_int_equal(worker_init(&kit->worker, &options, error, sizeof(error)), 0);
    kit->doorman = doorman_new();
    assert_non_null(kit->doorman);
    kit->file = doorman_file_get(kit->doorman, kit->path, error, sizeof(error));
    assert_string_equal(error, "");
    assert_non_null(kit->file);
    check_count = 0;
    set_gate(false);
}

static void kit_end(struct kit *kit)
{
    while (kit->worker.letters_expected) {
        worker_turn(&kit->worker);
    }
    pthread_mutex_lock(&post_lock);
    pthread_mutex_unlock(&post_lock);
    assert_true(worker_fini(&kit->worker));
    doorman_file_put(kit->doorman, kit->file);
    doorman_free(kit->doorman);
    unlink(kit->path);
}

static enum user_answer ask(struct kit *kit, struct owner *owner, const char *name,
                            const char *password, struct user_check **check)
{
    owner->runs = 0;
    actor_init(&owner->actor, &kit->worker.ready, count_run);
    return user_check_ask(kit->doorman, kit->file, &kit->worker, &owner->actor,
                          span_from_string(name), span_from_string(password), check);
}

static void turn_until_run(struct kit *kit, struct owner *owner)
{
    int64_t end_ns = worker_now(&kit->worker) + TOO_LONG_S * NS_PER_S;

    while (owner->runs == 0) {
        worker_turn_within(&kit->worker, NS_PER_S);
        assert_true(worker_now(&kit->worker) < end_ns);
    }
}

/* The answer, waited for. */
static bool is_right(struct kit *kit, const char *name, const char *password)
{
    struct user_check *check;
    struct owner owner;
    enum user_answer answer = ask(kit, &owner, name, password, &check);
    bool right;

    if (answer != USER_CHECKING) {
        assert_null(check);
        assert_true(answer == USER_RIGHT || answer == USER_WRONG);
        return answer == USER_RIGHT;
    }
    assert_non_null(check);
    turn_until_run(kit, &owner);
    assert_true(check->done);
    right = check->is_right;
    user_check_drop(check);
    return right;
}

static void right_ones_are_remembered_and_wrong_ones_not(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL "bob:$2y$05$" TAIL);
    for (int i = 0; i < 3; i++) {
        assert_true(is_right(&kit, "anna", "right"));
        assert_int_equal(checked(), 1);
    }
    assert_true(is_right(&kit, "bob", "right")); /* not by anna's, though the hashes are the same */
    assert_int_equal(checked(), 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(is_right(&kit, "anna", "wrong"));
        assert_int_equal(checked(), 3 + i);
    }
    /* Somebody unknown costs a check, is never right, and never remembered as such. */
    for (unsigned i = 0; i < 3; i++) {
        assert_false(is_right(&kit, "nobody", "right"));
        assert_int_equal(checked(), 6 + i);
    }
    kit_end(&kit);
}

static void what_cannot_be_is_wrong_at_once(void **state)
{
    char long_text[USER_NAME_MAX + 2];
    struct owner owner;
    struct user_check *check;
    struct kit kit;

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    assert_int_equal(ask(&kit, &owner, long_text, "right", &check), USER_WRONG);
    assert_int_equal(ask(&kit, &owner, "anna", long_text, &check), USER_WRONG);
    assert_int_equal(user_check_ask(kit.doorman, kit.file, &kit.worker, &owner.actor,
                                    SPAN_LITERAL("anna"), SPAN_LITERAL("right\0"), &check),
                     USER_WRONG);
    assert_int_equal(checked(), 0);
    assert_false(is_right(&kit, long_text + 1, long_text + 1)); /* as long as may be */
    assert_int_equal(checked(), 1);
    kit_end(&kit);
}

static void nobody_in_the_file_is_wrong_at_once(void **state)
{
    struct kit kit;

    (void)state;
    kit_begin(&kit, "# nobody\n");
    assert_false(is_right(&kit, "anna", "right"));
    assert_int_equal(checked(), 0);
    kit_end(&kit);
}

static void one_check_serves_all_who_wait(void **state)
{
    enum { ALL = 20 };
    struct user_check *check[ALL];
    struct owner owner[ALL];
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    set_gate(true);
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(ask(&kit, &owner[i], "anna", "right", &check[i]), USER_CHECKING);
        if (i == 0) {
            wait_for_checks(1);
        }
    }
    user_check_drop(check[ALL - 1]);
    assert_int_equal(kit.worker.letters_expected, ALL - 1);
    set_gate(false);
    for (int i = 0; i < ALL - 1; i++) {
        turn_until_run(&kit, &owner[i]);
        assert_true(check[i]->is_right);
        user_check_drop(check[i]);
    }
    assert_int_equal(checked(), 1);
    assert_int_equal(owner[ALL - 1].runs, 0); /* who dropped is not disturbed */
    kit_end(&kit);
}

static void the_queue_is_bounded_and_shrinks_with_drops(void **state)
{
    enum { ALL = 1 + DOORMAN_QUEUE_MAX };
    static struct user_check *check[ALL + 1];
    static struct owner owner[ALL + 1];
    char password[16];
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    set_gate(true);
    for (int i = 0; i < ALL; i++) {
        snprintf(password, sizeof(password), "wrong %d", i);
        assert_int_equal(ask(&kit, &owner[i], "anna", password, &check[i]), USER_CHECKING);
        if (i == 0) {
            wait_for_checks(1); /* this one no longer waits */
        }
    }
    assert_int_equal(ask(&kit, &owner[ALL], "anna", "more", &check[ALL]), USER_BUSY);
    assert_null(check[ALL]);
    /* Who asks what somebody else asks needs no place. */
    assert_int_equal(ask(&kit, &owner[ALL], "anna", "wrong 1", &check[ALL]), USER_CHECKING);
    user_check_drop(check[ALL]);
    user_check_drop(check[1]);
    assert_int_equal(ask(&kit, &owner[ALL], "anna", "more", &check[ALL]), USER_CHECKING);
    /* All leave: nothing is checked for nobody. */
    for (int i = 0; i <= ALL; i++) {
        if (i != 1) {
            user_check_drop(check[i]);
        }
    }
    assert_int_equal(kit.worker.letters_expected, 0);
    set_gate(false);
    kit_end(&kit);
    assert_int_equal(checked(), 1);
}

/* The end comes while one is being checked and others wait, all dropped but one. */
static void the_end_waits_for_what_is_wanted(void **state)
{
    struct user_check *check[3];
    struct owner owner[3];
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    set_gate(true);
    ask(&kit, &owner[0], "anna", "1", &check[0]);
    wait_for_checks(1);
    ask(&kit, &owner[1], "anna", "right", &check[1]);
    ask(&kit, &owner[2], "anna", "3", &check[2]);
    user_check_drop(check[0]);
    user_check_drop(check[2]);
    set_gate(false);
    turn_until_run(&kit, &owner[1]);
    assert_true(check[1]->is_right);
    user_check_drop(check[1]);
    kit_end(&kit);
    assert_int_equal(checked(), 2);
}

/* Dropped when the letter is on its way: it frees the check. */
static void a_letter_may_find_nobody(void **state)
{
    struct user_check *check;
    struct owner owner;
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    ask(&kit, &owner, "anna", "right", &check);
    for (bool posted = false; !posted;) {
        pthread_mutex_lock(&kit.doorman->lock);
        posted = check->is_posted;
        pthread_mutex_unlock(&kit.doorman->lock);
    }
    user_check_drop(check);
    assert_int_equal(kit.worker.letters_expected, 1);
    kit_end(&kit);
    assert_int_equal(owner.runs, 0);
}

static void a_changed_file_is_felt_by_those_it_is_about(void **state)
{
    uint64_t generation;
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL "bob:$2y$05$" TAIL "eve:$2y$05$" TAIL);
    assert_true(is_right(&kit, "anna", "right") && is_right(&kit, "bob", "right") &&
                is_right(&kit, "eve", "right"));
    assert_int_equal(checked(), 3);
    generation = user_file_generation(kit.file);
    doorman_look_at_files(kit.doorman);
    assert_int_equal(user_file_generation(kit.file), generation); /* nothing to see */
    write_file(&kit, "anna:$2y$05$" TAIL "eve:$2y$06$" TAIL);
    assert_true(is_right(&kit, "bob", "right")); /* nobody has looked yet */
    doorman_look_at_files(kit.doorman);
    assert_true(user_file_generation(kit.file) > generation);
    assert_int_equal(checked(), 3);
    assert_true(is_right(&kit, "anna", "right"));
    assert_int_equal(checked(), 3); /* still known */
    assert_false(is_right(&kit, "bob", "right"));
    assert_int_equal(checked(), 4); /* a decoy's */
    assert_true(is_right(&kit, "eve", "right"));
    assert_int_equal(checked(), 5); /* another hash */

    /* What cannot be used changes nothing. */
    generation = user_file_generation(kit.file);
    write_file(&kit, "anna:plain\n");
    doorman_look_at_files(kit.doorman);
    unlink(kit.path);
    doorman_look_at_files(kit.doorman);
    assert_int_equal(user_file_generation(kit.file), generation);
    assert_true(is_right(&kit, "anna", "right"));
    assert_int_equal(checked(), 5);
    kit_end(&kit);
}

static void files_are_shared_and_counted(void **state)
{
    struct user_file *second;
    char error[512] = "";
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    second = doorman_file_get(kit.doorman, kit.path, error, sizeof(error));
    assert_ptr_equal(second, kit.file);
    assert_int_equal(user_file_generation(second), 2); /* read again */
    doorman_file_put(kit.doorman, second);
    assert_true(doorman_has_files(kit.doorman));
    assert_null(doorman_file_get(kit.doorman, "/nowhere/users", error, sizeof(error)));
    assert_non_null(strstr(error, "/nowhere/users: cannot be read: No such file"));
    assert_null(doorman_file_get(kit.doorman, "/tmp", error, sizeof(error)));
    assert_non_null(strstr(error, "/tmp: not a regular file"));
    write_file(&kit, "anna\n");
    assert_null(doorman_file_get(kit.doorman, kit.path, error, sizeof(error)));
    assert_non_null(strstr(error, "1 line is wrong"));
    assert_int_equal(kit.doorman->file_count, 1);
    kit_end(&kit);
}

static void files_are_bounded(void **state)
{
    static struct user_file *file[DOORMAN_FILES_MAX];
    char error[512] = "";
    char path[128];
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    log_set_level(LOG_ERROR);
    for (int i = 1; i <= DOORMAN_FILES_MAX; i++) {
        /* The same file by another path. */
        size_t len = (size_t)snprintf(path, sizeof(path), "/tmp");
        for (int bit = 0; bit < 11; bit++) {
            len += (size_t)snprintf(path + len, sizeof(path) - len, i >> bit & 1 ? "/." : "/");
        }
        snprintf(path + len, sizeof(path) - len, "%s", kit.path + strlen("/tmp"));
        struct user_file *got = doorman_file_get(kit.doorman, path, error, sizeof(error));
        assert_int_equal(got != NULL, i < DOORMAN_FILES_MAX);
        file[i - 1] = got;
    }
    assert_non_null(strstr(error, "more than 1024 files"));
    for (int i = 1; i < DOORMAN_FILES_MAX; i++) {
        doorman_file_put(kit.doorman, file[i - 1]);
    }
    assert_int_equal(kit.doorman->file_count, 1);
    kit_end(&kit);
}

static void memory_ends(void **state)
{
    const int64_t later_ns = 4 * DOORMAN_REMEMBERED_S * NS_PER_S;
    uint8_t digest[DIGEST_LEN];
    struct remembered *set;
    struct kit kit;
    int kept = 0;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    memset(digest, 7, sizeof(digest));
    set = set_of(kit.doorman, digest);
    remember(kit.doorman, digest, 1);
    assert_true(is_remembered(kit.doorman, digest, DOORMAN_REMEMBERED_S * NS_PER_S));
    /* Since it was last used. */
    assert_true(is_remembered(kit.doorman, digest, DOORMAN_REMEMBERED_S * NS_PER_S * 2 - 1));
    assert_false(is_remembered(kit.doorman, digest, DOORMAN_REMEMBERED_S * NS_PER_S * 3));
    /* A place is taken by the newest; its set holds no more than WAYS. */
    for (uint8_t i = 0; i < 2 * WAYS; i++) {
        digest[31] = i;
        remember(kit.doorman, digest, later_ns + i);
        assert_ptr_equal(set_of(kit.doorman, digest), set);
    }
    for (uint8_t i = 0; i < 2 * WAYS; i++) {
        digest[31] = i;
        kept += is_remembered(kit.doorman, digest, later_ns + 100);
    }
    assert_int_equal(kept, WAYS);
    kit_end(&kit);
}

static void memory_that_ran_out_is_said(void **state)
{
    struct user_check *check;
    struct owner owner;
    char error[512] = "";
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    calls_until_failure = 0;
    assert_null(doorman_new());
    assert_null(doorman_file_get(kit.doorman, "/tmp/other", error, sizeof(error)));
    for (int calls = 0; calls < 2; calls++) { /* the order, the check */
        calls_until_failure = calls;
        assert_int_equal(ask(&kit, &owner, "anna", "right", &check), USER_BUSY);
        assert_null(check);
    }
    calls_until_failure = -1;
    assert_int_equal(kit.worker.letters_expected, 0);
    assert_true(is_right(&kit, "anna", "right"));
    assert_int_equal(checked(), 1);
    kit_end(&kit);
}

static void digests_tell_credentials_apart(void **state)
{
    static const char *const rows[][2] = {
        {"a", "b"}, {"ab", ""}, {"", "ab"}, {"a", "c"}, {"b", "b"}};
    uint8_t digest[COUNT_OF(rows)][DIGEST_LEN];
    struct kit kit;

    (void)state;
    kit_begin(&kit, "anna:$2y$05$" TAIL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        doorman_digest(kit.doorman, digest[i], span_from_string(rows[i][0]),
                       span_from_string(rows[i][1]));
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(digest[i], digest[j], DIGEST_LEN);
        }
    }
    kit_end(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_ones_are_remembered_and_wrong_ones_not),
        cmocka_unit_test(what_cannot_be_is_wrong_at_once),
        cmocka_unit_test(nobody_in_the_file_is_wrong_at_once),
        cmocka_unit_test(one_check_serves_all_who_wait),
        cmocka_unit_test(the_queue_is_bounded_and_shrinks_with_drops),
        cmocka_unit_test(the_end_waits_for_what_is_wanted),
        cmocka_unit_test(a_letter_may_find_nobody),
        cmocka_unit_test(a_changed_file_is_felt_by_those_it_is_about),
        cmocka_unit_test(files_are_shared_and_counted),
        cmocka_unit_test(files_are_bounded),
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(memory_that_ran_out_is_said),
        cmocka_unit_test(digests_tell_credentials_apart),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
