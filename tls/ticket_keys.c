/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/ticket_keys.h"

#include "core/base/base64.h"
#include "tls/ticket_private.h"

#include <openssl/cipher.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_COUNT = 3, CURRENT = 1, NAME_LEN = 16, SECRET_LEN = 32, IV_LEN = 16 };

struct ticket_key {
    uint8_t name[NAME_LEN];
    uint8_t aes[SECRET_LEN];
    uint8_t hmac[SECRET_LEN];
};

_Static_assert(sizeof(struct ticket_key) == 80, "a line of the file");

struct ticket_keys {
    _Atomic uint32_t references;
    pthread_mutex_t lock; /* held for a copy */
    struct ticket_key list[KEY_COUNT];
};

/* ---- the file ---- */

static bool read_line(struct ticket_key list[KEY_COUNT], size_t count, struct span line,
                      const char **what)
{
    size_t len;

    if (count == KEY_COUNT) {
        *what = "a fourth key";
        return false;
    }
    if (!base64_decode(line, (uint8_t *)&list[count], sizeof(list[count]), &len) ||
        len != sizeof(list[count])) {
        *what = "no key: expected 80 bytes in base64";
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (memcmp(list[i].name, list[count].name, NAME_LEN) == 0) {
            *what = "a key with the name (the first 16 bytes) of one above";
            return false;
        }
    }
    return true;
}

static bool parse(struct ticket_key list[KEY_COUNT], struct span content, const char *path,
                  char *error, size_t error_cap)
{
    static const char mend[] = "previous, current and next, one a line, each made with "
                               "openssl rand -base64 80 | tr -d '\\n'";
    const char *what = NULL;
    unsigned number = 0;
    size_t count = 0;

    if (content.len > TICKET_KEYS_FILE_MAX) {
        snprintf(error, error_cap, "%s: more than 4 KiB: expected three keys, %s", path, mend);
        return false;
    }
    while (content.len) {
        size_t end = span_find(content, '\n');
        struct span line = span_sub(content, 0, end);
        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }
        line = span_trim(line);
        number++;
        content = span_skip(content, end + 1);
        if (line.len && line.data[0] != '#' && !read_line(list, count++, line, &what)) {
            snprintf(error, error_cap, "%s:%u: error: %s; the file has three, %s", path, number,
                     what, mend);
            return false;
        }
    }
    if (count != KEY_COUNT) {
        snprintf(error, error_cap, "%s: %zu key%s: expected three, %s", path, count,
                 count == 1 ? "" : "s", mend);
        return false;
    }
    return true;
}

struct ticket_keys *ticket_keys_new(struct span content, const char *path, char *error,
                                    size_t error_cap)
{
    struct ticket_keys *keys = calloc(1, sizeof(*keys));

    if (!keys) {
        snprintf(error, error_cap, "%s: out of memory", path);
        return NULL;
    }
    atomic_init(&keys->references, 1);
    pthread_mutex_init(&keys->lock, NULL);
    if (!parse(keys->list, content, path, error, error_cap)) {
        ticket_keys_put(keys);
        return NULL;
    }
    return keys;
}

struct ticket_keys *ticket_keys_get(struct ticket_keys *keys)
{
    atomic_fetch_add_explicit(&keys->references, 1, memory_order_relaxed);
    return keys;
}

void ticket_keys_put(struct ticket_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys->list, sizeof(keys->list));
    free(keys);
}

bool ticket_keys_replace(struct ticket_keys *keys, struct span content, const char *path,
                         char *error, size_t error_cap)
{
    struct ticket_key list[KEY_COUNT];
    bool good = parse(list, content, path, error, error_cap);

    if (good) {
        pthread_mutex_lock(&keys->lock);
        memcpy(keys->list, list, sizeof(list));
        pthread_mutex_unlock(&keys->lock);
    }
    OPENSSL_cleanse(list, sizeof(list));
    return good;
}

/* ---- tickets ---- */

static struct ticket_key current_key(struct ticket_keys *keys)
{
    struct ticket_key key;

    pthread_mutex_lock(&keys->lock);
    key = keys->list[CURRENT];
    pthread_mutex_unlock(&keys->lock);
    return key;
}

/* The key of that name: its place, or KEY_COUNT. */
static size_t find_key(struct ticket_keys *keys, const uint8_t name[NAME_LEN],
                       struct ticket_key *key)
{
    size_t i = 0;

    pthread_mutex_lock(&keys->lock);
    while (i < KEY_COUNT && memcmp(keys->list[i].name, name, NAME_LEN) != 0) {
        i++;
    }
    if (i < KEY_COUNT) {
        *key = keys->list[i];
    }
    pthread_mutex_unlock(&keys->lock);
    return i;
}

/* Sealing: 1, or -1 when it cannot be done. Opening: 0 for a ticket that is not ours, 1 for one of
 * the current key, 2 for one that is to be renewed. */
static int on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac,
                     int is_sealing)
{
    struct ticket_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key key;
    int result = 1;
    bool good;

    if (is_sealing) {
        key = current_key(keys);
        memcpy(name, key.name, NAME_LEN);
        RAND_bytes(iv, IV_LEN);
    } else {
        size_t place = find_key(keys, name, &key);
        if (place == KEY_COUNT) {
            return 0;
        }
        result = place == CURRENT ? 1 : 2;
    }
    good = HMAC_Init_ex(hmac, key.hmac, sizeof(key.hmac), EVP_sha256(), NULL) &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv, is_sealing);
    OPENSSL_cleanse(&key, sizeof(key));
    return good ? result : -1;
}

bool ticket_keys_install(struct ticket_keys *keys, SSL_CTX *accept)
{
    return SSL_CTX_set_app_data(accept, keys) &&
           SSL_CTX_set_tlsext_ticket_key_cb(accept, on_ticket);
}
