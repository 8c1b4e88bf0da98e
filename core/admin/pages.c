/* SPDX-License-Identifier: Apache-2.0 */
#include "core/admin/pages.h"

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/engine/address.h"
#include "http/reply.h"

static const char ca_type[] = "application/x-x509-ca-cert";
static const char pac_type[] = "application/x-ns-proxy-autoconfig";

/* ---- the certificate ---- */

static void write_pem(struct text *out, const struct page_facts *facts)
{
    enum { BYTES_PER_LINE = 48 };
    struct span rest = facts->ca->der;

    text_string(out, "-----BEGIN CERTIFICATE-----\n");
    while (rest.len) {
        text_base64(out, span_sub(rest, 0, BYTES_PER_LINE));
        text_char(out, '\n');
        rest = span_skip(rest, BYTES_PER_LINE);
    }
    text_string(out, "-----END CERTIFICATE-----\n");
}

static void write_der(struct text *out, const struct page_facts *facts)
{
    text_bytes(out, facts->ca->der);
}

/* ---- proxy.pac ---- */

/* Nothing of the browser's own helpers is used: some of them look names up, and wait for that. */
static void write_pac(struct text *out, const struct page_facts *facts)
{
    if (!facts->proxy) {
        text_string(out, "// This weir has no listener that a browser could be told of.\n"
                         "function FindProxyForURL(url, host) {\n"
                         "    return \"DIRECT\";\n"
                         "}\n");
        return;
    }
    text_string(out,
                "// Plain names, loopback and private addresses are asked directly, all else goes\n"
                "// through weir. There is no way around it when it does not answer.\n"
                "function FindProxyForURL(url, host) {\n"
                "    var proxy = \"");
    text_string(out, facts->proxy);
    text_string(out, "\";\n"
                     "    var name = host.toLowerCase().replace(/^\\[|\\]$/g, \"\")"
                     ".replace(/\\.$/, \"\");\n");
    if (facts->magic_host[0]) {
        text_string(out, "    if (name === \"");
        text_string(out, facts->magic_host);
        text_string(out, "\".toLowerCase()) {\n"
                         "        return proxy;\n"
                         "    }\n");
    }
    text_string(out,
                "    if (!/[.:]/.test(name) || /\\.localhost$/.test(name)) {\n"
                "        return \"DIRECT\";\n"
                "    }\n"
                "    if (/^(0|10|127|169\\.254|192\\.168|172\\.(1[6-9]|2\\d|3[01]))(\\.\\d{1,3})+$/"
                ".test(name) && /^(\\d{1,3}\\.){3}\\d{1,3}$/.test(name)) {\n"
                "        return \"DIRECT\";\n"
                "    }\n"
                "    if (/:/.test(name) && /^(::1?$|f[cd]|fe[89ab])/.test(name)) {\n"
                "        return \"DIRECT\";\n"
                "    }\n"
                "    return proxy;\n"
                "}\n");
}

bool page_name_proxy(const struct config *config, const struct config_listener *listener,
                     const struct sockaddr_storage *bound, struct span host,
                     char name[PAGE_PROXY_MAX])
{
    static const char *const keywords[] = {
        [UPSTREAM_HTTP] = "PROXY", [UPSTREAM_HTTPS] = "HTTPS", [UPSTREAM_SOCKS5] = "SOCKS5"};
    const struct config_url *configured = &config->admin.pac_proxy;
    struct text t = text_make(name, PAGE_PROXY_MAX - 1);
    struct address address = address_from_storage(bound);
    struct address unspecified;
    char own[ADDRESS_TEXT_MAX];
    const char *keyword = listener->mode == LISTENER_SOCKS5 ? "SOCKS5" : "PROXY";
    uint16_t port = address_port(&address);

    if (configured->text[0]) {
        keyword = keywords[configured->scheme];
        host = span_from_string(configured->host);
        port = configured->port;
    } else if (listener->mode != LISTENER_FORWARD && listener->mode != LISTENER_SOCKS5) {
        return false;
    } else {
        address_format_ip(&address, own);
        address_parse_ip(&unspecified,
                         address.u.any.sa_family == AF_INET6 ? SPAN_LITERAL("::")
                                                             : SPAN_LITERAL("0.0.0.0"),
                         port);
        if (!address_equal(&address, &unspecified)) {
            host = span_from_string(own);
        }
    }
    text_string(&t, keyword);
    text_string(&t, span_find(host, ':') < host.len ? " [" : " ");
    text_bytes(&t, host);
    text_string(&t, span_find(host, ':') < host.len ? "]:" : ":");
    text_unsigned(&t, port);
    name[t.len] = '\0';
    return !t.overflow;
}

/* ---- the index ---- */

struct instruction {
    const char *system;
    const char *words;    /* HTML; null: none */
    const char *commands; /* plain; null: none */
};

static const struct instruction instructions[] = {
    {"Debian, Ubuntu", NULL,
     "sudo cp weir-ca.pem /usr/local/share/ca-certificates/weir-ca.crt\n"
     "sudo update-ca-certificates\n"},
    {"Fedora, Red Hat", NULL,
     "sudo cp weir-ca.pem /etc/pki/ca-trust/source/anchors/\n"
     "sudo update-ca-trust\n"},
    {"Arch", NULL, "sudo trust anchor --store weir-ca.pem\n"},
    {"Firefox",
     "It has a list of its own: Settings, Privacy &amp; Security, View Certificates, Authorities, "
     "Import; then trust it to identify websites. For many machines, policies.json:",
     "{\"policies\": {\"Certificates\": {\"Install\": [\"/etc/ssl/weir-ca.pem\"]}}}\n"},
    {"Chromium, Chrome on Linux",
     "Certificates of your own are in an NSS database (certutil is in "
     "libnss3-tools):",
     "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n weir -i weir-ca.pem\n"},
    {"macOS", NULL,
     "sudo security add-trusted-cert -d -r trustRoot \\\n"
     "    -k /Library/Keychains/System.keychain weir-ca.pem\n"},
    {"Windows", "As an administrator, with ca.cer:", "certutil -addstore -f Root weir-ca.cer\n"},
    {"Android",
     "Settings, Security, Encryption &amp; credentials, Install a certificate, CA certificate. "
     "Browsers use it; other apps only if they were built to.",
     NULL},
    {"iOS, iPadOS",
     "Open ca.pem in Safari, then Settings, General, VPN &amp; Device Management, Install; then "
     "General, About, Certificate Trust Settings: turn it on.",
     NULL},
    {"Java", "The password is changeit, unless somebody changed it.",
     "keytool -importcert -cacerts -alias weir -file weir-ca.pem\n"},
    {"Python",
     "These replace the list that Python brings: name a file with all authorities, as "
     "the system has it after the steps above.",
     "export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\n"
     "export REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt\n"},
    {"Node.js", NULL, "export NODE_EXTRA_CA_CERTS=/path/to/weir-ca.pem\n"},
    {"curl", "It uses the system's list; for one call:",
     "curl --cacert weir-ca.pem https://example.com/\n"},
    {"git",
     "It uses the system's list; or:", "git config --global http.sslCAInfo /path/to/weir-ca.pem\n"},
};

/* As browsers show it: AB:CD:... */
static void write_fingerprint(struct text *out, const uint8_t sha256[32])
{
    for (size_t i = 0; i < 32; i++) {
        text_printf(out, i ? ":%02X" : "%02X", sha256[i]);
    }
}

static void write_instruction(struct text *out, const struct instruction *row)
{
    text_string(out, "<h2>");
    text_string(out, row->system);
    text_string(out, "</h2>\n");
    if (row->words) {
        text_string(out, "<p>");
        text_string(out, row->words);
        text_string(out, "</p>\n");
    }
    if (row->commands) {
        text_string(out, "<pre>");
        text_html(out, span_from_string(row->commands));
        text_string(out, "</pre>\n");
    }
}

static void write_links(struct text *out, const struct page_facts *facts)
{
    text_string(out, "<ul>\n"
                     "<li><a href=\"/ca.pem\">ca.pem</a>, the certificate as text</li>\n"
                     "<li><a href=\"/ca.cer\">ca.cer</a>, the same in binary</li>\n"
                     "<li><a href=\"/proxy.pac\">proxy.pac</a>, for browsers that ask for the "
                     "address of a configuration</li>\n");
    if (facts->is_admin) {
        text_string(out,
                    "<li><a href=\"/livez\">livez</a>: do all workers turn?</li>\n"
                    "<li><a href=\"/readyz\">readyz</a>: may connections be sent here?</li>\n");
    }
    text_string(out, "</ul>\n");
}

static void write_index(struct text *out, const struct page_facts *facts)
{
    http_begin_page(out, SPAN_LITERAL("weir"));
    text_string(out,
                "<p>This proxy opens TLS to look inside. Clients accept that once they trust its "
                "certificate authority. Trust it only if whoever runs this proxy may read what you "
                "send.</p>\n");
    write_links(out, facts);
    text_string(out, "<p>The authority is ");
    text_html(out, span_from_string(facts->ca->subject));
    text_string(out, ", valid until ");
    text_time(out, facts->ca->not_after_s * NS_PER_S);
    text_string(out, ". Its SHA-256 fingerprint:</p>\n<pre>");
    write_fingerprint(out, facts->ca->sha256);
    text_string(out,
                "</pre>\n<p>Nothing protects this page on its way to you. Compare the fingerprint "
                "with the one that weir logs when it starts, or have it told to you by somebody "
                "who can see that:</p>\n<pre>curl -o weir-ca.pem ");
    if (!facts->is_admin && facts->proxy && strncmp(facts->proxy, "PROXY ", 6) == 0) {
        text_string(out, "--proxy ");
        text_html(out, span_from_string(facts->proxy + 6));
        text_char(out, ' ');
    }
    text_string(out, "http://");
    text_html(out, facts->host);
    text_string(out, "/ca.pem\nopenssl x509 -in weir-ca.pem -noout -fingerprint -sha256</pre>\n");
    for (size_t i = 0; i < COUNT_OF(instructions); i++) {
        write_instruction(out, &instructions[i]);
    }
    text_string(out, "<footer>weir " WEIR_VERSION "</footer>\n");
}

/* ---- the table ---- */

static const struct page pages[] = {
    {"/", http_html_type, write_index}, {"/ca.pem", ca_type, write_pem},
    {"/ca.cer", ca_type, write_der},    {"/proxy.pac", pac_type, write_pac},
    {"/wpad.dat", pac_type, write_pac},
};

struct span page_path(struct span target)
{
    return span_sub(target, 0, span_find(target, '?'));
}

const struct page *page_find(struct span target)
{
    struct span path = page_path(target);

    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        if (span_equal(path, span_from_string(pages[i].path))) {
            return &pages[i];
        }
    }
    return NULL;
}
