/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte is judged as soon as it is there and in the order of the wire, so the verdict does not
 * depend on how the bytes were split into reads. Records that are whole are never looked at again,
 * except twice: for the first four bytes of the message, and to join it at the end.
 */
#include "tls/record.h"

#include "core/base/assert.h"

enum {
    CONTENT_HANDSHAKE = 22,
    /* All of legacy_record_version that may be looked at: servers ignore what is behind it (RFC
     * 8446 5.1), so whoever judged that could be led past the interception. */
    VERSION_MAJOR = 3,
    HEADER_LEN = 5,
    PLAINTEXT_MAX = 1 << 14, /* RFC 8446 5.1; a hello is never encrypted */
    EMPTY_RECORDS_MAX = 32,  /* forbidden, but tolerated by TLS libraries */
    MESSAGE_HEADER_LEN = 4,
    MESSAGE_TYPE_CLIENT_HELLO = 1,
};

/* RFC 8446 6.2 */
enum {
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_PROTOCOL_VERSION = 70,
};

static enum record_result check_header(struct record_scan *scan, struct span wire, size_t *len);
static enum record_result read_message_header(struct record_scan *scan, struct span wire);
static size_t copy_handshake(uint8_t *out, size_t cap, struct span wire);

static enum record_result refuse(struct record_scan *scan, const char *field, size_t offset,
                                 uint8_t alert)
{
    scan->fault = (struct client_hello_fault){field, offset, alert};
    return RECORD_BAD;
}

static size_t record_len(const uint8_t *header)
{
    return (size_t)header[3] << 8 | header[4];
}

enum record_result record_recognise(struct span first_bytes)
{
    if (first_bytes.len && first_bytes.data[0] != CONTENT_HANDSHAKE) {
        return RECORD_BAD;
    }
    if (first_bytes.len > 1 && first_bytes.data[1] != VERSION_MAJOR) {
        return RECORD_BAD;
    }
    return first_bytes.len > 1 ? RECORD_DONE : RECORD_MORE;
}

enum record_result record_gather_hello(struct record_scan *scan, struct span wire, uint8_t *join,
                                       struct span *message)
{
    for (;;) {
        size_t len;
        size_t end;
        enum record_result result = check_header(scan, wire, &len);
        if (result != RECORD_DONE) {
            return result;
        }
        end = scan->offset + HEADER_LEN + len;
        if (scan->message_total == 0) {
            struct span upto = span_make(wire.data, wire.len < end ? wire.len : end);
            result = read_message_header(scan, upto);
            if (result != RECORD_DONE) {
                return result;
            }
        }
        /* Nothing may follow a ClientHello in its last record: what comes next is under other keys
         * or waits for the server (RFC 8446 5.1). */
        if (scan->message_total && scan->message_len + len > scan->message_total) {
            return refuse(scan, "record_length", scan->offset + 3, ALERT_UNEXPECTED_MESSAGE);
        }
        if (wire.len < end) {
            /* Until the message's length is known, the next byte may be the one that is wrong. */
            scan->want = scan->message_total ? end : wire.len + 1;
            return RECORD_MORE;
        }
        if (scan->message_total && scan->message_len + len == scan->message_total) {
            break; /* the scan stays before this record: asked again, it answers the same */
        }
        scan->offset = end;
        scan->message_len += len;
        scan->record_count++;
        scan->empty_count += len == 0;
    }
    if (record_len(wire.data) == scan->message_total) {
        *message = span_sub(wire, HEADER_LEN, scan->message_total);
    } else {
        size_t joined = copy_handshake(join, scan->message_total, wire);
        ASSERT(joined == scan->message_total);
        *message = span_make(join, joined);
    }
    scan->want = wire.len;
    return RECORD_DONE;
}

/* The header at scan->offset; DONE: it is whole and may stand there, *len is its content's. */
static enum record_result check_header(struct record_scan *scan, struct span wire, size_t *len)
{
    size_t at = scan->offset;
    const uint8_t *header;
    size_t have;

    ASSERT(wire.len >= at); /* what was received stays received */
    if (at + HEADER_LEN > RECORD_BYTES_MAX) {
        return refuse(scan, "record", at, ALERT_ILLEGAL_PARAMETER);
    }
    have = wire.len - at;
    scan->want = have < 2 ? wire.len + 1 : at + HEADER_LEN; /* the first two are judged alone */
    if (have == 0) {
        return RECORD_MORE;
    }
    header = wire.data + at;
    if (header[0] != CONTENT_HANDSHAKE) {
        return refuse(scan, "content_type", at, ALERT_UNEXPECTED_MESSAGE);
    }
    if (have > 1 && header[1] != VERSION_MAJOR) {
        return refuse(scan, "legacy_record_version", at + 1, ALERT_PROTOCOL_VERSION);
    }
    if (have < HEADER_LEN) {
        return RECORD_MORE;
    }
    *len = record_len(header);
    if (*len > PLAINTEXT_MAX) {
        return refuse(scan, "record_length", at + 3, ALERT_RECORD_OVERFLOW);
    }
    if (*len == 0 && (at == 0 || scan->empty_count == EMPTY_RECORDS_MAX)) {
        return refuse(scan, "record_length", at + 3, ALERT_UNEXPECTED_MESSAGE);
    }
    if (at + HEADER_LEN + *len > RECORD_BYTES_MAX) {
        return refuse(scan, "record", at, ALERT_ILLEGAL_PARAMETER);
    }
    return RECORD_DONE;
}

/* Where on the wire the handshake byte `index` is; it must have been received. */
static size_t wire_offset(struct span wire, size_t index)
{
    size_t at = 0;
    size_t len = record_len(wire.data);

    while (index >= len) {
        index -= len;
        at += HEADER_LEN + len;
        ASSERT(at + HEADER_LEN < wire.len);
        len = record_len(wire.data + at);
    }
    return at + HEADER_LEN + index;
}

/* Learns the message's length as soon as its bytes are there, which may be after this call. `wire`
 * ends with the record at scan->offset, or before. DONE: go on. */
static enum record_result read_message_header(struct record_scan *scan, struct span wire)
{
    uint8_t header[MESSAGE_HEADER_LEN];
    /* At most 4 records with content and EMPTY_RECORDS_MAX without are walked here. */
    size_t known = copy_handshake(header, sizeof(header), wire);
    size_t total;

    if (known && header[0] != MESSAGE_TYPE_CLIENT_HELLO) {
        return refuse(scan, "msg_type", wire_offset(wire, 0), ALERT_UNEXPECTED_MESSAGE);
    }
    if (known < sizeof(header)) {
        return RECORD_DONE;
    }
    total = ((size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3]) + sizeof(header);
    if (total > CLIENT_HELLO_MAX) {
        return refuse(scan, "length", wire_offset(wire, 1), ALERT_ILLEGAL_PARAMETER);
    }
    scan->message_total = total;
    return RECORD_DONE;
}

/* The first handshake bytes of the records in `wire`, whose headers were checked before. */
static size_t copy_handshake(uint8_t *out, size_t cap, struct span wire)
{
    size_t copied = 0;
    size_t at = 0;

    while (copied < cap && at + HEADER_LEN < wire.len) {
        size_t record = record_len(wire.data + at);
        size_t len = record;

        at += HEADER_LEN;
        if (len > wire.len - at) {
            len = wire.len - at;
        }
        if (len > cap - copied) {
            len = cap - copied;
        }
        memcpy(out + copied, wire.data + at, len);
        copied += len;
        at += record;
    }
    return copied;
}
