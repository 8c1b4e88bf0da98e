/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/dns_server.h"

#include "core/base/log.h"
#include "core/base/text.h"

static bool port_parse(struct span digits, uint16_t *port)
{
    uint32_t value = 0;

    if (digits.len == 0 || digits.len > 5) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        value = value * 10 + (digits.data[i] - '0');
    }
    *port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

bool dns_server_parse(struct address *server, struct span text)
{
    size_t host_len = text.len;
    uint16_t port;

    if (address_parse_ip(server, text, DNS_PORT)) {
        return true;
    }
    while (host_len > 0 && text.data[host_len - 1] != ':') {
        host_len--;
    }
    if (host_len == 0 || !port_parse(span_skip(text, host_len), &port)) {
        return false;
    }
    struct span host = span_sub(text, 0, host_len - 1);
    bool brackets = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (brackets) {
        host = span_sub(host, 1, host.len - 2);
    }
    return address_parse_ip(server, host, port) &&
           brackets == (server->u.any.sa_family == AF_INET6);
}

/* The value of a "nameserver" line, or an empty span. */
static struct span line_value(struct span line)
{
    struct span keyword = SPAN_LITERAL("nameserver");
    struct span rest = span_skip(line, keyword.len);
    struct span value = span_trim(rest);

    if (!span_equal(span_sub(line, 0, keyword.len), keyword) || value.len == rest.len) {
        return span_make(NULL, 0);
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '#' || c == ';') {
            value.len = i;
        }
    }
    return value;
}

static void log_unusable(const char *path, struct span value)
{
    char memory[128];
    struct text text = text_make(memory, sizeof(memory));

    text_escaped(&text, value);
    log_write(LOG_WARN, "%s: nameserver \"%.*s\" is not an IP address, and is not used", path,
              SPAN_PRINTF(text_view(&text)));
}

size_t dns_servers_read(struct span file, const char *path, struct address servers[DNS_SERVERS_MAX])
{
    size_t count = 0;

    while (file.len > 0 && count < DNS_SERVERS_MAX) {
        size_t len = span_find(file, '\n');
        struct span value = line_value(span_sub(file, 0, len));

        file = span_skip(file, len + 1);
        if (value.len > 0 && address_parse_ip(&servers[count], value, DNS_PORT)) {
            count++;
        } else if (value.len > 0) {
            log_unusable(path, value);
        }
    }
    return count;
}
