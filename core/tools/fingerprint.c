/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/fingerprint.h"

#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/engine/address.h"
#include "core/tools/hello_output.h"
#include "core/tools/hex.h"
#include "core/tools/json_lines.h"
#include "core/tools/live.h"
#include "core/tools/streams.h"

#include <errno.h>
#include <stdlib.h>

/* Longer hex text than any hello needs, with room for separators. */
enum { HEX_TEXT_MAX = 4 * RECORD_BYTES_MAX };

struct fingerprint {
    const struct options *options;
    struct hello_output output;
    FILE *err;
    struct hello_facts *facts;
    uint8_t *bytes; /* HEX_TEXT_MAX / 2, what hex stands for */
};

/* How captures count what they pass over. */
struct capture_counts {
    uint64_t kinds[PACKET_KIND_COUNT];
    uint64_t cut;
};

static int run_input(struct fingerprint *f, const char *name);
static int run_hex(struct fingerprint *f, struct span text);

static int complain(const struct fingerprint *f, const char *name, const char *what)
{
    fprintf(f->err, "weir fingerprint: %s: %s\n", name, what);
    return EXIT_STATUS_RUNTIME;
}

static int run_all(struct fingerprint *f)
{
    int status = EXIT_STATUS_OK;

    if (f->options->live) {
        return live_run(f->options, &f->output, f->facts, f->err);
    }
    if (f->options->hex) {
        return run_hex(f, span_from_string(f->options->hex));
    }
    for (size_t i = 0; i < f->options->input_count; i++) {
        int one = run_input(f, f->options->inputs[i]);
        status = status == EXIT_STATUS_OK ? one : status;
    }
    return status;
}

int fingerprint_run(const struct options *options, FILE *out, FILE *err)
{
    struct fingerprint f = {.options = options, .err = err};
    int status = EXIT_STATUS_RUNTIME;

    f.output = (struct hello_output){.out = out, .json = options->json};
    f.facts = malloc(sizeof(*f.facts));
    f.bytes = malloc(HEX_TEXT_MAX / 2);
    hash_set_seed(random_seed());
    if (f.facts && f.bytes) {
        status = run_all(&f);
    } else {
        fputs("weir fingerprint: out of memory\n", err);
    }
    if (fflush(out) != 0 || ferror(out)) {
        fputs("weir fingerprint: the output cannot be written\n", err);
        status = EXIT_STATUS_RUNTIME;
    }
    free(f.bytes);
    free(f.facts);
    return status == EXIT_STATUS_OK && f.output.error_count ? EXIT_STATUS_RUNTIME : status;
}

static int write_hello(struct fingerprint *f, const struct hello_origin *origin)
{
    if (!hello_output_write(&f->output, origin, f->facts)) {
        fputs("weir fingerprint: out of memory\n", f->err);
        return EXIT_STATUS_RUNTIME;
    }
    return EXIT_STATUS_OK;
}

static int run_hex(struct fingerprint *f, struct span text)
{
    char room[HELLO_ERROR_MAX];
    struct text error = text_make(room, sizeof(room) - 1);
    long len;

    if (text.len > HEX_TEXT_MAX) {
        return complain(f, "--hex", "longer than any ClientHello");
    }
    len = hex_decode(f->bytes, text, &error);
    if (len < 0) {
        room[error.len] = '\0';
        return complain(f, "--hex", room);
    }
    hello_facts_gather(f->facts, span_make(f->bytes, (size_t)len));
    return write_hello(f, &(struct hello_origin){0});
}

/* JSON Lines */

static bool answer_line(void *context, const json_t *line, json_t *results, struct text *error)
{
    struct fingerprint *f = context;
    struct span text;
    long len;

    if (!json_lines_string(line, "client_hello", &text, error)) {
        return false;
    }
    if (text.len > HEX_TEXT_MAX) {
        text_string(error, "client_hello: longer than any ClientHello");
        return false;
    }
    text_string(error, "client_hello: ");
    len = hex_decode(f->bytes, text, error);
    if (len < 0) {
        return false;
    }
    if (!hello_facts_gather(f->facts, span_make(f->bytes, (size_t)len))) {
        text_string(error, f->facts->error);
        return false;
    }
    if (!hello_facts_set(f->facts, results)) {
        text_string(error, "out of memory");
        return false;
    }
    return true;
}

static int run_json_lines(struct fingerprint *f, const char *name, struct input *in)
{
    int failed = json_lines_run(in, f->output.out, answer_line, f);

    return failed ? complain(f, name, strerror(-failed)) : EXIT_STATUS_OK;
}

/* Captures */

static void print_endpoint(char out[HELLO_ENDPOINT_MAX], const uint8_t ip[PACKET_IP_LEN],
                           uint32_t family, uint16_t port)
{
    struct address address = {.len = family == 4 ? sizeof(address.u.v4) : sizeof(address.u.v6)};

    _Static_assert((int)HELLO_ENDPOINT_MAX == (int)ADDRESS_TEXT_MAX, "an address has the room");
    if (family == 4) {
        address.u.v4.sin_family = AF_INET;
        memcpy(&address.u.v4.sin_addr, ip, sizeof(address.u.v4.sin_addr));
    } else {
        address.u.v6.sin6_family = AF_INET6;
        memcpy(&address.u.v6.sin6_addr, ip, sizeof(address.u.v6.sin6_addr));
    }
    address_set_port(&address, port);
    address_format(&address, out);
}

static int write_stream_hello(struct fingerprint *f, const char *name,
                              const struct stream_hello *hello)
{
    struct hello_origin origin = {
        .file = name, .packet_number = hello->packet_number, .time_ns = hello->time_ns};

    print_endpoint(origin.client, hello->flow.source, hello->flow.family, hello->flow.source_port);
    print_endpoint(origin.server, hello->flow.target, hello->flow.family, hello->flow.target_port);
    hello_facts_gather(f->facts, hello->wire);
    return write_hello(f, &origin);
}

static void note(const struct fingerprint *f, const char *name, uint64_t count, const char *what)
{
    if (count) {
        fprintf(f->err, "weir fingerprint: %s: passed over: %llu %s\n", name,
                (unsigned long long)count, what);
    }
}

static void note_counts(const struct fingerprint *f, const char *name,
                        const struct capture_counts *counts, const struct streams *streams)
{
    note(f, name, counts->kinds[PACKET_FRAGMENT], "IP fragments");
    note(f, name, counts->kinds[PACKET_LINK], "packets of an unknown link type");
    note(f, name, counts->kinds[PACKET_MALFORMED], "malformed packets");
    note(f, name, counts->cut, "ends of TCP segments that were not captured whole");
    note(f, name, streams_lost_count(streams), "connections: too many at a time");
}

static int read_packets(struct fingerprint *f, const char *name, struct capture *capture,
                        struct streams *streams, struct capture_counts *counts)
{
    struct capture_packet packet;
    struct packet_segment segment;
    struct stream_hello hello;
    enum capture_result result;

    while ((result = capture_next(capture, &packet)) == CAPTURE_PACKET) {
        enum packet_kind kind = packet_read(&packet, &segment);

        counts->kinds[kind]++;
        counts->cut += kind == PACKET_TCP && packet.cut_len;
        if (kind == PACKET_TCP && streams_feed(streams, &segment, &packet, &hello) &&
            write_stream_hello(f, name, &hello) != EXIT_STATUS_OK) {
            return EXIT_STATUS_RUNTIME;
        }
    }
    while (streams_flush(streams, &hello)) {
        if (write_stream_hello(f, name, &hello) != EXIT_STATUS_OK) {
            return EXIT_STATUS_RUNTIME;
        }
    }
    if (result == CAPTURE_BAD) {
        return complain(f, name,
                        capture->in->error ? strerror(capture->in->error) : capture->fault);
    }
    return EXIT_STATUS_OK;
}

static int run_capture(struct fingerprint *f, const char *name, struct input *in)
{
    struct capture *capture = malloc(sizeof(*capture));
    struct streams *streams = streams_new();
    struct capture_counts counts = {{0}, 0};
    uint64_t before = f->output.hello_count;
    int status = EXIT_STATUS_RUNTIME;

    if (!capture || !streams) {
        complain(f, name, "out of memory");
        goto out;
    }
    in->flush = f->output.out;
    if (!capture_start(capture, in)) {
        complain(f, name, in->error ? strerror(in->error) : capture->fault);
        goto out;
    }
    status = read_packets(f, name, capture, streams, &counts);
    note_counts(f, name, &counts, streams);
    if (status == EXIT_STATUS_OK && f->output.hello_count == before) {
        status = complain(f, name, "no ClientHello in this capture");
    }
out:
    streams_free(streams);
    free(capture);
    return status;
}

/* Everything else: one hello in bytes. */
static int run_binary(struct fingerprint *f, const char *name, struct input *in)
{
    if (input_fill(in, RECORD_BYTES_MAX + 1)) {
        return complain(f, name, "longer than any ClientHello");
    }
    if (in->error) {
        return complain(f, name, strerror(in->error));
    }
    if (!hello_facts_gather(f->facts, input_window(in))) {
        f->output.error_count++;
        return complain(f, name, f->facts->error);
    }
    return write_hello(f, &(struct hello_origin){.file = name});
}

/* The first bytes that tell what an input is; a lone newline is an answer too, so that a program
 * that asks line by line does not wait. */
static struct span first_bytes(struct input *in)
{
    input_fill(in, 1);
    if (input_window(in).len != 1 || input_window(in).data[0] != '\n') {
        input_fill(in, 6);
    }
    return input_window(in);
}

static int run_opened(struct fingerprint *f, const char *name, struct input *in)
{
    struct span first = first_bytes(in);
    size_t blank = 0;

    if (in->error) {
        return complain(f, name, strerror(in->error));
    }
    if (capture_recognise(first) != CAPTURE_FORMAT_NONE) {
        return run_capture(f, name, in);
    }
    while (blank < first.len && strchr(" \t\r\n", first.data[blank]) && first.data[blank]) {
        blank++;
    }
    if ((f->options->json && hello_form_recognise(first) == HELLO_FORM_NONE) ||
        (blank < first.len && first.data[blank] == '{')) {
        return run_json_lines(f, name, in);
    }
    return run_binary(f, name, in);
}

static int run_input(struct fingerprint *f, const char *name)
{
    struct input in;
    int failed = input_open(&in, name);
    int status;

    if (failed) {
        complain(f, name, strerror(-failed));
        return failed == -EACCES ? EXIT_STATUS_PERMISSION : EXIT_STATUS_RUNTIME;
    }
    status = run_opened(f, input_name(name), &in);
    input_fini(&in);
    return status;
}
