/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile server's certificates. The input is a chain, each certificate behind two bytes of its
 * length, after one byte of flags. The flags choose: the name, whether it is an address, and
 * whether bytes of the input are taken as they are or laid over a good chain at an offset, which
 * reaches behind the outer layers of the encoding at once.
 *
 * Whatever comes in: the answer is a class with a printable sentence, the same twice, and never
 * VERIFY_OK unless the chain is the good one.
 */
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "tests/certs/make_certs.h"
#include "tls/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GOOD_MAX = 4096, CHAIN_ROOM = 20, FLAG_ADDRESS = 1, FLAG_OVERLAY = 2, FLAG_OTHER_NAME = 4 };

static struct trust *trust;
static int64_t now_s;
static uint8_t good[2][GOOD_MAX];
static size_t good_len[2];

static void set_up(void)
{
    static const char *const extensions[] = {"basicConstraints", "critical,CA:TRUE",
                                             "nameConstraints",
                                             "critical,permitted;DNS:example.test", NULL};
    char path[] = "/tmp/weir-fuzz-XXXXXX";
    const char *const files[] = {path};
    struct cert *root = cert_make_ca("fuzz root");
    struct cert_spec spec = {.common_name = "middle", .issuer = root, .extensions = extensions};
    struct cert *middle = cert_make(&spec);
    struct cert *leaf =
        cert_make_leaf(middle, "example.test", "DNS:example.test,DNS:*.example.test");
    const struct cert *chain[] = {leaf, middle};
    char error[256];
    int fd = mkstemp(path);

    ASSERT(fd >= 0);
    close(fd);
    cert_write_pem(root, path, false);
    trust = trust_new(false, files, 1, cert_der(middle), error, sizeof(error));
    ASSERT(trust);
    trust_put(trust);
    trust = trust_new(false, files, 1, span_make(NULL, 0), error, sizeof(error));
    ASSERT(trust);
    for (int i = 0; i < 2; i++) {
        struct span der = cert_der(chain[i]);
        ASSERT(der.len <= GOOD_MAX);
        memcpy(good[i], der.data, der.len);
        good_len[i] = der.len;
    }
    unlink(path);
    cert_free(leaf);
    cert_free(middle);
    cert_free(root);
    now_s = clock_wall_ns() / NS_PER_S;
}

static bool is_good(const struct span *chain, size_t count)
{
    return count >= 2 && span_equal(chain[0], span_make(good[0], good_len[0]));
}

static void check(const struct span *chain, size_t count, uint8_t flags)
{
    struct span name =
        flags & FLAG_OTHER_NAME ? SPAN_LITERAL("other.test") : SPAN_LITERAL("example.test");
    bool is_ip = flags & FLAG_ADDRESS;
    struct verify_fault fault;
    struct verify_fault again;

    verify_chain(trust, chain, count, name, is_ip, now_s, &fault);
    verify_chain(trust, chain, count, name, is_ip, now_s, &again);
    ASSERT(fault.class < VERIFY_CLASS_COUNT && fault.class == again.class);
    ASSERT(strcmp(fault.text, again.text) == 0);
    ASSERT((fault.class == VERIFY_OK) == (fault.text[0] == '\0'));
    for (const char *c = fault.text; *c; c++) {
        ASSERT(*c >= 0x20 && *c < 0x7f);
    }
    ASSERT(fault.class != VERIFY_OK || (is_good(chain, count) && !is_ip));
}

/* Two bytes of offset, then what is laid over leaf or intermediate from there. */
static void check_overlay(const uint8_t *data, size_t size, uint8_t flags)
{
    uint8_t changed[2][GOOD_MAX];
    struct span chain[2];
    size_t which;
    size_t at;

    memcpy(changed, good, sizeof(changed));
    for (int i = 0; i < 2; i++) {
        chain[i] = span_make(changed[i], good_len[i]);
    }
    if (size >= 2) {
        which = data[0] >> 7;
        at = ((size_t)(data[0] & 0x7f) << 8 | data[1]) % good_len[which];
        for (size_t i = 2; i < size && at < good_len[which]; i++) {
            changed[which][at++] = data[i];
        }
    }
    check(chain, 2, flags);
}

static void check_chain(const uint8_t *data, size_t size, uint8_t flags)
{
    struct span chain[CHAIN_ROOM];
    size_t count = 0;

    while (size >= 2 && count < CHAIN_ROOM) {
        size_t len = (size_t)data[0] << 8 | data[1];
        if (len > size - 2) {
            len = size - 2;
        }
        chain[count++] = span_make(data + 2, len);
        data += 2 + len;
        size -= 2 + len;
    }
    check(chain, count, flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!trust) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    if (data[0] & FLAG_OVERLAY) {
        check_overlay(data + 1, size - 1, data[0]);
    } else {
        check_chain(data + 1, size - 1, data[0]);
    }
    return 0;
}
