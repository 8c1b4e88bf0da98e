/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session/users.h"

#include "core/base/hash.h"
#include "core/base/table.h"
#include "core/base/text.h"
#include "tls/digest.h"

#include <crypt.h>
#include <stdlib.h>

struct user {
    struct table_node node;
    struct span name; /* of the set's copy of the file */
    uint32_t line;
    char hash[USER_HASH_LEN + 1];
};

struct users {
    struct table table;
    struct user *rows; /* array */
    size_t count;
    size_t cap;
    uint8_t *content; /* a copy of the file: names point into it */
};

/* One reading of a file. */
struct reading {
    struct users *users;
    const char *path;
    FILE *out;
    uint32_t line;   /* from one */
    uint32_t faults; /* all of them, also those that are not told */
};

static void complain(struct reading *r, const char *what, struct span shown, const char *mend)
{
    char memory[256];
    struct text name = text_make(memory, sizeof(memory));

    if (++r->faults > USERS_FAULTS_MAX) {
        return;
    }
    text_escaped(&name, span_sub(shown, 0, 32)); /* 32 bytes are 192 at most */
    fprintf(r->out, "%s:%u: error: %s%s%.*s%s: %s\n", r->path, r->line, what,
            shown.len ? " \"" : "", (int)name.len, name.data, shown.len ? "\"" : "", mend);
}

static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f) {
            return false;
        }
    }
    return name.len > 0 && name.len <= USER_NAME_MAX;
}

static bool is_hash_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '/';
}

/* $2y$10$ and 53 characters. */
static bool is_bcrypt(struct span hash)
{
    const uint8_t *h = hash.data;

    if (hash.len != USER_HASH_LEN || h[0] != '$' || h[1] != '2' ||
        (h[2] != 'y' && h[2] != 'a' && h[2] != 'b') || h[3] != '$' || h[4] < '0' || h[4] > '9' ||
        h[5] < '0' || h[5] > '9' || h[6] != '$') {
        return false;
    }
    for (size_t i = 7; i < hash.len; i++) {
        if (!is_hash_char(h[i])) {
            return false;
        }
    }
    return true;
}

static int cost_of(const uint8_t *hash)
{
    return (hash[4] - '0') * 10 + hash[5] - '0';
}

static struct user *find(const struct users *users, struct span name)
{
    struct table_node *node = table_first(&users->table, hash_bytes(name));

    for (; node; node = table_next(node)) {
        struct user *user = CONTAINER_OF(node, struct user, node);
        if (span_equal(user->name, name)) {
            return user;
        }
    }
    return NULL;
}

static void add(struct reading *r, struct span name, struct span hash)
{
    struct users *users = r->users;
    struct user *user;

    if ((user = find(users, name))) {
        char mend[64];
        snprintf(mend, sizeof(mend), "line %u has the name already; keep one", user->line);
        complain(r, "a second line for", name, mend);
        return;
    }
    if (users->count == users->cap) {
        if (r->faults == 0) {
            complain(r, "too many users", span_make(NULL, 0), "at most 16384 fit into a file");
        }
        return;
    }
    user = &users->rows[users->count++];
    user->name = name;
    user->line = r->line;
    memcpy(user->hash, hash.data, USER_HASH_LEN);
    table_insert(&users->table, &user->node, hash_bytes(name));
}

static void read_line(struct reading *r, struct span line)
{
    size_t colon = span_find(line, ':');
    struct span name = span_sub(line, 0, colon);
    struct span hash = span_skip(line, colon + 1);
    char mend[96];

    if (line.len > USERS_LINE_MAX) {
        complain(r, "a line that is too long", span_make(NULL, 0), "at most 1024 bytes");
        return;
    }
    if (span_trim(line).len == 0 || line.data[0] == '#') {
        return;
    }
    if (colon == line.len) {
        complain(r, "no colon", span_make(NULL, 0),
                 "expected name:hash, as htpasswd -B FILE NAME writes it");
        return;
    }
    if (!is_name(name)) {
        complain(r, "bad user name", name,
                 "expected 1 to 255 bytes before the colon, no control characters");
        return;
    }
    if (!is_bcrypt(hash)) {
        complain(r, "no bcrypt hash for", name,
                 "expected $2y$, $2a$ or $2b$ and 60 characters in all; htpasswd -B FILE NAME "
                 "makes one");
        return;
    }
    if (cost_of(hash.data) < USER_COST_MIN || cost_of(hash.data) > USER_COST_MAX) {
        snprintf(mend, sizeof(mend), "expected %d to %d; htpasswd -B -C 10 FILE NAME makes one",
                 USER_COST_MIN, USER_COST_MAX);
        complain(r, "bcrypt cost out of range for", name, mend);
        return;
    }
    add(r, name, hash);
}

static size_t count_lines(struct span content)
{
    size_t count = 1;

    while (content.len) {
        content = span_skip(content, span_find(content, '\n') + 1);
        count++;
    }
    return count < USERS_MAX ? count : USERS_MAX;
}

static struct users *users_new(struct span content)
{
    struct users *users = calloc(1, sizeof(*users));

    if (!users) {
        return NULL;
    }
    users->cap = count_lines(content);
    users->rows = calloc(users->cap, sizeof(*users->rows));
    users->content = malloc(content.len + 1);
    if (!users->rows || !users->content || table_init(&users->table, users->cap) != 0) {
        users_free(users);
        return NULL;
    }
    if (content.len) {
        memcpy(users->content, content.data, content.len);
    }
    return users;
}

struct users *users_parse(struct span content, const char *path, FILE *out, char *error,
                          size_t error_cap)
{
    struct reading r = {.path = path, .out = out};
    struct span rest;

    if (content.len > USERS_FILE_MAX) {
        snprintf(error, error_cap, "%s: more than 8 MiB: no file of users", path);
        return NULL;
    }
    r.users = users_new(content);
    if (!r.users) {
        snprintf(error, error_cap, "%s: out of memory", path);
        return NULL;
    }
    rest = span_make(r.users->content, content.len);
    while (rest.len) {
        size_t end = span_find(rest, '\n');
        struct span line = span_sub(rest, 0, end);
        while (line.len && (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == ' ')) {
            line.len--; /* an editor's, not the hash's */
        }
        r.line++;
        read_line(&r, line);
        rest = span_skip(rest, end + 1);
    }
    if (r.faults == 0) {
        return r.users;
    }
    if (r.faults > USERS_FAULTS_MAX) {
        fprintf(out, "%s: and %u more\n", path, r.faults - USERS_FAULTS_MAX);
    }
    snprintf(error, error_cap, "%s: %u line%s wrong, see above", path, r.faults,
             r.faults == 1 ? " is" : "s are");
    users_free(r.users);
    return NULL;
}

void users_free(struct users *users)
{
    if (!users) {
        return;
    }
    table_fini(&users->table);
    free(users->rows);
    free(users->content);
    free(users);
}

size_t users_count(const struct users *users)
{
    return users->count;
}

const char *users_find(const struct users *users, struct span name)
{
    const struct user *user = find(users, name);

    return user ? user->hash : NULL;
}

const char *users_decoy(const struct users *users, struct span name)
{
    return users->count ? users->rows[hash_bytes(name) % users->count].hash : NULL;
}

bool users_verify(const char *hash, const char *password)
{
    struct crypt_data data = {0}; /* 32 KiB */
    const char *made = crypt_r(password, hash, &data);
    bool equal = made && strlen(made) == USER_HASH_LEN &&
                 digest_equal(span_make(made, USER_HASH_LEN), span_make(hash, USER_HASH_LEN));

    explicit_bzero(&data, sizeof(data));
    return equal;
}
