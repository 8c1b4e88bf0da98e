/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks: the messages of SOCKS5 (RFC 1928) with user names and passwords (RFC 1929), for both ends:
 * weir as the server of a client, and as the client of a server on its way. Parsers and writers: no
 * I/O, nothing allocated, any thread. SOCKS4 is told apart, to be refused in its own words.
 *
 *     client                                     server
 *     greeting: methods              ------->
 *                                    <-------    method choice
 *     user name and password         ------->                       if that was chosen
 *                                    <-------    status
 *     request: CONNECT host:port     ------->
 *                                    <-------    reply: code, bound address
 *
 * Each parser is given all bytes received since the message's start. Its answer is the same however
 * they were cut; BAD comes with the first byte that makes it certain (in a domain name: once the
 * name is whole). Never MORE with the message's *_BYTES_MAX bytes or more.
 */
#ifndef WEIR_SESSION_SOCKS_H
#define WEIR_SESSION_SOCKS_H

#include "core/base/text.h"
#include "core/engine/address.h"
#include "http/authority.h"

enum {
    SOCKS_GREETING_BYTES_MAX = 2 + 255,
    SOCKS_METHOD_BYTES = 2,
    SOCKS_AUTH_BYTES_MAX = 2 + 255 + 1 + 255,
    SOCKS_AUTH_STATUS_BYTES = 2,
    SOCKS_REQUEST_BYTES_MAX = 4 + 1 + 255 + 2,
    SOCKS_REPLY_BYTES_MAX = 4 + 1 + 255 + 2,
    SOCKS_BYTES_MAX = SOCKS_AUTH_BYTES_MAX, /* the longest message of all, also of those written */
    SOCKS_TEXT_MAX = 255,                   /* bytes of a user name, a password, a domain name */
};

/* RFC 1928 3. */
enum socks_method {
    SOCKS_METHOD_NONE = 0x00, /* no authentication required */
    SOCKS_METHOD_PASSWORD = 0x02,
    SOCKS_METHOD_REFUSED = 0xff, /* none of those offered is acceptable */
};

/* RFC 1928 4. */
enum socks_command { SOCKS_CONNECT = 1, SOCKS_BIND = 2, SOCKS_UDP_ASSOCIATE = 3 };

/* RFC 1928 6. */
enum socks_reply_code {
    SOCKS_REPLY_SUCCEEDED = 0,
    SOCKS_REPLY_FAILURE = 1,
    SOCKS_REPLY_NOT_ALLOWED = 2, /* by a rule */
    SOCKS_REPLY_NETWORK_UNREACHABLE = 3,
    SOCKS_REPLY_HOST_UNREACHABLE = 4,
    SOCKS_REPLY_REFUSED = 5, /* the destination refused the connection */
    SOCKS_REPLY_TTL_EXPIRED = 6,
    SOCKS_REPLY_COMMAND_UNSUPPORTED = 7,
    SOCKS_REPLY_ADDRESS_UNSUPPORTED = 8, /* this type of address */
};

enum socks_result {
    SOCKS_MORE, /* right so far, not whole yet */
    SOCKS_DONE,
    SOCKS_BAD, /* whatever follows: *fault says why */
};

struct socks_fault {
    const char *what; /* a static sentence: what is wrong and what was expected */
    size_t offset;    /* of the byte, from the message's start */
    uint8_t reply;    /* a socks_reply_code: of a bad request the one to send, of a reply the one
                         received (FAILURE, if it is malformed); else FAILURE */
};

/* ---- As the server ---- */

struct socks_greeting {
    struct span methods; /* a view: 1 to 255 bytes */
    size_t len;          /* bytes of the message */
};

enum socks_result socks_parse_greeting(struct span bytes, struct socks_greeting *greeting,
                                       struct socks_fault *fault);
bool socks_is_offered(const struct socks_greeting *greeting, enum socks_method method);

/* To whoever opened with these bytes, in the words of the version that they are of: SOCKS4 (or 4a)
 * has its own, all others are told that no method will do. */
void socks_write_refusal(struct text *out, struct span opening);

/* SOCKS_METHOD_REFUSED: the connection ends behind it. */
void socks_write_method(struct text *out, enum socks_method method);

/* RFC 1929 2. */
struct socks_auth {
    struct span username; /* a view: 1 to 255 bytes, any of them */
    struct span password; /* a view: 0 to 255 bytes; the RFC has no empty one, clients do */
    size_t len;
};

enum socks_result socks_parse_auth(struct span bytes, struct socks_auth *auth,
                                   struct socks_fault *fault);
void socks_write_auth_status(struct text *out, bool accepted);

struct socks_request {
    enum socks_command command;
    /* Where to: an IP address in its one spelling, or a name by the rules of authority_parse_host()
     * in lower case. With CONNECT the port is not 0. */
    struct http_authority target;
    size_t len;
};

/* BIND and UDP ASSOCIATE are DONE as well: to serve them or to refuse is for the caller. */
enum socks_result socks_parse_request(struct span bytes, struct socks_request *request,
                                      struct socks_fault *fault);

/* `bound`: our address towards the destination; null or none: 0.0.0.0:0, as in a refusal. */
void socks_write_reply(struct text *out, enum socks_reply_code code, const struct address *bound);

/* ---- As the client ---- */

/* Offers to go without authentication, and, if there is a password to give, that as well. */
void socks_write_greeting(struct text *out, bool has_password);

/* BAD too when the server takes none of the methods that were offered so. */
enum socks_result socks_parse_method(struct span bytes, bool has_password,
                                     enum socks_method *method, struct socks_fault *fault);

/* `username`: 1 to 255 bytes, `password`: 0 to 255. */
void socks_write_auth(struct text *out, struct span username, struct span password);

/* BAD too when the server does not accept them. */
enum socks_result socks_parse_auth_status(struct span bytes, struct socks_fault *fault);

/* CONNECT. `host`: an IPv4 or IPv6 address without brackets, which is sent as such, or a name of 1
 * to 255 bytes, which the server looks up. */
void socks_write_connect(struct text *out, struct span host, uint16_t port);

struct socks_reply {
    struct address bound;   /* the server's address towards the destination; len 0: it is a name */
    struct span bound_name; /* then this one: a view, 0 to 255 bytes that nobody looked at */
    size_t len;             /* what the destination sends begins there */
};

/* BAD too when the server could not connect: *fault has its code and what that means. */
enum socks_result socks_parse_reply(struct span bytes, struct socks_reply *reply,
                                    struct socks_fault *fault);

/* What a reply's code means: a static sentence, for any value. */
const char *socks_reply_sentence(uint8_t code);

#endif
