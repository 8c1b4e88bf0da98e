/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine is one SSL object between two queues. The library reads and writes through a BIO whose
 * data is the engine; callbacks find the engine the same way. What only a handshake needs lies in a
 * block of its own and goes when the handshake ends, as does the library's own part.
 *
 * Errors: the library keeps them in a queue of the thread. Handshake, read, write and shutdown
 * empty it when they begin; here it is emptied after each failure, so that nothing of one
 * connection is seen by another.
 *
 * Resumption towards servers: a session is offered only after its chain was verified anew, for the
 * name that is asked for now and at the time that it is now. What passes then is as good as a full
 * handshake, also if the trusted roots changed meanwhile; what does not pass is forgotten, and a
 * full handshake shows what the server has today.
 */
#include "tls/engine.h"

#include "core/base/clock.h"
#include "core/base/text.h"
#include "tls/alert.h"
#include "tls/context_private.h"
#include "tls/leaf_private.h"
#include "tls/ticket_private.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    NAME_MAX_LEN = 255,
    ALPN_MAX_LEN = 255,
    RECORD_HEADER_LEN = 5,
    RECORD_TYPE_ALERT = 21,
    CLEAR_ALERT_LEN = 2, /* level and description; an encrypted one is longer */
};

/* Where in the records the bytes are that the library took from `in`. */
struct record_place {
    uint8_t header[RECORD_HEADER_LEN];
    uint8_t header_len; /* 0: between records */
    uint16_t body_left;
    uint8_t clear_alert; /* description in the last alert record in clear; 0: none came */
};

/* What only the handshake needs. */
struct handshake {
    char verify_name[NAME_MAX_LEN + 1];
    bool name_is_ip;
    bool session_offered;
    uint8_t alpn[ALPN_MAX_LEN]; /* what we choose if the client offers it */
    size_t alpn_len;
};

struct tls_engine {
    SSL *ssl;
    struct tls_context *context;
    struct buf_queue *in;
    struct buf_queue *out;
    struct buf_cache *cache;
    struct handshake *handshake; /* null: it is over */
    struct ticket_store *tickets;
    CRYPTO_BUFFER *peer_leaf;
    enum tls_status status;
    bool is_accept;
    bool shutdown_sent;
    bool memory_exhausted; /* `out` could not grow */
    struct record_place place;
    uint8_t ticket_key[TICKET_KEY_LEN];
    int64_t opened_s; /* of wall_s() */
    struct tls_fault fault;
};

/* The BIO. */

static BIO_METHOD *queue_method;
static pthread_once_t queue_method_once = PTHREAD_ONCE_INIT;

static struct tls_engine *engine_of(const SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}

/* Follows the record headers in bytes that the library takes. */
static void follow_records(struct record_place *place, const uint8_t *bytes, size_t len)
{
    while (len) {
        if (place->header_len < RECORD_HEADER_LEN) {
            place->header[place->header_len++] = *bytes++;
            len--;
            if (place->header_len == RECORD_HEADER_LEN) {
                place->body_left = (uint16_t)(place->header[3] << 8 | place->header[4]);
            }
        } else {
            size_t count = len < place->body_left ? len : place->body_left;
            if (place->header[0] == RECORD_TYPE_ALERT && place->header[3] == 0 &&
                place->header[4] == CLEAR_ALERT_LEN && count == place->body_left) {
                place->clear_alert = bytes[count - 1];
            }
            place->body_left = (uint16_t)(place->body_left - count);
            bytes += count;
            len -= count;
        }
        if (place->header_len == RECORD_HEADER_LEN && place->body_left == 0) {
            place->header_len = 0;
        }
    }
}

static int queue_read(BIO *bio, char *memory, int cap)
{
    struct tls_engine *engine = BIO_get_data(bio);
    size_t done = 0;

    BIO_clear_retry_flags(bio);
    while (done < (size_t)cap && engine->in->len) {
        struct span first = buf_view(engine->in->first);
        size_t count = first.len < (size_t)cap - done ? first.len : (size_t)cap - done;
        memcpy(memory + done, first.data, count);
        buf_queue_consume(engine->in, engine->cache, count);
        done += count;
    }
    if (done == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    follow_records(&engine->place, (const uint8_t *)memory, done);
    return (int)done;
}

static int queue_write(BIO *bio, const char *bytes, int len)
{
    struct tls_engine *engine = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (!buf_queue_append(engine->out, engine->cache, span_make(bytes, (size_t)len))) {
        engine->memory_exhausted = true;
        return -1;
    }
    return len;
}

static long queue_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void make_queue_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weir queue");

    if (method && BIO_meth_set_read(method, queue_read) &&
        BIO_meth_set_write(method, queue_write) && BIO_meth_set_ctrl(method, queue_control)) {
        queue_method = method;
    }
}

static bool set_bio(struct tls_engine *engine)
{
    BIO *bio;

    bio = BIO_new(queue_method);
    if (!bio) {
        return false;
    }
    BIO_set_data(bio, engine);
    BIO_set_init(bio, 1);
    SSL_set_bio(engine->ssl, bio, bio); /* takes our reference, for both directions */
    return true;
}

/* Faults. */

static const char *peer_noun(const struct tls_engine *engine)
{
    return engine->is_accept ? "client" : "server";
}

/* The library's reason, "NO_SHARED_CIPHER", as words. */
static void text_reason(struct text *t, uint32_t error)
{
    const char *reason = ERR_reason_error_string(error);

    if (!reason) {
        text_printf(t, "error %08x of the TLS library", error);
        return;
    }
    for (; *reason; reason++) {
        char c = *reason;
        if (c == '_') {
            c = ' ';
        } else if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        text_char(t, c);
    }
}

static void text_alert_received(struct text *t, const struct tls_engine *engine)
{
    uint8_t alert = engine->fault.alert_received;

    if (alert_is_about_certificate(alert)) {
        text_printf(t, "the %s rejected our certificate: ", peer_noun(engine));
    } else {
        text_printf(t, "the %s sent the alert ", peer_noun(engine));
    }
    text_printf(t, "%s (%u)", alert_name(alert), alert);
}

static void text_error(struct text *t, const struct tls_engine *engine, uint32_t error)
{
    text_printf(t, "TLS with the %s failed: ", peer_noun(engine));
    if (engine->memory_exhausted) {
        text_string(t, "memory is exhausted");
    } else if (error) {
        text_reason(t, error);
    } else if (engine->fault.alert_sent) {
        text_string(t, "refused without a reason"); /* the library has none for some */
    } else {
        text_string(t, "it closed during the handshake");
    }
    if (engine->fault.alert_sent) {
        text_printf(t, "; we answered %s (%u)", alert_name(engine->fault.alert_sent),
                    engine->fault.alert_sent);
    }
}

static void handshake_free(struct tls_engine *engine)
{
    free(engine->handshake);
    engine->handshake = NULL;
}

static enum tls_status fail(struct tls_engine *engine)
{
    /* The first error is the cause, the others are what came of it. */
    uint32_t error = ERR_peek_error();
    struct tls_fault *fault = &engine->fault;

    /* Clients on OpenSSL that do not like our certificate say so in clear although the handshake is
     * encrypted by then, which the library can only take for a broken record. */
    if (engine->handshake && engine->is_accept && !fault->alert_received) {
        fault->alert_received = engine->place.clear_alert;
    }

    if (fault->text[0] == '\0') {
        struct text t = text_make(fault->text, sizeof(fault->text) - 1);
        if (fault->alert_received) {
            text_alert_received(&t, engine);
        } else {
            text_error(&t, engine, error);
        }
        fault->text[t.len] = '\0';
    }
    if (engine->handshake && engine->handshake->session_offered) {
        ticket_store_drop(engine->tickets, engine->ticket_key);
    }
    handshake_free(engine);
    ERR_clear_error();
    engine->status = TLS_FAILED;
    return engine->status;
}

static void on_info(const SSL *ssl, int type, int value)
{
    struct tls_engine *engine = engine_of(ssl);
    uint8_t alert = (uint8_t)(value & 0xff);

    if (!(type & SSL_CB_ALERT) || alert == SSL_AD_CLOSE_NOTIFY) {
        return;
    }
    if (type & SSL_CB_WRITE) {
        engine->fault.alert_sent = alert;
    } else if (value >> 8 == SSL3_AL_FATAL ||
               (SSL_version(ssl) >= TLS1_3_VERSION && alert != SSL_AD_USER_CANCELLED)) {
        engine->fault.alert_received = alert; /* RFC 8446 6: the level means nothing any more */
    }
}

/* Towards servers. */

/* RFC 8446 6.2 names one alert for each of these. */
static uint8_t alert_of(enum verify_class class)
{
    switch (class) {
    case VERIFY_EXPIRED:
        return SSL_AD_CERTIFICATE_EXPIRED;
    case VERIFY_SELF_SIGNED:
    case VERIFY_UNKNOWN_ISSUER:
    case VERIFY_OWN_CA:
        return SSL_AD_UNKNOWN_CA;
    case VERIFY_REVOKED:
        return SSL_AD_CERTIFICATE_REVOKED;
    case VERIFY_BAD_PURPOSE:
        return SSL_AD_UNSUPPORTED_CERTIFICATE;
    default:
        return SSL_AD_BAD_CERTIFICATE;
    }
}

static enum verify_class verify_certificates(const struct tls_engine *engine,
                                             const STACK_OF(CRYPTO_BUFFER) * certificates,
                                             struct span name, bool name_is_ip,
                                             struct verify_fault *fault)
{
    struct span chain[VERIFY_CHAIN_MAX + 1]; /* one more, so that too many are seen as such */
    size_t count = 0;

    while (certificates && count < COUNT_OF(chain) && count < sk_CRYPTO_BUFFER_num(certificates)) {
        const CRYPTO_BUFFER *certificate = sk_CRYPTO_BUFFER_value(certificates, count);
        chain[count++] = span_make(CRYPTO_BUFFER_data(certificate), CRYPTO_BUFFER_len(certificate));
    }
    return verify_chain(engine->context->trust, chain, count, name, name_is_ip,
                        engine->context->wall_s(), fault);
}

/* For the name that the handshake was begun with. */
static enum verify_class verify_in_handshake(const struct tls_engine *engine,
                                             const STACK_OF(CRYPTO_BUFFER) * certificates,
                                             struct verify_fault *fault)
{
    const struct handshake *handshake = engine->handshake;

    return verify_certificates(engine, certificates, span_from_string(handshake->verify_name),
                               handshake->name_is_ip, fault);
}

static void keep_peer_leaf(struct tls_engine *engine)
{
    const STACK_OF(CRYPTO_BUFFER) *certificates = SSL_get0_peer_certificates(engine->ssl);

    if (!engine->peer_leaf && certificates && sk_CRYPTO_BUFFER_num(certificates) > 0) {
        engine->peer_leaf = sk_CRYPTO_BUFFER_value(certificates, 0);
        CRYPTO_BUFFER_up_ref(engine->peer_leaf);
    }
}

/* Runs in full handshakes only: if a session was offered, the server did not take it. */
static enum ssl_verify_result_t on_verify(SSL *ssl, uint8_t *alert)
{
    struct tls_engine *engine = engine_of(ssl);
    struct verify_fault fault;

    if (engine->handshake->session_offered) {
        engine->handshake->session_offered = false;
        ticket_store_drop(engine->tickets, engine->ticket_key);
    }
    keep_peer_leaf(engine);
    if (!engine->context->verify ||
        verify_in_handshake(engine, SSL_get0_peer_certificates(ssl), &fault) == VERIFY_OK) {
        return ssl_verify_ok;
    }
    engine->fault.verify = fault.class;
    struct text t = text_make(engine->fault.text, sizeof(engine->fault.text) - 1);
    text_string(&t, fault.text);
    engine->fault.text[t.len] = '\0';
    *alert = alert_of(fault.class);
    return ssl_verify_invalid;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_engine *engine = engine_of(ssl);

    return engine->tickets && SSL_SESSION_is_resumable(session) &&
           ticket_store_put(engine->tickets, engine->ticket_key, session);
}

/* Offers a session if there is one that is as good as a full handshake. */
static bool offer_session(struct tls_engine *engine)
{
    struct verify_fault fault;
    SSL_SESSION *session;
    int done;

    /* The library dates sessions by the clock of the system. */
    session = ticket_store_take(engine->tickets, engine->ticket_key, clock_wall_ns() / NS_PER_S);
    if (!session) {
        return true;
    }
    if (engine->context->verify &&
        verify_in_handshake(engine, SSL_SESSION_get0_peer_certificates(session), &fault) !=
            VERIFY_OK) {
        ticket_store_drop(engine->tickets, engine->ticket_key);
        SSL_SESSION_free(session);
        return true;
    }
    done = SSL_set_session(engine->ssl, session);
    engine->handshake->session_offered = done;
    SSL_SESSION_free(session);
    return done;
}

static bool set_connect_options(struct tls_engine *engine,
                                const struct tls_connect_options *options)
{
    struct handshake *handshake = engine->handshake;
    char sni[NAME_MAX_LEN + 1];

    ASSERT(options->sni.len <= NAME_MAX_LEN && options->verify_name.len <= NAME_MAX_LEN);
    if (options->verify_name.len) {
        memcpy(handshake->verify_name, options->verify_name.data, options->verify_name.len);
    }
    handshake->name_is_ip = options->verify_name_is_ip;
    if (options->sni.len) {
        memcpy(sni, options->sni.data, options->sni.len);
        sni[options->sni.len] = '\0';
        if (!SSL_set_tlsext_host_name(engine->ssl, sni)) {
            return false;
        }
    }
    if (options->alpn_offers.len && SSL_set_alpn_protos(engine->ssl, options->alpn_offers.data,
                                                        (unsigned)options->alpn_offers.len) != 0) {
        return false;
    }
    if (options->tickets) {
        ASSERT(options->ticket_key);
        engine->tickets = options->tickets;
        memcpy(engine->ticket_key, options->ticket_key, TICKET_KEY_LEN);
        return offer_session(engine);
    }
    return true;
}

/* Towards clients. */

static int on_alpn(SSL *ssl, const uint8_t **chosen, uint8_t *chosen_len, const uint8_t *offers,
                   unsigned offers_len, void *argument)
{
    const struct handshake *handshake = engine_of(ssl)->handshake;
    size_t at = 0;

    (void)argument;
    while (handshake->alpn_len && at < offers_len && offers[at] < offers_len - at) {
        if (span_equal(span_make(offers + at + 1, offers[at]),
                       span_make(handshake->alpn, handshake->alpn_len))) {
            *chosen = offers + at + 1;
            *chosen_len = offers[at];
            return SSL_TLSEXT_ERR_OK;
        }
        at += 1 + (size_t)offers[at];
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static bool set_accept_options(struct tls_engine *engine, const struct tls_accept_options *options)
{
    const struct leaf *leaf = options->leaf;

    ASSERT(options->alpn.len <= ALPN_MAX_LEN);
    if (options->alpn.len) {
        memcpy(engine->handshake->alpn, options->alpn.data, options->alpn.len);
        engine->handshake->alpn_len = options->alpn.len;
    }
    if (options->without_tickets) {
        SSL_set_options(engine->ssl, SSL_OP_NO_TICKET);
    }
    /* A ticket is good for leaves that say the same as the one it was given with: it cannot be
     * carried from one target to another, whatever the policy of either. */
    /* The SSL object takes references of its own to the chain and the key. */
    return SSL_set_session_id_context(engine->ssl, leaf->ticket_context,
                                      sizeof(leaf->ticket_context)) &&
           SSL_set_chain_and_key(engine->ssl, leaf->chain, leaf->chain_count, leaf->key, NULL);
}

/* Both. */

bool tls_engine_hook(SSL_CTX *accept, SSL_CTX *connect)
{
    pthread_once(&queue_method_once, make_queue_method);
    SSL_CTX_set_info_callback(accept, on_info);
    SSL_CTX_set_info_callback(connect, on_info);
    SSL_CTX_set_alpn_select_cb(accept, on_alpn, NULL);
    SSL_CTX_set_custom_verify(connect, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_sess_set_new_cb(connect, on_new_session);
    return queue_method;
}

static struct tls_engine *engine_new(struct tls_context *context, bool is_accept,
                                     struct buf_queue *in, struct buf_queue *out,
                                     struct buf_cache *cache)
{
    struct tls_engine *engine = calloc(1, sizeof(*engine));

    if (!engine) {
        return NULL;
    }
    engine->context = tls_context_get(context);
    engine->is_accept = is_accept;
    engine->in = in;
    engine->out = out;
    engine->cache = cache;
    engine->handshake = calloc(1, sizeof(*engine->handshake));
    engine->ssl = SSL_new(is_accept ? context->accept : context->connect);
    if (!engine->handshake || !engine->ssl || !set_bio(engine)) {
        tls_engine_free(engine);
        return NULL;
    }
    SSL_set_shed_handshake_config(engine->ssl, 1);
    if (is_accept) {
        SSL_set_accept_state(engine->ssl);
    } else {
        SSL_set_connect_state(engine->ssl);
    }
    return engine;
}

struct tls_engine *tls_engine_accept(struct tls_context *context,
                                     const struct tls_accept_options *options, struct buf_queue *in,
                                     struct buf_queue *out, struct buf_cache *cache)
{
    struct tls_engine *engine = engine_new(context, true, in, out, cache);

    if (engine && !set_accept_options(engine, options)) {
        tls_engine_free(engine);
        engine = NULL;
    }
    ERR_clear_error();
    return engine;
}

struct tls_engine *tls_engine_connect(struct tls_context *context,
                                      const struct tls_connect_options *options,
                                      struct buf_queue *in, struct buf_queue *out,
                                      struct buf_cache *cache)
{
    struct tls_engine *engine = engine_new(context, false, in, out, cache);

    if (engine && !set_connect_options(engine, options)) {
        tls_engine_free(engine);
        engine = NULL;
    }
    ERR_clear_error();
    return engine;
}

void tls_engine_free(struct tls_engine *engine)
{
    if (!engine) {
        return;
    }
    SSL_free(engine->ssl);
    CRYPTO_BUFFER_free(engine->peer_leaf);
    handshake_free(engine);
    tls_context_put(engine->context);
    free(engine);
}

enum tls_status tls_engine_status(const struct tls_engine *engine)
{
    return engine->status;
}

enum tls_status tls_engine_handshake(struct tls_engine *engine)
{
    int result;

    if (engine->status != TLS_HANDSHAKING) {
        return engine->status;
    }
    result = SSL_do_handshake(engine->ssl);
    if (result == 1) {
        keep_peer_leaf(engine);
        handshake_free(engine);
        engine->opened_s = engine->context->wall_s();
        engine->status = TLS_OPEN;
    } else if (SSL_get_error(engine->ssl, result) != SSL_ERROR_WANT_READ) {
        fail(engine);
    }
    return engine->status;
}

bool tls_engine_confirm(const struct tls_engine *engine, struct span verify_name,
                        bool verify_name_is_ip)
{
    int64_t age_s = engine->context->wall_s() - engine->opened_s;
    struct verify_fault fault;

    ASSERT(!engine->is_accept);
    return engine->status == TLS_OPEN && age_s >= 0 && age_s <= TLS_CONFIRM_MAX_S &&
           (!engine->context->verify ||
            verify_certificates(engine, SSL_get0_peer_certificates(engine->ssl), verify_name,
                                verify_name_is_ip, &fault) == VERIFY_OK);
}

/* A read that brought nothing: why? */
static void read_ended(struct tls_engine *engine, int result)
{
    switch (SSL_get_error(engine->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_ZERO_RETURN:
        engine->status = TLS_CLOSED;
        break;
    default:
        fail(engine);
    }
}

size_t tls_engine_read(struct tls_engine *engine, uint8_t *memory, size_t cap)
{
    size_t done = 0;

    while (engine->status == TLS_OPEN && done < cap) {
        size_t room = cap - done < INT_MAX ? cap - done : INT_MAX;
        int result = SSL_read(engine->ssl, memory + done, (int)room);

        if (result <= 0) {
            read_ended(engine, result);
            break;
        }
        done += (size_t)result;
    }
    return done;
}

bool tls_engine_write(struct tls_engine *engine, struct span plaintext)
{
    if ((engine->status != TLS_OPEN && engine->status != TLS_CLOSED) || engine->shutdown_sent) {
        return false;
    }
    while (plaintext.len) {
        size_t len =
            plaintext.len < TLS_RECORD_PLAINTEXT_MAX ? plaintext.len : TLS_RECORD_PLAINTEXT_MAX;
        int result = SSL_write(engine->ssl, plaintext.data, (int)len);

        if (result <= 0) {
            fail(engine); /* `out` never makes the library wait */
            return false;
        }
        plaintext = span_skip(plaintext, (size_t)result);
    }
    return true;
}

void tls_engine_shutdown(struct tls_engine *engine)
{
    if ((engine->status != TLS_OPEN && engine->status != TLS_CLOSED) || engine->shutdown_sent) {
        return;
    }
    engine->shutdown_sent = true;
    if (SSL_shutdown(engine->ssl) < 0) {
        if (engine->memory_exhausted) {
            fail(engine);
        }
        ERR_clear_error();
    }
}

bool tls_engine_has_partial_record(const struct tls_engine *engine)
{
    return engine->place.header_len != 0;
}

void tls_engine_read_info(const struct tls_engine *engine, struct tls_info *info)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(engine->ssl);
    uint16_t group = SSL_get_curve_id(engine->ssl);
    const uint8_t *alpn = NULL;
    unsigned alpn_len = 0;

    SSL_get0_alpn_selected(engine->ssl, &alpn, &alpn_len);
    info->version = SSL_get_version(engine->ssl);
    info->cipher = cipher ? SSL_CIPHER_standard_name(cipher) : "";
    info->group = group ? SSL_get_curve_name(group) : NULL;
    info->resumed = SSL_session_reused(engine->ssl);
    info->alpn = span_make(alpn, alpn_len);
}

const struct tls_fault *tls_engine_fault(const struct tls_engine *engine)
{
    return &engine->fault;
}

struct span tls_engine_peer_certificate(const struct tls_engine *engine)
{
    if (!engine->peer_leaf) {
        return span_make(NULL, 0);
    }
    return span_make(CRYPTO_BUFFER_data(engine->peer_leaf), CRYPTO_BUFFER_len(engine->peer_leaf));
}
