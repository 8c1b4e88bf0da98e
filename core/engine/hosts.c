/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/hosts.h"

#include "core/engine/address.h"
#include "core/engine/dns_answer.h"

#include <errno.h>
#include <stdlib.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The next word of a line, empty at its end. */
static struct span take_word(struct span *line)
{
    size_t start = 0, end;

    while (start < line->len && is_blank(line->data[start])) {
        start++;
    }
    for (end = start; end < line->len && !is_blank(line->data[end]);) {
        end++;
    }
    struct span word = span_sub(*line, start, end - start);
    *line = span_skip(*line, end);
    return word;
}

static bool row_set_address(struct hosts_row *row, struct span text)
{
    struct address address;

    if (!address_parse_ip(&address, text, 0)) {
        return false;
    }
    if (address.u.any.sa_family == AF_INET) {
        row->address_len = 4;
        memcpy(row->address, &address.u.v4.sin_addr, 4);
    } else {
        row->address_len = 16;
        memcpy(row->address, &address.u.v6.sin6_addr, 16);
    }
    return true;
}

/* Appends the names of a line to the rows, or only counts them when there are none yet. */
static size_t read_line(struct hosts *hosts, struct span line, size_t count)
{
    struct hosts_row row = {.name_len = 0};
    struct span name;

    line = span_sub(line, 0, span_find(line, '#'));
    if (!row_set_address(&row, take_word(&line))) {
        return count;
    }
    while ((name = take_word(&line)).len > 0) {
        if (name.data[name.len - 1] == '.') {
            name.len--;
        }
        if (!dns_name_is_valid(name)) {
            continue;
        }
        if (count == HOSTS_NAMES_MAX) {
            hosts->is_clipped = true;
            break;
        }
        if (hosts->rows) {
            row.name_offset = (uint32_t)(name.data - hosts->text);
            row.name_len = (uint16_t)name.len;
            hosts->rows[count] = row;
        }
        count++;
    }
    return count;
}

static size_t read_lines(struct hosts *hosts, struct span file)
{
    size_t count = 0;

    while (file.len > 0) {
        size_t len = span_find(file, '\n');
        count = read_line(hosts, span_sub(file, 0, len), count);
        file = span_skip(file, len + 1);
    }
    return count;
}

static int compare_names(struct span a, struct span b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_rows(const void *left, const void *right, void *text)
{
    const struct hosts_row *a = left, *b = right;
    const uint8_t *base = text;
    int order = compare_names(span_make(base + a->name_offset, a->name_len),
                              span_make(base + b->name_offset, b->name_len));

    return order != 0 ? order
                      : (a->name_offset > b->name_offset) - (a->name_offset < b->name_offset);
}

int hosts_init(struct hosts *hosts, struct span file)
{
    *hosts = (struct hosts){.is_clipped = file.len > HOSTS_BYTES_MAX};
    if (hosts->is_clipped) {
        /* Whole lines only: half a name is another name. */
        file.len = HOSTS_BYTES_MAX;
        while (file.len > 0 && file.data[file.len - 1] != '\n') {
            file.len--;
        }
    }
    if (file.len == 0) {
        return 0;
    }
    hosts->text = malloc(file.len);
    if (!hosts->text) {
        return -ENOMEM;
    }
    memcpy(hosts->text, file.data, file.len);
    for (size_t i = 0; i < file.len; i++) {
        uint8_t c = hosts->text[i];
        hosts->text[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
    }
    file.data = hosts->text;
    size_t count = read_lines(hosts, file);
    if (count > 0) {
        hosts->rows = malloc(count * sizeof(*hosts->rows));
        if (!hosts->rows) {
            hosts_fini(hosts);
            return -ENOMEM;
        }
        hosts->count = read_lines(hosts, file);
        ASSERT(hosts->count == count);
        qsort_r(hosts->rows, count, sizeof(*hosts->rows), compare_rows, hosts->text);
    }
    return 0;
}

void hosts_fini(struct hosts *hosts)
{
    free(hosts->rows);
    free(hosts->text);
    *hosts = (struct hosts){.text = NULL};
}

static struct span row_name(const struct hosts *hosts, size_t index)
{
    return span_make(hosts->text + hosts->rows[index].name_offset, hosts->rows[index].name_len);
}

size_t hosts_find(const struct hosts *hosts, struct span name, const struct hosts_row **rows)
{
    size_t low = 0, high = hosts->count, end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(row_name(hosts, middle), name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (end = low; end < hosts->count && span_equal(row_name(hosts, end), name);) {
        end++;
    }
    *rows = end > low ? &hosts->rows[low] : NULL;
    return end - low;
}
