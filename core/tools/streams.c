/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/streams.h"

#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/table.h"
#include "core/tools/hello_facts.h"

#include <stdlib.h>

enum { CONTENT_CHANGE_CIPHER_SPEC = 20, CHANGE_CIPHER_SPEC_LEN = 6, FORM_LEN = 6 };

struct range {
    uint32_t start;
    uint32_t end;
};

enum stream_state {
    STREAM_IDLE,   /* waits for a segment that begins with a hello */
    STREAM_GATHER, /* `first` is the sequence number of the byte that a hello may begin with */
};

struct stream {
    struct table_node node;
    struct list_node used; /* in streams->used */
    struct packet_flow flow;
    enum stream_state state;
    bool has_started; /* bytes, or the SYN, were seen */
    bool has_syn;
    bool has_seen; /* `seen` is set */
    uint32_t syn;
    uint32_t first;
    uint32_t seen; /* sequence number behind the last hello: before it there is nothing new */
    uint8_t *bytes;
    uint32_t cap;
    uint32_t range_count;
    struct range ranges[STREAM_HOLES_MAX + 1]; /* of `bytes` that are there; sorted, apart */
    struct record_scan scan;
    uint64_t packet_number;
    int64_t time_ns;
};

struct streams {
    struct table table;
    struct list_node used; /* least used first */
    size_t bytes_len;
    uint64_t lost_count;
    uint8_t *held; /* of the hello that was handed out last */
    uint8_t join[CLIENT_HELLO_MAX];
};

static struct stream *stream_get(struct streams *streams, const struct packet_flow *flow);
static void stream_free(struct streams *streams, struct stream *stream);
static void start_gather(struct streams *streams, struct stream *stream, uint32_t first);
static void stop_gather(struct streams *streams, struct stream *stream);
static bool insert(struct streams *streams, struct stream *stream, uint32_t sequence,
                   struct span bytes);
static bool judge(struct streams *streams, struct stream *stream, struct stream_hello *hello);
static void hand_out(struct streams *streams, struct stream *stream, size_t len,
                     struct stream_hello *hello);

struct streams *streams_new(void)
{
    struct streams *streams = calloc(1, sizeof(*streams));

    if (streams && table_init(&streams->table, 64) != 0) {
        free(streams);
        return NULL;
    }
    if (streams) {
        list_init(&streams->used);
    }
    return streams;
}

void streams_free(struct streams *streams)
{
    if (!streams) {
        return;
    }
    LIST_FOREACH_SAFE (node, &streams->used) {
        stream_free(streams, CONTAINER_OF(node, struct stream, used));
    }
    table_fini(&streams->table);
    free(streams->held);
    free(streams);
}

uint64_t streams_lost_count(const struct streams *streams)
{
    return streams->lost_count;
}

/* RFC 9293 3.4 */
static bool is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static bool begins_hello(struct span bytes)
{
    return bytes.len >= FORM_LEN && bytes.data[5] == 1 &&
           hello_form_recognise(bytes) == HELLO_FORM_RECORDS;
}

/* How far into a segment a hello may begin: behind the ChangeCipherSpec that some clients send for
 * the sake of middleboxes (RFC 8446 D.4), or at once. */
static size_t skip_change_cipher_spec(struct span bytes)
{
    return bytes.len > CHANGE_CIPHER_SPEC_LEN && bytes.data[0] == CONTENT_CHANGE_CIPHER_SPEC &&
                   bytes.data[1] == 3
               ? CHANGE_CIPHER_SPEC_LEN
               : 0;
}

static void on_syn(struct streams *streams, struct stream *stream, uint32_t sequence)
{
    if (stream->has_syn && stream->syn == sequence) {
        return; /* sent again */
    }
    start_gather(streams, stream, sequence + 1);
    stream->has_syn = true;
    stream->syn = sequence;
    stream->has_seen = false;
    stream->has_started = true;
}

/* Decides where a hello may begin, if that is not known. */
static void on_payload(struct streams *streams, struct stream *stream, uint32_t sequence,
                       struct span payload)
{
    size_t skip = skip_change_cipher_spec(payload);
    bool begins = begins_hello(span_skip(payload, skip));
    bool is_new = !stream->has_seen || !is_before(sequence, stream->seen);

    sequence += (uint32_t)skip;
    if (stream->state == STREAM_GATHER) {
        /* What came before it on the wire is missing from the capture. */
        if (begins && stream->first != sequence &&
            (stream->range_count == 0 || stream->ranges[0].start > 0)) {
            start_gather(streams, stream, sequence);
        }
    } else if (begins && is_new) {
        start_gather(streams, stream, sequence);
    } else if (!stream->has_started) {
        start_gather(streams, stream, sequence); /* the SYN was not captured */
    }
    stream->has_started = true;
}

/* True: with these bytes a hello is whole. */
static bool take(struct streams *streams, struct stream *stream, uint32_t sequence,
                 struct span payload, const struct capture_packet *packet,
                 struct stream_hello *hello)
{
    if (stream->state != STREAM_GATHER || !insert(streams, stream, sequence, payload)) {
        return false;
    }
    stream->packet_number = packet->number;
    stream->time_ns = packet->time_ns;
    return judge(streams, stream, hello);
}

bool streams_feed(struct streams *streams, const struct packet_segment *segment,
                  const struct capture_packet *packet, struct stream_hello *hello)
{
    struct stream *stream;
    uint32_t sequence = segment->sequence;

    if (!segment->is_syn && segment->payload.len == 0) {
        return false;
    }
    stream = stream_get(streams, &segment->flow);
    if (!stream) {
        streams->lost_count++;
        return false;
    }
    if (segment->is_syn) {
        on_syn(streams, stream, sequence);
        sequence++;
    }
    if (segment->payload.len == 0) {
        return false;
    }
    on_payload(streams, stream, sequence, segment->payload);
    if (take(streams, stream, sequence, segment->payload, packet, hello)) {
        return true;
    }
    /* What came before was no hello, but this segment may begin one, if it was not in question. */
    if (stream->state == STREAM_GATHER) {
        return false;
    }
    on_payload(streams, stream, sequence, segment->payload);
    return take(streams, stream, sequence, segment->payload, packet, hello);
}

bool streams_flush(struct streams *streams, struct stream_hello *hello)
{
    struct list_node *node;

    while ((node = streams->used.next) != &streams->used) {
        struct stream *stream = CONTAINER_OF(node, struct stream, used);
        bool is_cut =
            stream->state == STREAM_GATHER && stream->range_count && stream->ranges[0].start == 0;

        if (is_cut) {
            hand_out(streams, stream, stream->ranges[0].end, hello);
        }
        stream_free(streams, stream);
        if (is_cut) {
            return true;
        }
    }
    return false;
}

/* Finds the stream, or makes it; it is then the one used last. Null: out of heap. */
static struct stream *stream_get(struct streams *streams, const struct packet_flow *flow)
{
    uint64_t hash = hash_bytes(span_make(flow, sizeof(*flow)));
    struct table_node *node = table_first(&streams->table, hash);
    struct stream *stream;

    for (; node; node = table_next(node)) {
        stream = CONTAINER_OF(node, struct stream, node);
        if (memcmp(&stream->flow, flow, sizeof(*flow)) == 0) {
            list_remove(&stream->used);
            list_push_back(&streams->used, &stream->used);
            return stream;
        }
    }
    if (streams->table.count == STREAMS_MAX) {
        stream = CONTAINER_OF(streams->used.next, struct stream, used);
        streams->lost_count += stream->range_count != 0;
        stream_free(streams, stream);
    }
    stream = calloc(1, sizeof(*stream));
    if (stream) {
        stream->flow = *flow;
        list_init(&stream->used);
        list_push_back(&streams->used, &stream->used);
        table_insert(&streams->table, &stream->node, hash);
    }
    return stream;
}

static void stream_free(struct streams *streams, struct stream *stream)
{
    stop_gather(streams, stream);
    list_remove(&stream->used);
    table_remove(&streams->table, &stream->node);
    free(stream);
}

static void stop_gather(struct streams *streams, struct stream *stream)
{
    streams->bytes_len -= stream->cap;
    free(stream->bytes);
    stream->bytes = NULL;
    stream->cap = 0;
    stream->range_count = 0;
    stream->state = STREAM_IDLE;
}

static void start_gather(struct streams *streams, struct stream *stream, uint32_t first)
{
    stop_gather(streams, stream);
    stream->state = STREAM_GATHER;
    stream->first = first;
    stream->scan = (struct record_scan){0};
}

static bool make_room(struct streams *streams, struct stream *stream, uint32_t want)
{
    uint32_t cap = stream->cap ? stream->cap : 2048;
    uint8_t *bytes;

    while (cap < want) {
        cap *= 2;
    }
    if (cap > RECORD_BYTES_MAX) {
        cap = RECORD_BYTES_MAX;
    }
    if (stream->cap >= cap) {
        return true;
    }
    while (streams->bytes_len + (cap - stream->cap) > STREAMS_BYTES_MAX) {
        struct list_node *node = streams->used.next;
        struct stream *oldest = CONTAINER_OF(node, struct stream, used);
        if (oldest == stream) {
            return false;
        }
        streams->lost_count += oldest->range_count != 0;
        stream_free(streams, oldest);
    }
    bytes = realloc(stream->bytes, cap);
    if (!bytes) {
        return false;
    }
    streams->bytes_len += cap - stream->cap;
    stream->bytes = bytes;
    stream->cap = cap;
    return true;
}

/* Copies what is not there yet. */
static void copy_new(struct stream *stream, struct range part, const uint8_t *data)
{
    uint32_t at = part.start;

    for (uint32_t i = 0; i < stream->range_count && at < part.end; i++) {
        const struct range *have = &stream->ranges[i];
        uint32_t upto = have->start < part.end ? have->start : part.end;

        if (at < upto) {
            memcpy(stream->bytes + at, data + (at - part.start), upto - at);
        }
        if (have->end > at) {
            at = have->end;
        }
    }
    if (at < part.end) {
        memcpy(stream->bytes + at, data + (at - part.start), part.end - at);
    }
}

/* False: it would be one range too many. */
static bool add_range(struct stream *stream, struct range part)
{
    struct range kept[STREAM_HOLES_MAX + 1];
    uint32_t count = 0;
    uint32_t i = 0;

    for (; i < stream->range_count && stream->ranges[i].end < part.start; i++) {
        kept[count++] = stream->ranges[i];
    }
    for (; i < stream->range_count && stream->ranges[i].start <= part.end; i++) {
        part.start = part.start < stream->ranges[i].start ? part.start : stream->ranges[i].start;
        part.end = part.end > stream->ranges[i].end ? part.end : stream->ranges[i].end;
    }
    if (count + 1 + (stream->range_count - i) > COUNT_OF(kept)) {
        return false;
    }
    kept[count++] = part;
    for (; i < stream->range_count; i++) {
        kept[count++] = stream->ranges[i];
    }
    memcpy(stream->ranges, kept, count * sizeof(kept[0]));
    stream->range_count = count;
    return true;
}

/* False: nothing new came of it. */
static bool insert(struct streams *streams, struct stream *stream, uint32_t sequence,
                   struct span bytes)
{
    uint32_t at = sequence - stream->first;
    struct range part;

    if (is_before(sequence, stream->first)) {
        bytes = span_skip(bytes, stream->first - sequence);
        at = 0;
    }
    if (at >= RECORD_BYTES_MAX || bytes.len == 0) {
        return false;
    }
    bytes = span_sub(bytes, 0, RECORD_BYTES_MAX - at);
    part = (struct range){at, at + (uint32_t)bytes.len};
    if (!make_room(streams, stream, part.end)) {
        return false;
    }
    copy_new(stream, part, bytes.data);
    return add_range(stream, part);
}

/* Bytes from the start on that are judged as a hello; 0: not yet, or none begins here. */
static size_t judge_records(struct streams *streams, struct stream *stream, struct span wire,
                            bool *is_other)
{
    struct span message;

    switch (record_gather_hello(&stream->scan, wire, streams->join, &message)) {
    case RECORD_MORE:
        return 0;
    case RECORD_DONE:
        return wire.len;
    case RECORD_BAD:
        break;
    }
    *is_other = !begins_hello(wire);
    return *is_other ? 0 : wire.len;
}

static bool judge(struct streams *streams, struct stream *stream, struct stream_hello *hello)
{
    struct span wire = span_make(stream->bytes, stream->ranges[0].end);
    bool is_other = false;
    size_t len = 0;

    if (stream->ranges[0].start > 0) {
        return false;
    }
    if (record_recognise(wire) != RECORD_BAD) {
        len = judge_records(streams, stream, wire, &is_other);
    } else if (hello_form_recognise(wire) == HELLO_FORM_SSLV2) {
        len = wire.len >= hello_sslv2_len(wire) ? wire.len : 0;
    } else {
        is_other = wire.len >= FORM_LEN || !(wire.data[0] & 0x80);
    }
    if (is_other) {
        stop_gather(streams, stream);
        return false;
    }
    if (len == 0) {
        return false;
    }
    stream->seen = stream->first + (uint32_t)len;
    stream->has_seen = true;
    hand_out(streams, stream, len, hello);
    stop_gather(streams, stream);
    return true;
}

static void hand_out(struct streams *streams, struct stream *stream, size_t len,
                     struct stream_hello *hello)
{
    free(streams->held);
    streams->held = stream->bytes;
    streams->bytes_len -= stream->cap;
    stream->bytes = NULL;
    stream->cap = 0;
    *hello = (struct stream_hello){
        .flow = stream->flow,
        .packet_number = stream->packet_number,
        .time_ns = stream->time_ns,
        .wire = span_make(streams->held, len),
    };
}
