/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap_private: what tap.c, tap_h1.c and tap_h2.c share. An exchange under way is kept small, its
 * texts at their real length; nothing else is kept between exchanges but where each side stands.
 */
#ifndef WEIR_HTTP_TAP_PRIVATE_H
#define WEIR_HTTP_TAP_PRIVATE_H

#include "core/base/assert.h"
#include "http/edit.h"
#include "http/h1_body.h"

#include <nghttp2/nghttp2.h>

enum {
    TAP_PIPELINE_MAX = 16,                /* HTTP/1 exchanges under way at a time */
    TAP_GATHER_MAX = HTTP_HEAD_BYTES_MAX, /* a head, trailers or header block in pieces, bytes */
    TAP_GATHER_STEP = 1024,               /* bytes copied at a time while the end is not known */
    TAP_BLOCK_FRAMES_MAX = 256,           /* HTTP/2: frames that one header block may come in */
    TAP_HPACK_TABLE_MAX = 64 * 1024,      /* HTTP/2: dynamic table of one direction, bytes */
};

/* The texts of a request that an exchange reports. */
enum tap_text { TAP_METHOD, TAP_AUTHORITY, TAP_PATH, TAP_USER_AGENT, TAP_TEXT_COUNT };

/* The longest text of each kind that is kept, without a NUL. */
extern const uint16_t tap_text_max[TAP_TEXT_COUNT];

/* One exchange under way. Owned by the list or the table that it stands in. */
struct tap_open {
    struct tap_open *next; /* HTTP/1: in the order of requests */
    int64_t begin_ns;
    int64_t first_byte_ns;
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint16_t status; /* 0: no final response yet */
    uint16_t text_len[TAP_TEXT_COUNT];
    uint8_t http_major;
    uint8_t http_minor;
    bool request_over;
    bool response_over;
    bool upgraded;
    char text[]; /* one after another, without NUL */
};

/* Bytes of one head, trailer section or header block that came in pieces. Usually empty. */
struct tap_gather {
    uint8_t *data;
    uint32_t len;
    uint32_t cap;
};

struct tap_h1_side {
    struct tap_gather gather;
    struct h1_scan scan;
    struct h1_body body;
    uint8_t phase; /* what comes next: a head, a body or trailers */
};

struct tap_h1 {
    struct tap_h1_side sides[2];
    struct tap_open *first;
    struct tap_open *last;
    uint32_t count;
    bool is_spent; /* nobody else may use the server's connection: see http_tap_is_reusable() */
};

struct tap_h2_side {
    nghttp2_hd_inflater *inflater; /* of the header blocks that this side sends */
    uint32_t table_max;            /* the largest dynamic table that it may use, bytes */
    uint32_t block_stream;         /* 0: no header block is under way */
    struct tap_gather block;
    uint16_t block_frames;
    bool block_is_promise;
    bool block_ends_stream;
    bool had_settings; /* the first frame came and was SETTINGS */
    bool had_goaway;
    uint8_t phase;
    uint8_t small_len;  /* bytes in `small`, or of the preface */
    uint8_t small_want; /* bytes that must be there before the next step */
    uint8_t small[9];   /* a frame header; what stands before a body; one setting */
    uint8_t type;       /* these five: of the current frame */
    uint8_t flags;
    uint32_t stream_id;
    uint32_t body_left; /* bytes */
    uint32_t pad_left;  /* bytes */
};

struct tap_stream {
    uint32_t id;
    struct tap_open *open;
};

struct tap_h2 {
    struct tap_h2_side sides[2];
    struct tap_stream *streams; /* that are followed, in no order */
    uint32_t count;
    uint32_t cap;
    uint32_t newest_id; /* of the streams that the client opened, followed or not */
};

/* What is inserted into the bytes of one side; see edit.c. */
struct tap_edit {
    struct http_editor owner;
    enum http_tap_side side;
    struct span run;        /* what is fed now and has not gone on */
    const uint8_t *mark;    /* in it */
    struct tap_gather held; /* what was fed before and has not gone on */
    bool stopped;
    bool leaving;
    bool told_to_leave;
    uint16_t owed_len;       /* of `literal`: a CONTINUATION follows the frame; 0: none */
    uint8_t frame_header[9]; /* of the frame that got the field last */
    char literal[HTTP_EDIT_NAME_MAX + HTTP_EDIT_VALUE_MAX + 8];
};

enum tap_kind { TAP_UNDECIDED, TAP_H1, TAP_H2 };

struct http_tap {
    uint8_t kind;
    uint8_t preface_len; /* undecided: so many bytes came, and all are those of HTTP/2's preface */
    uint8_t blindness;   /* enum http_tap_blindness */
    bool had_first;      /* the first request came, or was dropped before it did */
    struct http_first_request *first; /* null: not there yet, or not any more */
    struct http_tap_stats stats;
    struct tap_edit *edits[2]; /* null: the bytes of that side are only looked at */
    union {
        struct tap_h1 h1;
        struct tap_h2 h2;
    };
};

/* RFC 9113 3.4: what an HTTP/2 client sends first. */
extern const struct span tap_h2_preface;

/* From now on nothing is followed. `why` is static. Frees all but the exchanges under way. The tap
 * has lost track, unless tap->blindness was set before. */
void tap_go_blind(struct http_tap *tap, const char *why);

/* An exchange whose request was seen at now_ns; texts that are too long are cut. Null when memory
 * is exhausted. */
struct tap_open *tap_open_new(const struct span text[TAP_TEXT_COUNT], int64_t now_ns) MUST_CHECK;

/* Fills *done, frees the exchange, counts it. */
void tap_open_report(struct http_tap *tap, struct tap_open *open, int64_t now_ns,
                     struct http_exchange *done);

/* A request begins: room for what it says if it is the first, else null, also without memory. Who
 * finds that the head cannot be followed drops it. */
struct http_first_request *tap_first_begin(struct http_tap *tap);
/* The next field of it; pseudo-header fields are passed over. */
void tap_first_add(struct http_first_request *first, struct span name, struct span value);

/* Appends up to `count` bytes from the front of *bytes, which moves on. The caller sees to it that
 * no more than TAP_GATHER_MAX are gathered. False: no memory. */
bool tap_gather_add(struct tap_gather *gather, struct span *bytes, size_t count) MUST_CHECK;
void tap_gather_clear(struct tap_gather *gather); /* frees the memory */

/* Both read until an exchange is over (true), or all was read, or the tap is blind. */
bool tap_h1_feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns, struct span *bytes,
                 struct http_exchange *done);
bool tap_h2_feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns, struct span *bytes,
                 struct http_exchange *done);

bool tap_h2_init(struct tap_h2 *h2) MUST_CHECK; /* false: no memory; nothing is left behind */

/* Free what reading needs; the exchanges under way stay. */
void tap_h1_stop(struct tap_h1 *h1);
void tap_h2_stop(struct tap_h2 *h2);

/* Take one exchange out of those under way; null when there is none. */
struct tap_open *tap_h1_pop(struct tap_h1 *h1);
struct tap_open *tap_h2_pop(struct tap_h2 *h2);

bool tap_h1_is_idle(const struct tap_h1 *h1);
bool tap_h2_is_idle(const struct tap_h2 *h2);

/* Does the end of what was fed belong to a head, or a frame, that may not go on yet? */
bool tap_h1_holds(const struct tap_h1 *h1, enum http_tap_side side);
bool tap_h2_holds(const struct tap_h2 *h2, enum http_tap_side side);

/* The server's bytes may be followed by a frame of ours. */
bool tap_h2_is_between_frames(const struct tap_h2 *h2);

/* ---- edit.c. Positions are addresses in the run, and never go back. ---- */

void edit_free(struct tap_edit *edit); /* null is allowed */
void edit_begin(struct tap_edit *edit, struct span run);
/* A head or frame begins at `at`, and what is before may go on. */
void edit_mark(struct tap_edit *edit, const uint8_t *at);
/* The run was read up to `at`. With `holds`, what begins at the mark waits. Null, or why not. */
const char *edit_settle(struct tap_edit *edit, const uint8_t *at, bool holds);
/* What begins at the mark does not go on, nor anything behind it. */
void edit_stop(struct tap_edit *edit);
/* Is that the name of the field that only we may send? False for no editor. */
bool edit_forbids(const struct tap_edit *edit, struct span name);
/* What that means. */
const char *edit_forged(const struct tap_edit *edit);

/* A head or trailers. Null, or why they may not go on. */
const char *edit_h1_check(const struct tap_edit *edit, const struct http_head *head);
/* A head that gets what there is to say, and ends at `end`. Null, or why it may not go on. */
const char *edit_h1_head(struct tap_edit *edit, const uint8_t *end);
/* A header block that gets the field is whole, but for padding from `end` on. There is a name.
 * Null, or why it may not go on. */
const char *edit_h2_block(struct tap_edit *edit, const uint8_t *end);
/* A frame ends at `end`. */
void edit_h2_frame_over(struct tap_edit *edit, const uint8_t *end, bool may_say_goaway);

#endif
