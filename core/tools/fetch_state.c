/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/fetch_state.h"

#include "core/tools/checksums.h"
#include "core/tools/database_file.h"

#include <errno.h>
#include <jansson.h>

enum { HEX_CAP = 2 * DIGEST_LEN + 1 };

const char fetch_state_name[] = ".fetch-state";

/* Empty if there is none, or it does not fit. */
static void copy_string(char *room, size_t cap, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    size_t len = json_string_length(value);

    room[0] = '\0';
    if (json_is_string(value) && len < cap) {
        memcpy(room, json_string_value(value), len + 1);
    }
}

static void take_state(struct fetch_state *state, const json_t *root)
{
    const json_t *files = json_object_get(root, "files");

    copy_string(state->base, sizeof(state->base), root, "base");
    for (int i = 0; i < FETCH_FILE_COUNT; i++) {
        const json_t *file = json_object_get(files, fetch_file_name((enum fetch_file)i));
        char hex[HEX_CAP];

        copy_string(hex, sizeof(hex), file, "sha256");
        state->files[i].is_there = checksums_digest(state->files[i].digest, span_from_string(hex));
        copy_string(state->files[i].etag, FETCH_FIELD_CAP, file, "etag");
        copy_string(state->files[i].last_modified, FETCH_FIELD_CAP, file, "last_modified");
    }
}

void fetch_state_load(struct fetch_state *state, const char *dir)
{
    struct database_file file;
    json_t *root;

    *state = (struct fetch_state){.base = ""};
    if (database_file_open(&file, dir, fetch_state_name) != 0) {
        return;
    }
    root = json_loadb((const char *)file.text.data, file.text.len, 0, NULL);
    if (root) {
        take_state(state, root);
        json_decref(root);
    }
    database_file_close(&file);
}

static json_t *file_to_json(const struct fetch_state *state, int i)
{
    char hex[HEX_CAP];
    struct text t = text_make(hex, sizeof(hex) - 1);

    text_hex(&t, span_make(state->files[i].digest, DIGEST_LEN));
    hex[t.len] = '\0';
    return json_pack("{s:s,s:s,s:s}", "sha256", hex, "etag", state->files[i].etag, "last_modified",
                     state->files[i].last_modified);
}

int fetch_state_save(const struct fetch_state *state, const char *dir)
{
    json_t *files = json_object();
    json_t *root = json_pack("{s:s,s:o}", "base", state->base, "files", files);
    char path[DATABASE_PATH_CAP];
    int failed = root ? 0 : -ENOMEM;

    for (int i = 0; i < FETCH_FILE_COUNT && !failed; i++) {
        if (state->files[i].is_there &&
            json_object_set_new(files, fetch_file_name((enum fetch_file)i),
                                file_to_json(state, i)) != 0) {
            failed = -ENOMEM;
        }
    }
    if (!failed) {
        int len = snprintf(path, sizeof(path), "%s/%s", dir, fetch_state_name);

        errno = 0;
        if (len < 0 || (size_t)len >= sizeof(path)) {
            failed = -ENAMETOOLONG;
        } else if (json_dump_file(root, path, JSON_INDENT(2)) != 0) {
            failed = errno ? -errno : -EIO;
        }
    }
    json_decref(root);
    return failed;
}
