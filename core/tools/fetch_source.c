/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/fetch_source.h"

enum { BUCKET_MAX = 255 };

static const char *const file_names[FETCH_FILE_COUNT] = {
    [FETCH_CHECKSUMS] = "SHA256SUMS",    [FETCH_BROWSERS] = "browser.txt",
    [FETCH_PRODUCTS] = "mitm.txt",       [FETCH_BAD_HEADERS] = "badheader.txt",
    [FETCH_METADATA] = "metadata.jsonl", [FETCH_MITMENGINE_METADATA] = "fingerprint_metadata.jsonl",
};

const char *fetch_file_name(enum fetch_file file)
{
    return file_names[file];
}

static bool begins_with(struct span text, const char *with)
{
    struct span wanted = span_from_string(with);
    return span_equal(span_sub(text, 0, wanted.len), wanted);
}

/* Cuts the name of a file off the end. Checksums alone are no database. */
static enum fetch_file cut_file(struct span *text)
{
    for (int i = FETCH_BROWSERS; i < FETCH_FILE_COUNT; i++) {
        size_t len = strlen(file_names[i]);

        if (text->len > len && text->data[text->len - len - 1] == '/' &&
            begins_with(span_skip(*text, text->len - len), file_names[i])) {
            text->len -= len;
            return (enum fetch_file)i;
        }
    }
    return FETCH_FILE_COUNT;
}

/* What a host, a port and a path are written with; libcurl judges the rest. */
static bool is_graphic(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("\\\"<>^`{|}", text.data[i])) {
            return false;
        }
    }
    return true;
}

static bool parse_url(struct text *base, struct span text, struct text *error)
{
    struct span rest = span_skip(text, span_find(text, ':') + 3);
    struct span host = span_sub(rest, 0, span_find(rest, '/'));

    if (!is_graphic(text) || host.len == 0) {
        text_string(error, "https://HOST/PATH expected, other characters as %XX");
        return false;
    }
    if (span_find(text, '@') < text.len || span_find(text, '?') < text.len ||
        span_find(text, '#') < text.len) {
        text_string(error,
                    "a URL without @, ? and # expected: a password or a token there would be "
                    "seen by everybody who lists processes");
        return false;
    }
    text_bytes(base, text);
    return true;
}

/* RFC 3986 2.3, and the slash. */
static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~/", c));
}

static void write_prefix(struct text *base, struct span prefix)
{
    for (size_t i = 0; i < prefix.len; i++) {
        if (is_unreserved(prefix.data[i])) {
            text_char(base, (char)prefix.data[i]);
        } else {
            text_printf(base, "%%%02X", prefix.data[i]);
        }
    }
}

static bool is_bucket(struct span bucket)
{
    bool good = bucket.len > 0 && bucket.len <= BUCKET_MAX;

    for (size_t i = 0; i < bucket.len && good; i++) {
        good = is_unreserved(bucket.data[i]) && bucket.data[i] != '/' && bucket.data[i] != '~';
    }
    return good;
}

/* Takes the scheme off, which is https if there is none. */
static bool parse_endpoint(struct span *endpoint, const char **scheme, struct text *error)
{
    *scheme = begins_with(*endpoint, "http://") ? "http://" : "https://";
    if (begins_with(*endpoint, *scheme)) {
        *endpoint = span_skip(*endpoint, strlen(*scheme));
    }
    if (endpoint->len && endpoint->data[endpoint->len - 1] == '/') {
        endpoint->len--;
    }
    if (endpoint->len == 0 || !is_graphic(*endpoint) || span_find(*endpoint, '/') < endpoint->len ||
        span_find(*endpoint, '@') < endpoint->len || span_find(*endpoint, '?') < endpoint->len ||
        span_find(*endpoint, '#') < endpoint->len) {
        text_string(error, "AWS_ENDPOINT: HOST or HOST:PORT expected, without the bucket");
        return false;
    }
    return true;
}

static bool parse_s3(struct fetch_source *source, struct text *base, struct span text,
                     const struct fetch_s3 *s3, struct text *error)
{
    struct span rest = span_skip(text, strlen("s3://"));
    struct span bucket = span_sub(rest, 0, span_find(rest, '/'));
    struct span prefix = span_skip(rest, bucket.len + 1);
    struct span endpoint = span_trim(span_from_string(s3->endpoint ? s3->endpoint : ""));
    const char *scheme;

    if (endpoint.len == 0) {
        source->missing = "AWS_ENDPOINT";
    } else if (bucket.len == 0) {
        bucket = span_trim(span_from_string(s3->bucket ? s3->bucket : ""));
        source->missing = bucket.len ? NULL : "AWS_BUCKET_NAME";
    }
    if (source->missing) {
        text_printf(error, "the environment variable %s is not set", source->missing);
        return false;
    }
    if (!is_bucket(bucket)) {
        text_string(error, "s3://BUCKET/PREFIX expected, a bucket of letters, digits, -, . and _");
        return false;
    }
    if (!parse_endpoint(&endpoint, &scheme, error)) {
        return false;
    }
    text_string(base, scheme);
    if (!s3->is_path_style) {
        text_bytes(base, bucket);
        text_char(base, '.');
    }
    text_bytes(base, endpoint);
    text_char(base, '/');
    if (s3->is_path_style) {
        text_bytes(base, bucket);
        text_char(base, '/');
    }
    write_prefix(base, prefix);
    return true;
}

bool fetch_source_parse(struct fetch_source *source, const char *text, const struct fetch_s3 *s3,
                        struct text *error)
{
    struct span rest = span_from_string(text);
    struct text base = text_make(source->base, sizeof(source->base) - 1);
    bool done = true;

    source->missing = NULL;
    source->only = cut_file(&rest);
    if (begins_with(rest, "s3://")) {
        source->kind = FETCH_S3;
        done = parse_s3(source, &base, rest, s3, error);
    } else if (begins_with(rest, "https://") || begins_with(rest, "http://")) {
        source->kind = FETCH_URL;
        done = parse_url(&base, rest, error);
    } else if (strstr(text, "://")) {
        text_string(error, "a folder, https:// or s3:// expected");
        done = false;
    } else {
        source->kind = FETCH_FOLDER;
        text_bytes(&base, rest);
    }
    if (done && base.len && base.data[base.len - 1] != '/') {
        text_char(&base, '/');
    }
    base.data[base.len] = '\0';
    if (done && (base.overflow || base.len == 0)) {
        text_printf(error, "a source of at most %d bytes expected", FETCH_BASE_CAP - 1);
        done = false;
    }
    return done;
}
