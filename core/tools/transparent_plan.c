/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/transparent_plan.h"

#include "core/base/span.h"
#include "core/engine/address.h"

#include <net/if.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535, PORT_HTTPS = 443 };

static const char *const family_names[FAMILY_COUNT] = {"IPv4", "IPv6"};
static const char *const nft_families[FAMILY_COUNT] = {"ip", "ip6"};
static const char *const nft_protocols[FAMILY_COUNT] = {"ipv4", "ipv6"};

/* ---- the listeners ---- */

static struct address address_of(const struct config_listener *listener)
{
    return address_from_storage(&listener->address.socket_address);
}

static bool is_wildcard(const struct config_listener *listener)
{
    struct address a = address_of(listener);

    return a.u.any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&a.u.v6.sin6_addr)
                                         : a.u.v4.sin_addr.s_addr == 0;
}

static bool is_loopback(const struct config_listener *listener)
{
    struct address a = address_of(listener);

    return a.u.any.sa_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&a.u.v6.sin6_addr)
                                         : *(const uint8_t *)&a.u.v4.sin_addr == 127;
}

static int family_of(const struct config_listener *listener)
{
    return listener->address.socket_address.ss_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4;
}

static int check_listener(const struct transparent_plan *plan,
                          const struct config_listener *listener, FILE *err)
{
    struct address address = address_of(listener);

    if (address_port(&address) == 0) {
        fprintf(err,
                "weir transparent: the listener %s has port 0, any free one: give it a port that "
                "the rules can name\n",
                listener->address.text);
        return EXIT_STATUS_CONFIG;
    }
    if (is_loopback(listener) && !listener->tproxy && !plan->local) {
        fprintf(err,
                "weir transparent: the listener %s is on the loopback interface, where nobody else "
                "can be redirected to: give it another address, like :%u, or say --local\n",
                listener->address.text, address_port(&address));
        return EXIT_STATUS_CONFIG;
    }
    return EXIT_STATUS_OK;
}

static int take_listener(struct transparent_plan *plan, const struct config_listener *listener,
                         int family, FILE *err)
{
    const struct config_listener *other = plan->listeners[family];

    if (other) {
        fprintf(err,
                "weir transparent: both %s and %s are transparent listeners for %s, and it is not "
                "told which connections are for which: take one out, or write the rules by hand "
                "(weir transparent print is a start)\n",
                other->address.text, listener->address.text, family_names[family]);
        return EXIT_STATUS_CONFIG;
    }
    plan->listeners[family] = listener;
    return check_listener(plan, listener, err);
}

static int take_listeners(struct transparent_plan *plan, const struct config *config, FILE *err)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        if (listener->mode == LISTENER_TRANSPARENT) {
            int status = take_listener(plan, listener, family_of(listener), err);
            if (status != EXIT_STATUS_OK) {
                return status;
            }
        }
    }
    /* One on all addresses of IPv6 has those of IPv4, too. */
    if (!plan->listeners[FAMILY_V4] && plan->listeners[FAMILY_V6] &&
        is_wildcard(plan->listeners[FAMILY_V6])) {
        plan->listeners[FAMILY_V4] = plan->listeners[FAMILY_V6];
    }
    if (!plan->listeners[FAMILY_V4] && !plan->listeners[FAMILY_V6]) {
        fprintf(err,
                "weir transparent: %s has no listener with mode: transparent; one is made by\n"
                "  listeners: [{address: \":8081\", mode: transparent}]\n",
                config->file ? config->file : "the built-in configuration");
        return EXIT_STATUS_CONFIG;
    }
    return EXIT_STATUS_OK;
}

/* ---- the command line ---- */

static bool has_port(const struct transparent_plan *plan, unsigned port)
{
    return plan->ports[port / 8] & 1U << port % 8;
}

/* 1 to 65535 at the start of the text, which is moved behind it; 0: there is none. */
static unsigned take_port(struct span *text)
{
    unsigned port = 0;
    size_t len = 0;

    while (len < text->len && len < 5 && text->data[len] >= '0' && text->data[len] <= '9') {
        port = port * 10 + (text->data[len] - '0');
        len++;
    }
    *text = span_skip(*text, len);
    return port <= PORT_MAX ? port : 0;
}

/* PORT or FIRST-LAST. */
static bool take_range(struct transparent_plan *plan, struct span text)
{
    unsigned first = take_port(&text), last = first;

    if (text.len && text.data[0] == '-') {
        text = span_skip(text, 1);
        last = take_port(&text);
    }
    if (text.len || first == 0 || last < first) {
        return false;
    }
    for (unsigned port = first; port <= last; port++) {
        plan->ports[port / 8] |= (uint8_t)(1U << port % 8);
    }
    return true;
}

static bool take_ports(struct transparent_plan *plan, const char *list, FILE *err)
{
    struct span rest = span_from_string(list);
    bool more = true;

    while (more) {
        struct span range = span_sub(rest, 0, span_find(rest, ','));
        more = range.len < rest.len;
        rest = span_skip(rest, range.len + more);
        if (!take_range(plan, range)) {
            fprintf(err,
                    "weir transparent: --ports: ports from 1 to %d expected, as 80,443 or "
                    "8000-8999, with commas between them\n",
                    PORT_MAX);
            return false;
        }
    }
    return true;
}

/* They are written between quotes into a script. */
static bool check_interfaces(const struct options *options, FILE *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_.:@-";

    for (size_t i = 0; i < options->interface_count; i++) {
        const char *name = options->interfaces[i];
        size_t len = strlen(name);
        if (len >= IF_NAMESIZE || strspn(name, letters) != len) {
            fprintf(err,
                    "weir transparent: --interface number %zu: the name of an interface expected, "
                    "at most %d letters, digits and any of _.:@-\n",
                    i + 1, IF_NAMESIZE - 1);
            return false;
        }
    }
    return true;
}

static bool take_user(struct transparent_plan *plan, const char *name, FILE *err)
{
    const struct passwd *user = getpwnam(name);
    char *end = NULL;
    unsigned long number = strtoul(name, &end, 10);

    if (!user && (name[0] < '0' || name[0] > '9' || *end || number >= UINT32_MAX)) {
        fputs("weir transparent: --user: no such user; a name or a number expected\n", err);
        return false;
    }
    plan->has_user = true;
    plan->user = user ? user->pw_uid : (uint32_t)number;
    return true;
}

int transparent_plan_make(struct transparent_plan *plan, const struct config *config,
                          const struct options *options, FILE *err)
{
    *plan = (struct transparent_plan){
        .interfaces = options->interfaces,
        .interface_count = options->interface_count,
        .local = options->local,
        .mark = config->transparent.mark,
    };
    if (!take_ports(plan, options->ports ? options->ports : "80,443", err) ||
        !check_interfaces(options, err) ||
        (options->user && !take_user(plan, options->user, err))) {
        return EXIT_STATUS_USAGE;
    }
    if (plan->local && !plan->mark && !plan->has_user) {
        fputs("weir transparent: --local: weir's own connections would be sent back to it: set "
              "transparent.mark in the configuration, like\n"
              "  transparent: {mark: 1}\n"
              "or name the user that weir alone runs as with --user\n",
              err);
        return EXIT_STATUS_CONFIG;
    }
    return take_listeners(plan, config, err);
}

/* ---- the script ---- */

bool transparent_plan_routes(const struct transparent_plan *plan, int family)
{
    return plan->listeners[family] && plan->listeners[family]->tproxy;
}

static bool has_way(const struct transparent_plan *plan, bool tproxy)
{
    for (int family = 0; family < FAMILY_COUNT; family++) {
        if (plan->listeners[family] && plan->listeners[family]->tproxy == tproxy) {
            return true;
        }
    }
    return false;
}

static void write_ports(const struct transparent_plan *plan, FILE *out)
{
    const char *before = "{ ";

    for (unsigned first = 1; first <= PORT_MAX; first++) {
        unsigned last = first;
        if (!has_port(plan, first)) {
            continue;
        }
        while (last < PORT_MAX && has_port(plan, last + 1)) {
            last++;
        }
        fprintf(out, first == last ? "%s%u" : "%s%u-%u", before, first, last);
        before = ", ";
        first = last;
    }
    fputs(" }", out);
}

/* Who comes in by another interface is no client; this machine's own come by "lo", marked. */
static void write_interfaces(const struct transparent_plan *plan, bool with_loopback, FILE *out)
{
    if (plan->interface_count == 0) {
        return;
    }
    fputs("        iifname != { ", out);
    for (size_t i = 0; i < plan->interface_count; i++) {
        fprintf(out, "%s\"%s\"", i ? ", " : "", plan->interfaces[i]);
    }
    fprintf(out, "%s } return\n", with_loopback ? ", \"lo\"" : "");
}

/* What weir itself says, and what this machine says to itself. */
static void write_own(const struct transparent_plan *plan, FILE *out)
{
    if (plan->mark) {
        fprintf(out, "        meta mark %u return\n", plan->mark);
    }
    if (plan->has_user) {
        fprintf(out, "        meta skuid %u return\n", plan->user);
    }
    fputs("        fib daddr type local return\n", out);
}

/* Where to: the listener's port at the address that it is bound to, or at any. */
static void write_place(const struct config_listener *listener, FILE *out)
{
    struct address address = address_of(listener);
    char text[ADDRESS_TEXT_MAX];

    address_format(&address, text);
    if (is_wildcard(listener)) {
        fprintf(out, ":%u", address_port(&address));
    } else {
        fputs(text, out);
    }
}

static void write_match(const struct transparent_plan *plan, int family, FILE *out)
{
    fprintf(out, "        meta nfproto %s tcp dport ", nft_protocols[family]);
    write_ports(plan, out);
}

static void write_redirects(const struct transparent_plan *plan, bool own_only, FILE *out)
{
    for (int family = 0; family < FAMILY_COUNT; family++) {
        const struct config_listener *listener = plan->listeners[family];
        if (!listener || listener->tproxy || (!own_only && is_loopback(listener))) {
            continue;
        }
        write_match(plan, family, out);
        if (is_wildcard(listener)) {
            fputs(" redirect to ", out);
        } else {
            fprintf(out, " dnat %s to ", nft_families[family]);
        }
        write_place(listener, out);
        fputc('\n', out);
    }
}

static void write_redirect_chains(const struct transparent_plan *plan, FILE *out)
{
    fputs("    chain redirect_clients {\n"
          "        type nat hook prerouting priority dstnat; policy accept;\n",
          out);
    write_interfaces(plan, false, out);
    fputs("        fib daddr type local return\n", out);
    write_redirects(plan, false, out);
    fputs("    }\n", out);
    if (plan->local) {
        fputs("    chain redirect_own {\n"
              "        type nat hook output priority -100; policy accept;\n",
              out);
        write_own(plan, out);
        write_redirects(plan, true, out);
        fputs("    }\n", out);
    }
}

/* Packets of connections that are here already, the answers to a spoofed source among them, go to
 * their sockets; new ones to the listener. Both by the mark, which leads to our routes. */
static void write_tproxy_chains(const struct transparent_plan *plan, FILE *out)
{
    fputs("    chain tproxy_clients {\n"
          "        type filter hook prerouting priority mangle; policy accept;\n"
          "        meta l4proto tcp socket transparent 1 socket wildcard 0 meta mark "
          "set " TRANSPARENT_MARK " accept\n",
          out);
    write_interfaces(plan, plan->local, out);
    fputs("        fib daddr type local return\n", out);
    for (int family = 0; family < FAMILY_COUNT; family++) {
        if (transparent_plan_routes(plan, family)) {
            write_match(plan, family, out);
            fprintf(out, " tproxy %s to ", nft_families[family]);
            write_place(plan->listeners[family], out);
            fputs(" meta mark set " TRANSPARENT_MARK " accept\n", out);
        }
    }
    fputs("    }\n", out);
    if (!plan->local) {
        return;
    }
    /* TPROXY is for what comes in: what goes out is led back in, through "lo". Answers to others
     * are left alone, whatever port they go to. */
    fputs("    chain tproxy_own {\n"
          "        type route hook output priority mangle; policy accept;\n",
          out);
    write_own(plan, out);
    fputs("        ct direction reply return\n", out);
    for (int family = 0; family < FAMILY_COUNT; family++) {
        if (transparent_plan_routes(plan, family)) {
            write_match(plan, family, out);
            fputs(" meta mark set " TRANSPARENT_MARK "\n", out);
        }
    }
    fputs("    }\n", out);
}

static void write_quic_rejects(const struct transparent_plan *plan, FILE *out)
{
    for (int family = 0; family < FAMILY_COUNT; family++) {
        if (plan->listeners[family]) {
            fprintf(out,
                    "        meta nfproto %s udp dport %d reject with icmpx type "
                    "port-unreachable\n",
                    nft_protocols[family], PORT_HTTPS);
        }
    }
}

/* HTTP/3 passes weir by: told at once that nobody is there, browsers use TCP. */
static void write_quic_chains(const struct transparent_plan *plan, FILE *out)
{
    fputs("    chain quic_clients {\n"
          "        type filter hook forward priority filter; policy accept;\n",
          out);
    write_interfaces(plan, false, out);
    write_quic_rejects(plan, out);
    fputs("    }\n", out);
    if (plan->local) {
        fputs("    chain quic_own {\n"
              "        type filter hook output priority filter; policy accept;\n",
              out);
        write_own(plan, out);
        write_quic_rejects(plan, out);
        fputs("    }\n", out);
    }
}

void transparent_plan_write_nft_undo(FILE *out)
{
    /* Named first, so that it is there to be deleted. */
    fputs("table " TRANSPARENT_NFT_TABLE "\ndelete table " TRANSPARENT_NFT_TABLE "\n", out);
}

void transparent_plan_write_nft(const struct transparent_plan *plan, FILE *out)
{
    transparent_plan_write_nft_undo(out);
    fputs("table " TRANSPARENT_NFT_TABLE " {\n", out);
    if (has_way(plan, false)) {
        write_redirect_chains(plan, out);
    }
    if (has_way(plan, true)) {
        write_tproxy_chains(plan, out);
    }
    if (has_port(plan, PORT_HTTPS)) {
        write_quic_chains(plan, out);
    }
    fputs("}\n", out);
}
