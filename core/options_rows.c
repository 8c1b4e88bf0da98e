/* SPDX-License-Identifier: Apache-2.0 */
#include "core/options_private.h"

const struct option_row option_rows[] = {
    {OPTION_CONFIG, 'c', "config", "FILE", "the configuration; it is YAML"},
    {OPTION_PID, 0, "pid", "PID", "the process that runs"},
    {OPTION_PID_FILE, 0, "pid-file", "FILE", "names the process that serves, also after upgrades"},
    {OPTION_JSON, 0, "json", NULL, "JSON instead of text, an object a line"},
    {OPTION_COMPATIBLE, 0, "compatible", NULL, "answer as MITMEngine does, faults included"},
    {OPTION_DATABASE, 0, "database", "DIR", "browser.txt, mitm.txt and badheader.txt are there"},
    {OPTION_OUT, 0, "out", "DIR", "write the files there; none of them may exist"},
    {OPTION_BROWSER, 0, "browser", "NAME", "only records of this browser, as Chrome"},
    {OPTION_PRODUCT, 0, "product", "NAME", "only records of this product, as eset"},
    {OPTION_HEX, 0, "hex", "TEXT", "the bytes of a ClientHello in hexadecimal digits"},
    {OPTION_LIVE, 0, "live", "ADDRESS", "listen there, and show who connects"},
    {OPTION_SERVE, 0, "serve", NULL, "live: answer nothing instead of an alert"},
    {OPTION_COUNT, 0, "count", "N", "end after N connections"},
    {OPTION_SECONDS, 0, "seconds", "N", "end after N seconds; bench: take about N"},
    {OPTION_LISTEN, 0, "listen", "ADDRESS", "wait for the client there, as 127.0.0.1:0"},
    {OPTION_ANY_ADDRESS, 0, "any-address", NULL, "ADDRESS may be one that others can reach"},
    {OPTION_CLIENT, 0, "client", "NAME", "who visits, as \"curl 7.88.1\""},
    {OPTION_SYSTEM, 0, "system", "NAME", "where it runs, as \"Debian 12\""},
    {OPTION_COMMAND, 0, "command", "TEXT", "how it was started, for whoever repeats it"},
    {OPTION_CAPTURED_PRODUCT, 0, "product", "NAME", "what is between, as mitmproxy"},
    {OPTION_TYPE, 0, "type", "TYPE", "of the product, as proxy or antivirus"},
    {OPTION_GRADE, 0, "grade", "N", "of the product, 0 (none), 1 (A) to 4 (F)"},
    {OPTION_CA_DIR, 0, "ca-dir", "DIR", "the certificate authority; made if there is none"},
    {OPTION_FROM, 0, "from", "SOURCE", "a folder, https://HOST/PATH/ or s3://BUCKET/PREFIX"},
    {OPTION_SHA256, 0, "sha256", "HEX", "the digest of SHA256SUMS, or of the one file"},
    {OPTION_CHECKSUMS, 0, "checksums", NULL, "SHA256SUMS must be there"},
    {OPTION_CA_FILE, 0, "ca-file", "FILE", "trust these authorities, not those of the system"},
    {OPTION_LENIENT, 0, "lenient", NULL, "take a database with bad lines"},
    {OPTION_DRY_RUN, 0, "dry-run", NULL, "fetch and judge, and leave DIR as it is"},
    {OPTION_TIMEOUT, 0, "timeout", "N", "seconds for one file (60)"},
    {OPTION_PATH_STYLE, 0, "path-style", NULL, "S3: https://ENDPOINT/BUCKET/, as MinIO has it"},
    {OPTION_ALLOW_HTTP, 0, "allow-http", NULL, "without TLS, to other hosts than this one"},
    {OPTION_HELPER, 0, "helper", "PATH", "weir-fetch, which is looked for beside weir"},
    {OPTION_MIX, 0, "mix", "FILE", "questions in JSON Lines, as detect reads them"},
    {OPTION_THREADS, 0, "threads", "N", "that look up while sets are published"},
    {OPTION_PORTS, 0, "ports", "LIST", "TCP ports that are taken (80,443), as 80,8000-8999"},
    {OPTION_INTERFACE, 0, "interface", "NAME", "where clients are, as eth1; may be repeated"},
    {OPTION_LOCAL, 0, "local", NULL, "take this machine's own connections, too"},
    {OPTION_USER, 0, "user", "NAME", "--local: who weir runs as, if it sets no mark"},
    {OPTION_HELP, 'h', "help", NULL, "this text"},
};

const size_t option_row_count = COUNT_OF(option_rows);

#define TRANSPARENT_OPTIONS                                                                        \
    (1ULL << OPTION_CONFIG | 1ULL << OPTION_PORTS | 1ULL << OPTION_INTERFACE |                     \
     1ULL << OPTION_LOCAL | 1ULL << OPTION_USER)

const struct command_row command_rows[] = {
    {"run", NULL, COMMAND_RUN, 1ULL << OPTION_CONFIG | 1ULL << OPTION_PID_FILE, 0, "run the proxy",
     "Runs until SIGTERM or SIGINT. Without --config it listens on 127.0.0.1:8080 and makes a\n"
     "certificate authority in ~/.weir if there is none. SIGHUP reads the file again. SIGUSR2\n"
     "starts the program anew, which takes the sockets over: weir upgrade.\n",
     "  weir run\n"
     "  weir run --config /etc/weir/weir.yaml\n",
     NULL},
    {"upgrade", NULL, COMMAND_UPGRADE, 1ULL << OPTION_PID | 1ULL << OPTION_PID_FILE, 0,
     "let a new weir take over from the one that runs",
     "Sends SIGUSR2 to the process: it starts the program that lies at its path now, with the\n"
     "same arguments and with its listening sockets. When the new one serves, the old one "
     "finishes\n"
     "what is under way and ends; no connection is refused. If the new one does not come up, the\n"
     "old one goes on, and its log says why. With --pid-file it waits for the outcome, and exits\n"
     "with 1 if the old one still serves; with --pid it only sends.\n",
     "  weir upgrade --pid-file /run/weir/weir.pid\n"
     "  weir upgrade --pid 4711\n",
     NULL},
    {"check", NULL, COMMAND_CHECK, 1ULL << OPTION_CONFIG, 1ULL << OPTION_CONFIG,
     "find every mistake in a configuration",
     "Prints \"FILE: ok\" and exits with 0, or prints every mistake with its place and exits\n"
     "with 78. Warnings alone do not fail.\n",
     "  weir check --config weir.yaml\n", NULL},
    {"config", "example", COMMAND_CONFIG_EXAMPLE, 0, 0, "print a commented configuration",
     "Every key with its default, its bounds and what it is for, ready to be changed.\n",
     "  weir config example > weir.yaml\n", NULL},
    {"version", NULL, COMMAND_VERSION, 1ULL << OPTION_JSON, 0, "print versions",
     "Of weir, and of the libraries that are built in.\n",
     "  weir version\n"
     "  weir version --json\n",
     NULL},
    {"fingerprint", NULL, COMMAND_FINGERPRINT,
     1ULL << OPTION_JSON | 1ULL << OPTION_HEX | 1ULL << OPTION_LIVE | 1ULL << OPTION_SERVE |
         1ULL << OPTION_COUNT | 1ULL << OPTION_SECONDS,
     0, "tell who a ClientHello is from",
     "Prints JA3, JA4, SNI, ALPN and the request fingerprint of every ClientHello in FILE, which\n"
     "is a capture (pcap, pcapng), a ClientHello in bytes (TLS records, or the handshake message)\n"
     "or JSON Lines; \"-\" is standard input. Each line of JSON Lines is an object with the\n"
     "column client_hello, in hexadecimal digits; it is answered by the same object with the\n"
     "columns ja3, ja3_full, ja4, ja4_r, sni, alpn and request_fingerprint, or error.\n"
     "Exits with 1 if an input cannot be read or holds a ClientHello without a fingerprint.\n",
     "  weir fingerprint capture.pcapng\n"
     "  weir fingerprint --json capture.pcap | jq -r .ja4\n"
     "  weir fingerprint --json - < hellos.jsonl\n"
     "  weir fingerprint --hex '16 03 01 ...'\n"
     "  weir fingerprint --live 127.0.0.1:8443 --count 1\n",
     "FILE..."},
    {"user-agent", NULL, COMMAND_USER_AGENT, 1ULL << OPTION_JSON | 1ULL << OPTION_COMPATIBLE,
     1ULL << OPTION_JSON, "tell what a User-Agent header says",
     "Each line of FILE (\"-\" is standard input) is a JSON object with the column raw_ua; it is\n"
     "answered by the same object with the column ua_fingerprint, or error.\n",
     "  weir user-agent --json - < headers.jsonl\n"
     "  weir user-agent --compatible --json - < headers.jsonl\n",
     "FILE..."},
    {"detect", "mends", COMMAND_DETECT_MENDS, 1U << OPTION_JSON, 0,
     "tell how detect differs from MITMEngine",
     "Prints each difference with its reason: what MITMEngine does, and what weir does instead\n"
     "without --compatible, and with it, too, where the original crashes or has no bound. --json\n"
     "prints an object a difference.\n",
     "  weir detect mends\n"
     "  weir detect mends --json | jq -r .name\n",
     NULL},
    {"detect", NULL, COMMAND_DETECT,
     1ULL << OPTION_JSON | 1ULL << OPTION_COMPATIBLE | 1ULL << OPTION_DATABASE, 1ULL << OPTION_JSON,
     "tell intercepted requests from genuine ones",
     "Each line of FILE (\"-\" is standard input) is a JSON object with the columns raw_ua and\n"
     "request_fingerprint; ua_fingerprint, if it is there, is used instead of what raw_ua says.\n"
     "It is answered by the same object with the column report, or error. Without --database\n"
     "the built-in signatures are asked, as weir run does.\n"
     "weir detect mends tells how that differs from MITMEngine's.\n",
     "  weir detect --json - < requests.jsonl\n"
     "  weir detect --database /usr/share/weir --json - < requests.jsonl\n"
     "  weir detect --compatible --database mitmengine --json - < requests.jsonl\n",
     "FILE..."},
    {"signatures", "match", COMMAND_SIGNATURES_MATCH,
     1ULL << OPTION_JSON | 1ULL << OPTION_COMPATIBLE, 1ULL << OPTION_JSON,
     "compare fingerprints with signatures",
     "Each line of FILE (\"-\" is standard input) is a JSON object with the columns kind (int,\n"
     "string, version, request, ua, ua_version or mitm_info), signature and fingerprint; it is\n"
     "answered by the same object with the column match (impossible, unlikely or possible), for\n"
     "int and request also similarity, for request also fields; or error.\n",
     "  weir signatures match --compatible --json - < pairs.jsonl\n", "FILE..."},
    {"signatures", "merge", COMMAND_SIGNATURES_MERGE,
     1ULL << OPTION_JSON | 1ULL << OPTION_COMPATIBLE | 1ULL << OPTION_OUT, 0,
     "make one signature of several",
     "With --out: merges the records of the database in DIR that differ by no more than one\n"
     "record can say, and writes the smaller database there. The rules, and with --compatible the\n"
     "result, are those of MITMEngine's mergeDB with its questions about single pairs answered\n"
     "no. Exits with 78, and writes nothing, if a line of DIR is no record.\n"
     "Without --out, --json is needed, and\n"
     "each line of FILE (\"-\" is standard input) is a JSON object with the columns kind (int,\n"
     "string, version, request, ua, ua_version, mitm_info or record) and in, a list of\n"
     "signatures; it is answered by the same object with the column merged, or error.\n",
     "  weir signatures merge mitmengine --out merged\n"
     "  weir signatures merge --compatible --json - < lists.jsonl\n",
     "DIR|FILE..."},
    {"signatures", "lint", COMMAND_SIGNATURES_LINT, 1ULL << OPTION_JSON, 0,
     "find every mistake in a database of signatures",
     "Prints every bad line of FILE, or of browser.txt, mitm.txt, badheader.txt and\n"
     "metadata.jsonl in DIR, with its place, and warns of records that are there twice or can\n"
     "never be reached. A FILE is taken for what its name says: badheader.txt, JSON Lines of\n"
     "metadata (*.jsonl) or else records. Exits with 1 if a line is bad or a file cannot be\n"
     "read; warnings alone do not fail. --json prints an object a finding.\n",
     "  weir signatures lint /usr/share/weir\n"
     "  weir signatures lint --json browser.txt | jq 'select(.severity == \"error\")'\n",
     "DIR|FILE..."},
    {"signatures", "show", COMMAND_SIGNATURES_SHOW,
     1ULL << OPTION_JSON | 1ULL << OPTION_BROWSER | 1ULL << OPTION_PRODUCT, 0,
     "list the records of a database of signatures",
     "Prints the records of browser.txt and mitm.txt in DIR with names instead of numbers. Bad\n"
     "lines are told and left out. Exits with 1 if no record is left to show.\n",
     "  weir signatures show /usr/share/weir --browser Firefox\n"
     "  weir signatures show /usr/share/weir --product eset --json\n",
     "DIR"},
    {"signatures", "import", COMMAND_SIGNATURES_IMPORT, 1ULL << OPTION_JSON | 1ULL << OPTION_OUT,
     1ULL << OPTION_OUT, "make a database of MITMEngine's files",
     "Reads browser.txt, mitm.txt, badheader.txt and fingerprint_metadata.jsonl, which need not\n"
     "be there, from DIR as MITMEngine does, and writes what they mean there, as weir reads it;\n"
     "the last one as metadata.jsonl. Comments behind a record go, lines of them stay. Exits\n"
     "with 78, and writes nothing, if a line is bad.\n",
     "  weir signatures import mitmengine --out signatures\n", "DIR"},
    {"signatures", "export", COMMAND_SIGNATURES_EXPORT, 1ULL << OPTION_JSON | 1ULL << OPTION_OUT,
     1ULL << OPTION_OUT, "make MITMEngine's files of a database",
     "The other way round. The day of a record becomes a comment behind it, which an import\n"
     "reads again. Exits with 78, and writes nothing, if a line is bad.\n",
     "  weir signatures export signatures --out mitmengine\n", "DIR"},
    {"signatures", "capture", COMMAND_SIGNATURES_CAPTURE,
     1ULL << OPTION_JSON | 1ULL << OPTION_DATABASE | 1ULL << OPTION_LISTEN |
         1ULL << OPTION_ANY_ADDRESS | 1ULL << OPTION_CLIENT | 1ULL << OPTION_SYSTEM |
         1ULL << OPTION_COMMAND | 1ULL << OPTION_CAPTURED_PRODUCT | 1ULL << OPTION_TYPE |
         1ULL << OPTION_GRADE | 1ULL << OPTION_COUNT | 1ULL << OPTION_SECONDS |
         1ULL << OPTION_CA_DIR,
     1ULL << OPTION_DATABASE | 1ULL << OPTION_LISTEN | 1ULL << OPTION_CLIENT |
         1ULL << OPTION_SYSTEM | 1ULL << OPTION_COMMAND,
     "put what a real client shows into a database",
     "Waits for one visit of the client, or for N, answers each, and makes one record of them: in\n"
     "browser.txt, bound to the client's User-Agent, or with --product in mitm.txt. Every visit\n"
     "becomes a line of metadata.jsonl, which weir detect and weir fingerprint read too. All of\n"
     "it is appended, or nothing. Browsers, which send their extensions in any order, want three\n"
     "visits or more, and to a host name: https://localhost:PORT/. The certificate is of the\n"
     "authority in ~/.weir or --ca-dir (weir-ca-cert.pem); a client that does not trust it shows\n"
     "its ClientHello, but no User-Agent. With --seconds alone all visits of that time count.\n"
     "Exits with 1, and writes nothing, if time is over before, with 78 if a line of DIR is bad.\n",
     "  weir signatures capture --listen 127.0.0.1:8443 --database signatures \\\n"
     "      --client \"curl 7.88.1\" --system \"Debian 12\" --command \"curl -k "
     "https://localhost:8443/\"\n",
     NULL},
    {"signatures", "fetch", COMMAND_SIGNATURES_FETCH,
     1ULL << OPTION_JSON | 1ULL << OPTION_DATABASE | 1ULL << OPTION_FROM | 1ULL << OPTION_SHA256 |
         1ULL << OPTION_CHECKSUMS | 1ULL << OPTION_CA_FILE | 1ULL << OPTION_LENIENT |
         1ULL << OPTION_DRY_RUN | 1ULL << OPTION_TIMEOUT | 1ULL << OPTION_PATH_STYLE |
         1ULL << OPTION_ALLOW_HTTP | 1ULL << OPTION_HELPER,
     1ULL << OPTION_FROM | 1ULL << OPTION_DATABASE, "bring a database of signatures up to date",
     "Fetches browser.txt, mitm.txt and badheader.txt, and if they are there SHA256SUMS,\n"
     "metadata.jsonl and fingerprint_metadata.jsonl, judges them, and puts all of them in the\n"
     "place of DIR at once; what was there is DIR.previous afterwards. If anything fails DIR is\n"
     "left as it is. A SOURCE that ends with the name of one of the files changes that one\n"
     "alone. What did not change is not sent again. A proxy that runs takes the new set on\n"
     "SIGHUP: kill -HUP PID.\n"
     "s3:// needs AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT and, if SOURCE has no\n"
     "BUCKET, AWS_BUCKET_NAME in the environment; AWS_SESSION_TOKEN and AWS_REGION (us-east-1)\n"
     "may be there. Files are fetched from https://BUCKET.ENDPOINT/PREFIX/.\n"
     "Exits with 0 if DIR is up to date, be it fetched or not modified; with 65 if what came is\n"
     "no database or its checksum is wrong, 69 if it could not be had, 73 or 77 if DIR cannot\n"
     "be written, 75 while another fetch is under way, 78 if the environment lacks something.\n",
     "  weir signatures fetch --from https://example.com/signatures/ --database /var/lib/weir/db\n"
     "  weir signatures fetch --from s3://bucket/signatures --checksums --database db\n"
     "  weir signatures fetch --from ./new --database db --dry-run\n",
     NULL},
    {"transparent", "setup", COMMAND_TRANSPARENT_SETUP, TRANSPARENT_OPTIONS, 1ULL << OPTION_CONFIG,
     "make the kernel send connections to weir",
     "Clients need not know of weir: what they send to the ports of LIST on its way through this\n"
     "machine goes to the transparent listener of the configuration, by REDIRECT or, with tproxy,\n"
     "by TPROXY; QUIC (UDP to port 443) is rejected, so that browsers use TCP. That is one table\n"
     "of nft, \"inet weir\", and for TPROXY a routing rule and a route of each family; another\n"
     "setup replaces it. Without --interface all clients are taken that this machine forwards\n"
     "for. It needs nft and ip, and root. Forwarding itself (sysctl) is not changed.\n"
     "Exits with 69 if nft or ip is not there, 77 without the right, and has then changed "
     "nothing.\n",
     "  weir transparent setup --config weir.yaml --interface eth1\n"
     "  weir transparent setup --config weir.yaml --ports 1-65535 --local\n",
     NULL},
    {"transparent", "undo", COMMAND_TRANSPARENT_UNDO, 0, 0, "take that back",
     "Removes what weir transparent setup has made and nothing else, whatever the configuration\n"
     "is by now. It is no fault if there is nothing.\n",
     "  weir transparent undo\n", NULL},
    {"transparent", "print", COMMAND_TRANSPARENT_PRINT, TRANSPARENT_OPTIONS, 1ULL << OPTION_CONFIG,
     "print what setup would do", "As a script for the shell, to be read, changed and kept.\n",
     "  weir transparent print --config weir.yaml --interface eth1\n", NULL},
    {"bench", "detect", COMMAND_BENCH_DETECT,
     1ULL << OPTION_JSON | 1ULL << OPTION_DATABASE | 1ULL << OPTION_MIX | 1ULL << OPTION_SECONDS |
         1ULL << OPTION_THREADS,
     0, "measure what detection costs",
     "CPU time of a ClientHello's fingerprints, a remembered verdict, a check, and lookups while\n"
     "sets are published. Without --database or --mix it makes one up, and says so. A bound that\n"
     "is missed is told, and does not fail.\n",
     "  weir bench detect\n"
     "  weir bench detect --database /usr/share/weir --mix requests.jsonl --seconds 60 --json\n",
     NULL},
    {"bench", "micro", COMMAND_BENCH_MICRO, 1ULL << OPTION_JSON | 1ULL << OPTION_SECONDS, 0,
     "measure the parts of connections and requests",
     "CPU time of each part, beside the TLS library's own. ROW is how names of rows begin.\n",
     "  weir bench micro\n  weir bench micro leaf p256 --seconds 5\n", "ROW..."},
    {"bench", "run", COMMAND_BENCH_RUN, 0, 0, "measure a proxy under load",
     "weir bench run --help lists its options.\n", "  weir bench run\n", "OPTION..."},
    {"bench", "origin", COMMAND_BENCH_ORIGIN, 0, 0, "be the origin of the load harness",
     "weir bench origin --help lists its options.\n", "  weir bench origin --ca-dir origin-ca\n",
     "OPTION..."},
    {"bench", "grow", COMMAND_BENCH_GROW, 0, 0, "show how costs grow with what there is",
     "weir bench grow --help lists its options.\n", "  weir bench grow --html grow.html\n",
     "OPTION..."},
    {"bench", "compare", COMMAND_BENCH_COMPARE, 0, 0, "tell whether one result beats another",
     "weir bench compare --help explains it.\n", "  weir bench compare before.json after.json\n",
     "FILE..."},
};

const size_t command_row_count = COUNT_OF(command_rows);
