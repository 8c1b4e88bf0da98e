/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-fetch: fetches one object over HTTPS into a file. It is a program of its own because libcurl
 * brings a TLS library whose functions have the names of weir's; `weir signatures fetch` runs it.
 *
 *   weir-fetch [OPTION...] URL FILE     --help lists the options
 *
 * Whatever final response came, it exits with 0 and prints "status N" and, if the response has
 * them, "etag TEXT" and "last-modified TEXT", a line each. FILE is made, and must not be there
 * before; it stays if the status is 200. Without a response it says why on standard error, and
 * exits with EXIT_STATUS_UNAVAILABLE, or EXIT_STATUS_DATA if the object is too large.
 *
 * Requests are signed with AWS's signature version 4 if a region is given. The keys come from the
 * environment, since a command line is for everybody to read; no message shows them, and no
 * redirect is followed with them. URLs that could hold a secret are refused unseen.
 */
#include "core/base/text.h"
#include "core/options.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    FETCH_SECONDS = 60, /* for all of it */
    FETCH_CONNECT_SECONDS = 10,
    FETCH_STALL_SECONDS = 15, /* below FETCH_STALL_BYTES a second */
    FETCH_STALL_BYTES = 100,
    FETCH_BYTES_MAX = 2 * 1024 * 1024, /* of the object */
    FETCH_REDIRECTS_MAX = 5,
    FETCH_FIELD_MAX = 512, /* bytes of an ETag or a Last-Modified */
    FETCH_HEADER_CAP = 1024,
    FETCH_SECRET_CAP = 8192,
    FETCH_NUMBER_MAX = 1000000000,
    FETCH_GRACE_SECONDS = 5, /* behind its own time limit, for a resolver that hangs */
};

struct fetch {
    const char *url;
    const char *path;
    const char *ca_file;
    const char *etag;
    const char *last_modified;
    const char *region; /* null: not signed */
    long seconds;
    long connect_seconds;
    long stall_seconds;
    long bytes_max;
    bool allow_http;

    CURL *curl;
    struct curl_slist *headers;
    FILE *file;
    long received; /* bytes */
    bool is_too_large;
    int write_error; /* errno */
    char error[CURL_ERROR_SIZE];
};

static const struct option long_options[] = {
    {"ca-file", required_argument, NULL, 'c'},
    {"etag", required_argument, NULL, 'e'},
    {"last-modified", required_argument, NULL, 'l'},
    {"aws-region", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 's'},
    {"connect-seconds", required_argument, NULL, 'o'},
    {"stall-seconds", required_argument, NULL, 'a'},
    {"max-bytes", required_argument, NULL, 'b'},
    {"allow-http", no_argument, NULL, 'p'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "Usage: weir-fetch [OPTION...] URL FILE\n\n"
    "  --ca-file FILE         trust these authorities, not those of the system\n"
    "  --etag TEXT            only if the object has another one now\n"
    "  --last-modified TEXT   only if the object was changed since then\n"
    "  --aws-region NAME      sign the request with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and\n"
    "                         AWS_SESSION_TOKEN\n"
    "  --seconds N            for all of it (60)\n"
    "  --connect-seconds N    until a server is connected (10)\n"
    "  --stall-seconds N      below 100 bytes a second (15)\n"
    "  --max-bytes N          of the object (2097152)\n"
    "  --allow-http           without TLS to other hosts than this one\n";

/* What libcurl says may have bytes of a peer in it. */
static void complain(const struct fetch *fetch, const char *why)
{
    char room[2 * CURL_ERROR_SIZE];
    struct text t = text_make(room, sizeof(room));

    text_escaped(&t, span_from_string(why));
    fprintf(stderr, "weir-fetch: %s: %.*s\n", fetch->url, (int)t.len, room);
}

/* ---- the command line ---- */

static bool take_number(const char *text, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(text, &end, 10);
    if (errno || *end || end == text || *number < 1 || *number > FETCH_NUMBER_MAX) {
        fprintf(stderr, "weir-fetch: a number from 1 to %d expected\n", FETCH_NUMBER_MAX);
        return false;
    }
    return true;
}

/* -1: go on. */
static int parse_arguments(struct fetch *fetch, int argc, char **argv)
{
    bool good = true;
    int letter;

    while (good && (letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (letter) {
        case 'c':
            fetch->ca_file = optarg;
            break;
        case 'e':
            fetch->etag = optarg;
            break;
        case 'l':
            fetch->last_modified = optarg;
            break;
        case 'r':
            fetch->region = optarg;
            break;
        case 's':
            good = take_number(optarg, &fetch->seconds);
            break;
        case 'o':
            good = take_number(optarg, &fetch->connect_seconds);
            break;
        case 'a':
            good = take_number(optarg, &fetch->stall_seconds);
            break;
        case 'b':
            good = take_number(optarg, &fetch->bytes_max);
            break;
        case 'p':
            fetch->allow_http = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_STATUS_OK;
        default:
            good = false;
        }
    }
    if (!good || argc - optind != 2) {
        fputs(good ? usage : "weir-fetch --help lists the options\n", stderr);
        return EXIT_STATUS_USAGE;
    }
    fetch->url = argv[optind];
    fetch->path = argv[optind + 1];
    return -1;
}

/* libcurl itself resolves these names to a loopback address, and asks nobody (RFC 6761 6.3). */
static bool is_loopback(struct span host)
{
    struct span name = SPAN_LITERAL(".localhost");
    struct in_addr address;
    char text[INET_ADDRSTRLEN];

    if (span_equal_nocase(host, span_skip(name, 1)) ||
        (host.len > name.len && span_equal_nocase(span_skip(host, host.len - name.len), name)) ||
        span_equal(host, SPAN_LITERAL("[::1]"))) {
        return true;
    }
    if (host.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* A part of the URL; null: it has none. The caller frees it with curl_free(). */
static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* Null, or why this URL is none to fetch. */
static const char *judge_parts(const struct fetch *fetch, const char *scheme, const char *host)
{
    bool is_http = strcmp(scheme, "http") == 0;

    if (!is_http && strcmp(scheme, "https") != 0) {
        return "https:// expected";
    }
    if (is_http && !fetch->allow_http && !is_loopback(span_from_string(host))) {
        return "http:// to another host needs --allow-http: whoever is on the way could change it";
    }
    return NULL;
}

/* False, with a message that does not show it: the URL may hold a secret, or is none. */
static bool is_plain_url(CURLU *url)
{
    static const CURLUPart parts[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY,
                                      CURLUPART_FRAGMENT};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        char *part = url_part(url, parts[i]);

        if (part) {
            curl_free(part);
            fputs("weir-fetch: a URL without a user, a password, a query and a fragment expected\n",
                  stderr);
            return false;
        }
    }
    return true;
}

/* Sets what follows from the host. */
static bool check_url(struct fetch *fetch, CURLU *url)
{
    const char *fault = "no URL";
    char *scheme = NULL;
    char *host = NULL;

    if (curl_url_set(url, CURLUPART_URL, fetch->url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
        fputs("weir-fetch: a URL expected: https://HOST/PATH\n", stderr);
        return false;
    }
    if (!is_plain_url(url)) {
        return false;
    }
    scheme = url_part(url, CURLUPART_SCHEME);
    host = url_part(url, CURLUPART_HOST);
    if (scheme && host) {
        fault = judge_parts(fetch, scheme, host);
        if (is_loopback(span_from_string(host))) {
            curl_easy_setopt(fetch->curl, CURLOPT_NOPROXY, "*");
        }
    }
    if (fault) {
        complain(fetch, fault);
    }
    curl_free(scheme);
    curl_free(host);
    return !fault;
}

/* ---- the request ---- */

static bool add_header(struct fetch *fetch, const char *name, const char *value)
{
    char line[FETCH_HEADER_CAP + FETCH_SECRET_CAP];
    struct curl_slist *longer;
    int len = snprintf(line, sizeof(line), "%s: %s", name, value);

    for (const char *c = value; *c; c++) {
        if (*c < ' ' || *c > '~') {
            fprintf(stderr, "weir-fetch: %s: printable characters expected\n", name);
            return false;
        }
    }
    if (len < 0 || (size_t)len >= sizeof(line)) {
        fprintf(stderr, "weir-fetch: %s: too long\n", name);
        return false;
    }
    longer = curl_slist_append(fetch->headers, line);
    explicit_bzero(line, sizeof(line));
    if (!longer) {
        fputs("weir-fetch: out of memory\n", stderr);
        return false;
    }
    fetch->headers = longer;
    return true;
}

/* Without white space at its ends, as MITMEngine takes it. False: it is not set, or empty. */
static bool take_secret(const char *name, char secret[FETCH_SECRET_CAP])
{
    const char *value = getenv(name);
    size_t len;

    value = value ? value + strspn(value, " \t\r\n") : "";
    len = strlen(value);
    while (len && strchr(" \t\r\n", value[len - 1])) {
        len--;
    }
    if (len >= FETCH_SECRET_CAP) {
        return false;
    }
    memcpy(secret, value, len);
    secret[len] = '\0';
    return len != 0;
}

/*
 * Under the signature are host, date and our own headers; S3 wants the digest of the body, which is
 * empty, and a session's token among them.
 */
static bool sign(struct fetch *fetch)
{
    static const char empty_digest[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char secret[FETCH_SECRET_CAP];
    char provider[FETCH_FIELD_MAX];
    int len = snprintf(provider, sizeof(provider), "aws:amz:%s:s3", fetch->region);
    bool done = len > 0 && (size_t)len < sizeof(provider) && !strchr(fetch->region, ':') &&
                curl_easy_setopt(fetch->curl, CURLOPT_AWS_SIGV4, provider) == CURLE_OK;

    if (!done) {
        fputs("weir-fetch: --aws-region: a region's name expected\n", stderr);
    } else if (!take_secret("AWS_ACCESS_KEY_ID", secret) ||
               curl_easy_setopt(fetch->curl, CURLOPT_USERNAME, secret) != CURLE_OK) {
        fputs("weir-fetch: the environment variable AWS_ACCESS_KEY_ID holds no key\n", stderr);
        done = false;
    } else if (!take_secret("AWS_SECRET_ACCESS_KEY", secret) ||
               curl_easy_setopt(fetch->curl, CURLOPT_PASSWORD, secret) != CURLE_OK) {
        fputs("weir-fetch: the environment variable AWS_SECRET_ACCESS_KEY holds no key\n", stderr);
        done = false;
    } else {
        done = add_header(fetch, "x-amz-content-sha256", empty_digest) &&
               (!take_secret("AWS_SESSION_TOKEN", secret) ||
                add_header(fetch, "x-amz-security-token", secret));
    }
    explicit_bzero(secret, sizeof(secret));
    return done;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    size_t len = size * count;
    long status = 0;

    curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
    if (len > (size_t)(fetch->bytes_max - fetch->received)) {
        fetch->is_too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    fetch->received += (long)len;
    if (status == 200 && fwrite(data, 1, len, fetch->file) != len) {
        fetch->write_error = errno;
        return CURL_WRITEFUNC_ERROR;
    }
    return len;
}

static bool prepare(struct fetch *fetch)
{
    CURL *curl = fetch->curl;
    bool is_http = strncmp(fetch->url, "https:", 6) != 0;
    bool done =
        (!fetch->etag || add_header(fetch, "If-None-Match", fetch->etag)) &&
        (!fetch->last_modified || add_header(fetch, "If-Modified-Since", fetch->last_modified)) &&
        (!fetch->region || sign(fetch));

    if (!done) {
        return false;
    }
    done =
        curl_easy_setopt(curl, CURLOPT_URL, fetch->url) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                         is_http && fetch->allow_http ? "http,https" : "https") == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, fetch->region ? 0L : 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)FETCH_REDIRECTS_MAX) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, fetch->seconds) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, fetch->connect_seconds) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)FETCH_STALL_BYTES) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, fetch->stall_seconds) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "weir/" WEIR_VERSION) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fetch->headers) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fetch->error) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch) == CURLE_OK &&
        (!fetch->ca_file || (curl_easy_setopt(curl, CURLOPT_CAINFO, fetch->ca_file) == CURLE_OK &&
                             curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK));
    if (!done) {
        fputs("weir-fetch: libcurl lacks something, or memory is exhausted\n", stderr);
    }
    return done;
}

/* ---- the response ---- */

static void print_field(const struct fetch *fetch, const char *name)
{
    struct curl_header *header;
    size_t len;

    if (curl_easy_header(fetch->curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
        return;
    }
    len = strlen(header->value);
    for (const char *c = header->value; *c; c++) {
        len = *c >= ' ' && *c <= '~' ? len : 0;
    }
    if (len && len <= FETCH_FIELD_MAX) { /* else it is not worth keeping */
        printf("%s %s\n", name, header->value);
    }
}

static int tell_failure(const struct fetch *fetch, CURLcode code)
{
    char why[FETCH_HEADER_CAP];

    if (fetch->is_too_large) {
        snprintf(why, sizeof(why), "larger than %ld bytes", fetch->bytes_max);
        complain(fetch, why);
        return EXIT_STATUS_DATA;
    }
    if (fetch->write_error) {
        fprintf(stderr, "weir-fetch: %s: %s\n", fetch->path, strerror(fetch->write_error));
        return EXIT_STATUS_CANNOT_CREATE;
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL) { /* that of the URL itself is one of the two */
        complain(fetch, "it redirects to something else than https://, which is not followed");
    } else {
        complain(fetch, fetch->error[0] ? fetch->error : curl_easy_strerror(code));
    }
    return EXIT_STATUS_UNAVAILABLE;
}

/* Returns the status to exit with. */
static int perform(struct fetch *fetch, long *status)
{
    CURLcode code = curl_easy_perform(fetch->curl);

    if (code != CURLE_OK) {
        return tell_failure(fetch, code);
    }
    curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, status);
    printf("status %ld\n", *status);
    print_field(fetch, "etag");
    print_field(fetch, "last-modified");
    return fflush(stdout) == 0 ? EXIT_STATUS_OK : EXIT_STATUS_CANNOT_CREATE;
}

static int fetch_to_file(struct fetch *fetch)
{
    int descriptor = open(fetch->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int result;
    long status = 0;

    fetch->file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!fetch->file) {
        fprintf(stderr, "weir-fetch: %s: %s\n", fetch->path, strerror(errno));
        return EXIT_STATUS_CANNOT_CREATE;
    }
    result = perform(fetch, &status);
    if (fclose(fetch->file) != 0 && result == EXIT_STATUS_OK) {
        fprintf(stderr, "weir-fetch: %s: %s\n", fetch->path, strerror(errno));
        result = EXIT_STATUS_CANNOT_CREATE;
    }
    if (result != EXIT_STATUS_OK || status != 200) {
        unlink(fetch->path);
    }
    return result;
}

static int run(struct fetch *fetch)
{
    CURLU *url = curl_url();
    int status = EXIT_STATUS_RUNTIME;

    fetch->curl = curl_easy_init();
    if (!url || !fetch->curl) {
        fputs("weir-fetch: out of memory\n", stderr);
    } else {
        status = check_url(fetch, url) && prepare(fetch) ? fetch_to_file(fetch) : EXIT_STATUS_USAGE;
    }
    curl_easy_cleanup(fetch->curl);
    curl_slist_free_all(fetch->headers);
    curl_url_cleanup(url);
    return status;
}

int main(int argc, char **argv)
{
    struct fetch fetch = {.seconds = FETCH_SECONDS,
                          .connect_seconds = FETCH_CONNECT_SECONDS,
                          .stall_seconds = FETCH_STALL_SECONDS,
                          .bytes_max = FETCH_BYTES_MAX};
    int status = parse_arguments(&fetch, argc, argv);

    if (status >= 0) {
        return status;
    }
    /* Nobody waits for it without the program that began it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)fetch.seconds + FETCH_GRACE_SECONDS);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fputs("weir-fetch: libcurl could not be set up\n", stderr);
        return EXIT_STATUS_RUNTIME;
    }
    status = run(&fetch);
    curl_global_cleanup();
    return status;
}
