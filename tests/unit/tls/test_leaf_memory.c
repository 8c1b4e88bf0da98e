/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ca, leaf and leaf_cache do when memory runs out: each allocation of an operation fails in
 * turn, alone and with all that follow, the TLS library's own ones too. The operation must then
 * fail with a sentence, or get by, and leave nothing behind.
 */
#include "core/base/log.h"
#include "leaf_kit.h"
#include "tls/leaf_cache.h"

#include <errno.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void)
{
    printf("a sanitizer has the heap: skipped\n");
    return 0;
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *pointer);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void free(void *pointer);

static bool armed;
static long countdown;  /* allocations that still succeed */
static bool fails_once; /* or from there on */
static bool has_failed;
static long live_count;

/* Later revisions of the library use one block of a name, its cache, without a look at whether they
 * got it (x509_name_get_cache(), seen at API 43). Blocks of its size are spared there. */
static bool is_spared(size_t size)
{
    enum { NAME_CACHE_BYTES = 32, ITS_HEADER_BYTES = 8 };

    return BORINGSSL_API_VERSION > 17 && size == NAME_CACHE_BYTES + ITS_HEADER_BYTES;
}

static bool is_failing(void)
{
    if (!armed || countdown-- > 0 || (fails_once && has_failed)) {
        return false;
    }
    has_failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *pointer)
{
    live_count += pointer != NULL;
    return pointer;
}

void *malloc(size_t size)
{
    return !is_spared(size) && is_failing() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return is_failing() ? NULL : counted(__libc_calloc(count, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return is_failing() ? NULL : counted(__libc_memalign(alignment, size));
}

void *realloc(void *old, size_t size)
{
    void *now;

    if (is_failing()) {
        return NULL;
    }
    now = __libc_realloc(old, size);
    live_count += !old && now;
    return now;
}

void free(void *pointer)
{
    live_count -= pointer != NULL;
    __libc_free(pointer);
}

/* ---- operations: true when all went well; on failure `error` says why ---- */

static char error[512];
static char folder[64];

static bool mint_ecdsa(void)
{
    struct leaf_request request = {.asked_name = SPAN_LITERAL("host.example"),
                                   .kind = LEAF_ECDSA,
                                   .now_s = kit_now,
                                   .days = 30};
    struct leaf *leaf =
        leaf_mint(authorities[AUTHORITY_P256].ca, keys, &request, error, sizeof(error));

    if (leaf) {
        leaf_put(leaf);
    }
    return leaf != NULL;
}

static bool mint_by_rsa(void)
{
    struct leaf_request request = {
        .asked_name = SPAN_LITERAL("host.example"), .kind = LEAF_RSA, .now_s = kit_now, .days = 30};
    struct leaf *leaf =
        leaf_mint(authorities[AUTHORITY_RSA].ca, keys, &request, error, sizeof(error));

    if (leaf) {
        leaf_put(leaf);
    }
    return leaf != NULL;
}

static bool make_keys(void)
{
    struct leaf_keys *made = leaf_keys_new();

    leaf_keys_free(made);
    snprintf(error, sizeof(error), "no keys");
    return made != NULL;
}

static bool load_ca(void)
{
    bool created;
    struct ca *ca = ca_open(folder, kit_now, &created, error, sizeof(error));

    ca_free(ca);
    return ca != NULL;
}

static bool make_ca(void)
{
    static const char *const names[] = {"weir-ca.pem", "weir-ca-cert.pem", "weir-ca-cert.cer",
                                        "weir-ca-cert.p12"};
    bool done;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    done = load_ca();
    return done;
}

static int wakes;

static void on_wake(struct leaf_waiter *waiter, struct leaf *leaf)
{
    (void)waiter;
    wakes++;
    if (leaf) {
        leaf_put(leaf);
    }
}

static bool use_cache(void)
{
    struct leaf_cache *cache = leaf_cache_new(10);
    struct leaf_key key = {.asked_name = SPAN_LITERAL("host.example"), .kind = LEAF_ECDSA};
    struct leaf_waiter waiter = {.wake = on_wake};
    enum leaf_answer answer;
    struct leaf *leaf;

    snprintf(error, sizeof(error), "no cache");
    if (!cache) {
        return false;
    }
    wakes = 0;
    answer = leaf_cache_get(cache, &key, kit_now, &waiter, &leaf);
    if (answer == LEAF_YOURS) {
        leaf_cache_fill(cache, &key, NULL);
    }
    leaf_cache_free(cache);
    return answer == LEAF_YOURS && wakes == 1;
}

/* Fails the first, the second, ... allocation until the operation needs no more of them. */
static int sweep(bool (*operation)(void), bool once)
{
    int count = 0;
    bool going = true;

    while (going) {
        bool done;

        assert_true(count < 20000);
        error[0] = '\0';
        countdown = count++;
        fails_once = once;
        has_failed = false;
        armed = true;
        done = operation();
        armed = false;
        assert_true(done || error[0]);
        assert_true(done || has_failed);
        going = has_failed;
    }
    return count - 1;
}

/* The first round fills what libraries keep for later; after it nothing may be left behind. */
static void check(bool (*operation)(void))
{
    int count = 0;
    long before = 0;

    for (int round = 0; round < 3; round++) {
        before = live_count;
        assert_true(operation());
        count = sweep(operation, true);
        sweep(operation, false);
    }
    assert_int_equal(live_count, before);
    assert_true(count > 0);
}

static void minting_survives_the_end_of_memory(void **state)
{
    (void)state;
    check(mint_ecdsa);
    check(mint_by_rsa);
}

static void making_keys_survives_the_end_of_memory(void **state)
{
    (void)state;
    check(make_keys);
}

static void the_ca_survives_the_end_of_memory(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR); /* public files that cannot be written are warned of */
    kit_make_folder(folder);
    check(make_ca);
    check(load_ca);
    kit_remove_folder(folder);
}

static void the_cache_survives_the_end_of_memory(void **state)
{
    (void)state;
    check(use_cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minting_survives_the_end_of_memory),
        cmocka_unit_test(making_keys_survives_the_end_of_memory),
        cmocka_unit_test(the_ca_survives_the_end_of_memory),
        cmocka_unit_test(the_cache_survives_the_end_of_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

#endif
