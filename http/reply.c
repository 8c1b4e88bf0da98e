/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include "http/field.h"

enum {
    DETAIL_MAX = 320, /* bytes shown, before escaping; a byte becomes six at most */
    TARGET_MAX = 256,
    FIELDS_MAX = 2048, /* room for the head: its parts are bounded, see below */
    PAGE_MAX = HTTP_REPLY_MAX - FIELDS_MAX,
    PSEUDONYM_MAX = 128,
};

const char *http_reason(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {102, "Processing"},
        {103, "Early Hints"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {508, "Loop Detected"},
        {511, "Network Authentication Required"},
    };

    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "";
}

/* What the reader of the page can do, by the error types of RFC 9209 2.3. */
static const char *advice(const char *error, uint16_t status)
{
    static const struct {
        const char *prefix; /* of the error type; the first that fits */
        const char *advice;
    } rows[] = {
        {"dns_", "Check the spelling of the host name, or try again later: its name server did "
                 "not give an address."},
        {"destination_ip_", "The proxy's configuration does not allow connections to this "
                            "address. Ask whoever runs the proxy if you need it."},
        {"destination_", "The server cannot be reached right now. Try again later."},
        {"connection_refused", "Nothing listens at this address and port. Check both, or try "
                               "again later."},
        {"connection_", "The connection to the server failed. Try again later; if it stays so, "
                        "the server or the network in between is at fault."},
        {"tls_certificate",
         "The server could not prove its identity, so nothing was sent to it. "
         "Whoever runs the server has to mend its certificate, or, if its issuer "
         "is to be trusted, whoever runs this proxy has to name that issuer in "
         "upstream.trust_files."},
        {"tls_", "No secure connection to the server could be made. Whoever runs the server has "
                 "to mend its TLS settings."},
        {"http_request_denied", "The proxy's configuration forbids this request. Ask whoever runs "
                                "the proxy if you need it."},
        {"http_request_error", "The program that sent the request has to be corrected: other "
                               "servers could understand it differently."},
        {"http_", "The server's answer could not be passed on safely. Whoever runs the server "
                  "has to mend it."},
        {"proxy_loop", "The request came back to the proxy that it came from. Check the address "
                       "that was asked for and the proxy settings."},
        {"proxy_", "The proxy could not do its work. Whoever runs it finds the cause in its log."},
    };

    if (status == 407) {
        return "Give the proxy a user name and a password.";
    }
    for (size_t i = 0; error && i < COUNT_OF(rows); i++) {
        if (strncmp(error, rows[i].prefix, strlen(rows[i].prefix)) == 0) {
            return rows[i].advice;
        }
    }
    return NULL;
}

static void write_cut(struct text *out, struct span value, size_t max)
{
    text_html(out, span_sub(value, 0, max));
    if (value.len > max) {
        text_string(out, "...");
    }
}

static void write_paragraph(struct text *out, const char *label, struct span value, size_t max)
{
    text_string(out, "<p>");
    text_string(out, label);
    write_cut(out, value, max);
    text_string(out, "</p>\n");
}

const char http_html_type[] = "text/html; charset=utf-8";

void http_begin_page(struct text *out, struct span title)
{
    text_string(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    text_html(out, title);
    text_string(out, "</title>\n<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;"
                     "margin:3rem auto;padding:0 1rem;overflow-wrap:anywhere}"
                     "h1{font-size:1.5rem}h2{font-size:1.1rem}"
                     "pre{overflow-x:auto;padding:.5rem;background:#8883}"
                     "footer{opacity:.7;font-size:.85rem}</style>\n<h1>");
    text_html(out, title);
    text_string(out, "</h1>\n");
}

static void write_page(struct text *out, const struct http_reply *reply)
{
    const char *hint = advice(reply->error, reply->status);
    char memory[64];
    struct text title = text_make(memory, sizeof(memory));

    text_printf(&title, "%u %s", reply->status, http_reason(reply->status));
    http_begin_page(out, text_view(&title));
    if (reply->detail.len) {
        write_paragraph(out, "", reply->detail, DETAIL_MAX);
    }
    if (reply->target.len) {
        write_paragraph(out, "Asked for: ", reply->target, TARGET_MAX);
    }
    if (hint) {
        write_paragraph(out, "", span_from_string(hint), SIZE_MAX);
    }
    text_string(out, "<footer>This answer comes from the proxy");
    if (reply->pseudonym) {
        text_char(out, ' ');
        write_cut(out, span_from_string(reply->pseudonym), PSEUDONYM_MAX);
    }
    text_string(out, ", not from the server. Session ");
    text_printf(out, "%llx", (unsigned long long)reply->session_id); /* as the log has it */
    if (reply->error) {
        text_string(out, ", error type ");
        write_cut(out, span_from_string(reply->error), PSEUDONYM_MAX);
    }
    text_string(out, ".</footer>\n");
}

/* RFC 8941 3.3.3: printable ASCII with quotes and backslashes escaped; the rest becomes '?'. */
static void write_quoted(struct text *out, struct span value, size_t max)
{
    text_char(out, '"');
    for (size_t i = 0; i < value.len && i < max; i++) {
        uint8_t c = value.data[i];

        if (c == '"' || c == '\\') {
            text_char(out, '\\');
        }
        text_char(out, c >= 0x20 && c < 0x7f ? (char)c : '?');
    }
    text_char(out, '"');
}

/* RFC 8941 3.3.4, ':' and '/' aside. */
static bool is_structured_token(struct span value)
{
    return span_is_all(value, CHAR_TOKEN) && value.len <= PSEUDONYM_MAX &&
           (((value.data[0] | 0x20) >= 'a' && (value.data[0] | 0x20) <= 'z') ||
            value.data[0] == '*');
}

static void write_proxy_status(struct text *out, const struct http_reply *reply)
{
    struct span pseudonym = span_from_string(reply->pseudonym);
    struct span error = span_from_string(reply->error);

    ASSERT(is_structured_token(error));
    text_string(out, "Proxy-Status: ");
    if (is_structured_token(pseudonym)) {
        text_bytes(out, pseudonym);
    } else {
        write_quoted(out, pseudonym, PSEUDONYM_MAX);
    }
    text_string(out, "; error=");
    text_bytes(out, error);
    if (reply->detail.len) {
        text_string(out, "; details=");
        write_quoted(out, reply->detail, DETAIL_MAX);
    }
    text_string(out, "\r\n");
}

void http_write_reply(struct text *out, const struct http_reply *reply)
{
    char memory[PAGE_MAX];
    struct text page = text_make(memory, sizeof(memory));
    const char *type = reply->type ? reply->type : http_html_type;
    struct span body = reply->body;

    ASSERT(reply->status >= 200 && reply->status <= 599);
    if (!reply->type) {
        write_page(&page, reply);
        ASSERT(!page.overflow);
        body = text_view(&page);
    }
    text_string(out, "HTTP/1.1 ");
    text_unsigned(out, reply->status);
    text_char(out, ' ');
    text_string(out, http_reason(reply->status));
    text_string(out, "\r\nContent-Type: ");
    text_string(out, type);
    text_string(out, "\r\nContent-Length: ");
    text_unsigned(out, body.len);
    text_string(out, "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    if (type == http_html_type) {
        text_string(out, "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n");
    }
    if (reply->allow) {
        text_string(out, "Allow: ");
        text_string(out, reply->allow);
        text_string(out, "\r\n");
    }
    if (reply->status == 407) {
        text_string(out, "Proxy-Authenticate: Basic realm=\"weir\", charset=\"UTF-8\"\r\n");
    }
    if (reply->retry_after_s) {
        text_string(out, "Retry-After: ");
        text_unsigned(out, reply->retry_after_s);
        text_string(out, "\r\n");
    }
    if (reply->pseudonym && reply->error) {
        write_proxy_status(out, reply);
    }
    /* Both are always said: HTTP/1.0 needs the one, HTTP/1.1 the other, and neither minds. */
    text_string(out,
                reply->keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
    if (!reply->head_only) {
        text_bytes(out, body);
    }
}

void http_write_connect_reply(struct text *out)
{
    text_string(out, "HTTP/1.1 200 Connection established\r\n\r\n");
}
