/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/database_digest.h"

#include "core/base/hash.h"

/* One that is in all parts is digested once: each line of a part is digested with what came before
 * it in all parts, so that their order counts as well. */
struct folder {
    uint64_t *parts;
    size_t count;
    uint64_t all;
};

static uint64_t fold(uint64_t digest, uint64_t value)
{
    const uint64_t pair[] = {digest, value};
    return hash_bytes(span_make(pair, sizeof(pair)));
}

static uint64_t digest_record(const struct record *record)
{
    return fold(record->digest, (uint64_t)record->captured_day);
}

static void begin(struct folder *folder, uint64_t *parts, size_t count, uint64_t start)
{
    *folder = (struct folder){parts, count, start};
    for (size_t i = 0; i < count; i++) {
        parts[i] = start;
    }
}

static void add(struct folder *folder, uint64_t part, uint64_t record)
{
    uint64_t *digest = &folder->parts[part % folder->count];
    *digest = fold(fold(*digest, folder->all), record);
}

static void add_to_all(struct folder *folder, uint64_t record)
{
    folder->all = fold(folder->all, record);
}

static void finish(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        folder->parts[i] = fold(folder->parts[i], folder->all);
    }
}

static uint64_t name_part(int64_t browser)
{
    return (uint64_t)browser % DIGEST_NAME_PARTS;
}

/* Versions of a browser on a system lie in neighbouring parts. */
static uint64_t browser_part(int64_t browser, int64_t platform, int64_t os, int64_t device,
                             int64_t major)
{
    const int64_t key[] = {browser, platform, os, device};
    return hash_bytes(span_make(key, sizeof(key))) + (uint64_t)major;
}

/* Lines of a part by version are digested with those before them in the part by name, too. */
static void add_browser(struct folder *folder, struct folder *names, const struct record *record)
{
    const struct ua_signature *ua = &record->ua;
    uint64_t digest = digest_record(record);
    uint64_t min = (uint64_t)ua->browser_version.min.major;
    uint64_t count = (uint64_t)ua->browser_version.max.major - min;
    bool is_bounded = ua->browser_version.min.major != UA_VERSION_ANY &&
                      ua->browser_version.max.major != UA_VERSION_ANY &&
                      ua->browser_version.min.major <= ua->browser_version.max.major;

    if (!ua->browser) {
        add_to_all(folder, digest);
        add_to_all(names, digest);
        return;
    }
    if (!ua->platform || !ua->os || !ua->device || !is_bounded || count >= DIGEST_PARTS) {
        add(names, name_part(ua->browser), digest);
        return;
    }
    digest = fold(digest, names->parts[name_part(ua->browser)]);
    for (uint64_t i = 0; i <= count; i++) {
        add(folder, browser_part(ua->browser, ua->platform, ua->os, ua->device, 0) + min + i,
            digest);
    }
}

static uint64_t cipher_part(const uint16_t *items, size_t count)
{
    return hash_bytes(span_make(items, count * sizeof(*items)));
}

static void add_product(struct folder *folder, const struct record *record)
{
    const struct list_signature *ciphers =
        request_signature_list(&record->request, REQUEST_CIPHERS);

    if (list_signature_is_exact(ciphers)) {
        add(folder, cipher_part(ciphers->items, ciphers->ordered_count), digest_record(record));
    } else {
        add_to_all(folder, digest_record(record));
    }
}

void database_digest_make(struct database_digest *digest, const struct record_list *browsers,
                          const struct record_list *products, uint64_t common)
{
    struct folder folder, names;

    begin(&folder, digest->browsers, DIGEST_PARTS, fold(common, 1));
    begin(&names, digest->names, DIGEST_NAME_PARTS, fold(common, 2));
    for (size_t i = 0; i < browsers->count; i++) {
        add_browser(&folder, &names, &browsers->items[i]);
    }
    finish(&folder);
    finish(&names);
    begin(&folder, digest->products, DIGEST_PARTS, fold(common, 3));
    for (size_t i = 0; i < products->count; i++) {
        add_product(&folder, &products->items[i]);
    }
    finish(&folder);
    digest->products[DIGEST_NO_PRODUCTS] = 0;
    memset(digest->newest, 0, sizeof(digest->newest));
}

void database_digest_add_newest(struct database_digest *digest, int64_t browser, int64_t major)
{
    uint64_t *newest = &digest->newest[name_part(browser)];
    *newest = fold(fold(*newest, (uint64_t)browser), (uint64_t)major);
}

struct digest_part database_digest_part(const struct ua_fingerprint *ua,
                                        const struct number_list *ciphers)
{
    struct digest_part part = {.newest = DIGEST_NO_NEWEST, .products = DIGEST_NO_PRODUCTS};

    part.browsers = (uint8_t)(browser_part(ua->browser, ua->platform, ua->os, ua->device,
                                           ua->browser_version.major) %
                              DIGEST_PARTS);
    part.names = (uint8_t)name_part(ua->browser);
    if (ciphers) {
        part.newest = part.names;
        part.products = (uint16_t)(cipher_part(ciphers->items, ciphers->count) % DIGEST_PARTS);
    }
    return part;
}

bool database_digest_equal(const struct database_digest *a, const struct database_digest *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
