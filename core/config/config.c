/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config.h"

#include "core/config/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char config_default_text[] = "# What weir runs with when no file is named.\n"
                                   "listeners:\n"
                                   "  - address: 127.0.0.1:8080\n"
                                   "    mode: forward\n";

static const char default_name[] = "(default)";

const char *listener_mode_name(enum listener_mode mode)
{
    static const char *const name[] = {
        [LISTENER_FORWARD] = "forward",
        [LISTENER_SOCKS5] = "socks5",
        [LISTENER_TRANSPARENT] = "transparent",
        [LISTENER_REVERSE] = "reverse",
    };
    return name[mode];
}

struct config *config_get(struct config *config)
{
    uint32_t before = atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);

    ASSERT(before > 0 && before < UINT32_MAX);
    return config;
}

void config_put(struct config *config)
{
    uint32_t before;

    if (!config) {
        return;
    }
    before = atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        config_fields_free(NULL, config);
        free(config->file);
        free(config);
    }
}

/* Everything of one text; `config` is filled as far as it goes. */
static void load_into(struct config *config, struct config_source *source)
{
    struct config_node *root = config_yaml_parse(source);

    if (root || source->error_count == 0) {
        config_read(config, root, source);
        config_check(config, root, source);
    }
    config_node_free(root);
}

static struct config *load(const char *name, bool is_file, struct span text,
                           struct config_report *report)
{
    struct config *config = calloc(1, sizeof(*config));
    struct config_source source;
    bool failed;

    config_source_init(&source, name, text, report);
    if (config) {
        atomic_init(&config->references, 1);
        config->file = is_file ? strdup(name) : NULL;
    }
    if (!config || (is_file && !config->file)) {
        config_file_error(&source, "out of memory");
    } else {
        load_into(config, &source);
    }
    failed = source.error_count != 0;
    config_source_fini(&source);
    if (failed) {
        config_put(config);
        return NULL;
    }
    return config;
}

struct config *config_load_text(const char *name, struct span text, struct config_report *report)
{
    return load(name, true, text, report);
}

/* Returns 0 or a negative errno; one byte more than is allowed shows that a file is too large. */
static int read_all(int fd, uint8_t *memory, size_t cap, size_t *len)
{
    *len = 0;
    while (*len < cap) {
        ssize_t got = read(fd, memory + *len, cap - *len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        *len += (size_t)got;
    }
    return 0;
}

static int read_file(const char *path, uint8_t **memory, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int result = fd < 0 ? -errno : 0;

    *memory = NULL;
    if (result == 0) {
        *memory = malloc(CONFIG_FILE_MAX + 1);
        result = *memory ? read_all(fd, *memory, CONFIG_FILE_MAX + 1, len) : -ENOMEM;
        close(fd);
    }
    return result;
}

struct config *config_load(const char *path, struct config_report *report)
{
    struct config *config = NULL;
    struct config_source source;
    uint8_t *memory = NULL;
    size_t len = 0;
    int result;

    if (!path) {
        return load(default_name, false, span_from_string(config_default_text), report);
    }
    result = read_file(path, &memory, &len);
    if (result == 0) {
        config = load(path, true, span_make(memory, len), report);
    } else {
        config_source_init(&source, path, (struct span){NULL, 0}, report);
        config_file_error(&source, "cannot read: %s", strerror(-result));
        config_source_fini(&source);
    }
    free(memory);
    return config;
}

const char *config_first_difference(const struct config *a, const struct config *b,
                                    bool restart_only)
{
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *field = &config_fields[i];

        if (config_field_is_in(field, NULL) && (!restart_only || field->change == CONFIG_RESTART) &&
            !config_field_equal(field, a, b, restart_only)) {
            return field->path;
        }
    }
    return NULL;
}

bool config_has_same_listeners(const struct config *a, const struct config *b)
{
    return config_field_equal(config_field_at("listeners"), a, b, true);
}
