/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes are a file of users, or of ticket keys, or told to be wrong; never both. Who is in the
 * file is found by name, and whoever is not has a decoy. What is base64 decodes to what it must.
 */
#include "core/base/base64.h"
#include "core/session/users.h"
#include "tls/ticket_keys.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_for_users(const struct users *users, struct span content)
{
    size_t found = 0;

    while (content.len) {
        struct span line = span_sub(content, 0, span_find(content, '\n'));
        struct span name = span_sub(line, 0, span_find(line, ':'));
        const char *hash = users_find(users, name);
        content = span_skip(content, line.len + 1);
        found += hash != NULL && line.data[0] != '#';
        ASSERT(!hash || strlen(hash) == USER_HASH_LEN);
        ASSERT((users_decoy(users, name) != NULL) == (users_count(users) != 0));
    }
    ASSERT(found >= users_count(users));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    struct span content = span_make(data, size);
    struct ticket_keys *keys;
    struct users *users;
    char error[512] = "";
    uint8_t *memory;
    size_t len;

    if (!nowhere) {
        nowhere = fopen("/dev/null", "w");
        ASSERT(nowhere != NULL);
    }
    users = users_parse(content, "users", nowhere, error, sizeof(error));
    ASSERT((users == NULL) == (error[0] != '\0'));
    if (users) {
        look_for_users(users, content);
    }
    users_free(users);
    error[0] = '\0';
    keys = ticket_keys_new(content, "keys", error, sizeof(error));
    ASSERT((keys == NULL) == (error[0] != '\0'));
    ticket_keys_put(keys);
    memory = malloc(base64_room(size) + 1);
    if (memory && base64_decode(content, memory, base64_room(size), &len)) {
        ASSERT(size == 0 || (len > size / 4 * 3 - 3 && len <= base64_room(size)));
    }
    free(memory);
    return 0;
}
