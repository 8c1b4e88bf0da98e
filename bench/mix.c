/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/mix.h"

#include "core/tools/database_folder.h"
#include "core/tools/json_lines.h"
#include "core/tools/user_agent_lines.h"
#include "detect/user_agent.h"

#include <stdlib.h>

enum { FIRST_MAJOR = 40, MAJOR_COUNT = 80, PRODUCT_COUNT = 64, QUESTION_TEXT_MAX = 512 };

/* A question in its text form. `ua` may be null data: the header says it. */
struct question_text {
    struct span raw_ua;
    struct span ua;
    struct span request;
};

/* ---- questions ---- */

enum { LIST_COUNT = 4, WORDS_COUNT = 3, UA_NUMBERS_LEN = offsetof(struct ua_fingerprint, quirks) };

/* Then words, which point to the text, numbers, and the text: the words' and the raw header. */
struct mix_question {
    uint8_t ua[UA_NUMBERS_LEN];
    struct span raw_ua;
    int32_t today;
    bool without_headers;
    uint16_t version;
    uint16_t number_counts[LIST_COUNT];
    uint16_t word_counts[WORDS_COUNT];
    struct span words[];
};

/* The lists of a room, in the order in which they are packed. */
struct room_lists {
    struct number_list *numbers[LIST_COUNT];
    struct word_list *words[WORDS_COUNT];
};

static struct room_lists lists_of(struct ua_fingerprint *ua, struct request_fingerprint *request)
{
    return (struct room_lists){
        {&request->ciphers, &request->extensions, &request->curves, &request->point_formats},
        {&request->headers, &request->quirks, &ua->quirks}};
}

static struct span copy_text(char **at, struct span text)
{
    struct span copy = span_make(*at, text.len);

    if (text.len) {
        memcpy(*at, text.data, text.len);
    }
    *at += text.len;
    return copy;
}

static size_t packed_len(const struct room_lists *lists, struct span raw_ua)
{
    size_t len = sizeof(struct mix_question) + raw_ua.len;

    for (size_t i = 0; i < LIST_COUNT; i++) {
        len += lists->numbers[i]->count * sizeof(uint16_t);
    }
    for (size_t i = 0; i < WORDS_COUNT; i++) {
        const struct word_list *list = lists->words[i];

        len += list->count * sizeof(struct span);
        for (size_t k = 0; k < list->count; k++) {
            len += list->items[k].len;
        }
    }
    return len;
}

static void pack(struct mix_question *item, const struct room_lists *lists, struct span raw_ua)
{
    struct span *word = item->words;
    uint16_t *numbers;
    char *text;

    for (size_t i = 0; i < WORDS_COUNT; i++) {
        item->word_counts[i] = (uint16_t)lists->words[i]->count;
        word += lists->words[i]->count;
    }
    numbers = (uint16_t *)(void *)word;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        const struct number_list *list = lists->numbers[i];

        item->number_counts[i] = (uint16_t)list->count;
        memcpy(numbers, list->items, list->count * sizeof(*numbers));
        numbers += list->count;
    }
    text = (char *)(void *)numbers;
    item->raw_ua = copy_text(&text, raw_ua);
    word = item->words;
    for (size_t i = 0; i < WORDS_COUNT; i++) {
        for (size_t k = 0; k < lists->words[i]->count; k++) {
            *word++ = copy_text(&text, lists->words[i]->items[k]);
        }
    }
}

struct mix_question *mix_question_new(const struct detect_question *question)
{
    static struct mix_room room;
    struct room_lists lists = lists_of(&room.ua, &room.request);
    struct mix_question *item;

    room.ua = *question->ua;
    room.request = *question->request;
    item = malloc(packed_len(&lists, question->raw_ua));
    if (item) {
        memcpy(item->ua, question->ua, UA_NUMBERS_LEN);
        item->today = question->today;
        item->without_headers = question->without_headers;
        item->version = question->request->version;
        pack(item, &lists, question->raw_ua);
    }
    return item;
}

void mix_ask(struct mix_room *room, const struct mix_question *item)
{
    struct room_lists lists = lists_of(&room->ua, &room->request);
    const struct span *word = item->words;
    const uint16_t *numbers;

    for (size_t i = 0; i < WORDS_COUNT; i++) {
        lists.words[i]->count = item->word_counts[i];
        memcpy(lists.words[i]->items, word, item->word_counts[i] * sizeof(*word));
        word += item->word_counts[i];
    }
    numbers = (const uint16_t *)(const void *)word;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        lists.numbers[i]->count = item->number_counts[i];
        memcpy(lists.numbers[i]->items, numbers, item->number_counts[i] * sizeof(*numbers));
        numbers += item->number_counts[i];
    }
    memcpy(&room->ua, item->ua, UA_NUMBERS_LEN);
    room->request.version = item->version;
    room->question = (struct detect_question){.ua = &room->ua,
                                              .raw_ua = item->raw_ua,
                                              .request = &room->request,
                                              .today = item->today,
                                              .without_headers = item->without_headers};
}

static bool fail(struct text *error, const char *column, const struct detect_fault *fault)
{
    text_printf(error, "%s: byte %zu: %s expected", column, fault->offset, fault->expected);
    return false;
}

static bool read_question(struct mix_room *room, const struct question_text *text,
                          struct text *error)
{
    struct detect_fault fault;

    room->question = (struct detect_question){
        .ua = &room->ua, .raw_ua = text->raw_ua, .request = &room->request};
    if (!text->ua.data) {
        user_agent_parse(&room->ua, text->raw_ua, USER_AGENT_DEFAULT);
    } else if (!ua_fingerprint_parse(&room->ua, text->ua, &fault)) {
        return fail(error, "ua_fingerprint", &fault);
    }
    return request_fingerprint_parse(&room->request, text->request, &fault) ||
           fail(error, "request_fingerprint", &fault);
}

static bool mix_init(struct mix *mix)
{
    mix->count = 0;
    mix->items = calloc(MIX_QUESTIONS_MAX, sizeof(struct mix_question *));
    return mix->items != NULL;
}

static bool add_question(struct mix *mix, const struct question_text *text, struct text *error)
{
    static struct mix_room room;
    struct mix_question *item;

    if (mix->count == MIX_QUESTIONS_MAX) {
        text_printf(error, "at most %d lines expected", MIX_QUESTIONS_MAX);
        return false;
    }
    if (!read_question(&room, text, error)) {
        return false;
    }
    item = mix_question_new(&room.question);
    if (!item) {
        text_string(error, "out of memory");
        return false;
    }
    mix->items[mix->count++] = item;
    return true;
}

void mix_fini(struct mix *mix)
{
    for (size_t i = 0; i < mix->count; i++) {
        free(mix->items[i]);
    }
    free(mix->items);
    *mix = (struct mix){NULL, 0};
}

/* ---- from a file ---- */

static bool read_object(struct mix *mix, const json_t *object, struct text *error)
{
    struct question_text text = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    uint8_t *owned = NULL;
    bool done = user_agent_lines_header(object, &text.raw_ua, &owned, error) &&
                (!json_object_get(object, "ua_fingerprint") ||
                 json_lines_string(object, "ua_fingerprint", &text.ua, error)) &&
                json_lines_string(object, "request_fingerprint", &text.request, error) &&
                add_question(mix, &text, error);

    free(owned);
    return done;
}

static bool read_line(struct mix *mix, struct span line, struct text *error)
{
    json_error_t fault;
    json_t *object;
    bool done = false;

    if (line.len > JSON_LINE_MAX) {
        text_printf(error, "at most %d bytes expected", JSON_LINE_MAX);
        return false;
    }
    object = json_loadb(line.len ? (const char *)line.data : "", line.len, JSON_DECODE_ANY, &fault);
    if (!object) {
        text_printf(error, "byte %d: %s", fault.position, fault.text);
    } else if (!json_is_object(object)) {
        text_string(error, "an object expected");
    } else {
        done = read_object(mix, object, error);
    }
    json_decref(object);
    return done;
}

/* False: the input has ended. A line that is too long is cut somewhere behind JSON_LINE_MAX. */
static bool next_line(struct input *in, struct span *line)
{
    struct span window;
    size_t len = 0;

    do {
        window = input_window(in);
        len += span_find(span_skip(window, len), '\n');
    } while (len == window.len && len <= JSON_LINE_MAX && input_fill(in, len + 1));
    *line = span_sub(input_window(in), 0, len);
    return input_window(in).len != 0;
}

static int read_lines(struct mix *mix, struct input *in, const char *name, FILE *err)
{
    char room[JSON_ERROR_MAX];
    struct text error = text_make(room, sizeof(room));
    struct span line;
    size_t number = 0;

    while (next_line(in, &line)) {
        number++;
        if (!read_line(mix, line, &error)) {
            fprintf(err, "%s:%zu: %.*s\n", name, number, SPAN_PRINTF(text_view(&error)));
            return EXIT_STATUS_CONFIG;
        }
        input_skip(in, line.len + 1);
    }
    if (in->error) {
        fprintf(err, "weir bench: %s: %s\n", name, strerror(in->error));
        return EXIT_STATUS_RUNTIME;
    }
    if (mix->count == 0) {
        fprintf(err, "%s:1: a line expected, with raw_ua and request_fingerprint\n", name);
        return EXIT_STATUS_CONFIG;
    }
    return EXIT_STATUS_OK;
}

int mix_load(struct mix *mix, const char *name, FILE *err)
{
    struct input in;
    int status, failed;

    if (!mix_init(mix)) {
        fputs("weir bench: out of memory\n", err);
        return EXIT_STATUS_RUNTIME;
    }
    failed = input_open(&in, name);
    if (failed) {
        fprintf(err, "weir bench: %s: %s\n", name, strerror(-failed));
        return EXIT_STATUS_CONFIG;
    }
    status = read_lines(mix, &in, input_name(name), err);
    input_fini(&in);
    return status;
}

/* ---- made up ---- */

/* Browser `number` of the MAJOR_COUNT versions of two browsers on two systems. */
struct made_up {
    unsigned browser; /* UA_BROWSER_CHROME or UA_BROWSER_FIREFOX */
    unsigned major;
    unsigned os; /* UA_OS_WINDOWS or UA_OS_MACOS */
};

enum { MADE_UP_BROWSERS = 4 * MAJOR_COUNT };

static struct made_up made_up_browser(unsigned number)
{
    return (struct made_up){number % 2 ? UA_BROWSER_FIREFOX : UA_BROWSER_CHROME,
                            FIRST_MAJOR + number / 4, number / 2 % 2 ? UA_OS_MACOS : UA_OS_WINDOWS};
}

/* The first five fields of what it sends; each version has a suite of its own. */
static void print_hello(struct text *out, struct made_up made_up)
{
    text_printf(out,
                "303:1301,1302,1303,c02b,c02f,c02c,c030,%x,cca9,cca8,c013,c014,9c,9d,2f,35:"
                "0,17,ff01,a,b,23,10,5,d,12,33,2d,2b,1b%s:1d,17,18:0:",
                0xc100 + made_up.browser * 256 + made_up.major,
                made_up.os == UA_OS_WINDOWS ? ",15" : "");
}

static void print_product_hello(struct text *out, unsigned number)
{
    text_printf(out, "303:c030,c02c,%x,9f,9e,6b,67,9d,9c,3d,35,2f:0,b,a,d,f:17,18,19:0,1,2:",
                0xd000 + number);
}

static void print_database(struct text *browsers, struct text *products)
{
    for (unsigned i = 0; i < MADE_UP_BROWSERS; i++) {
        struct made_up made_up = made_up_browser(i);

        text_printf(browsers, "%u:%u:%u:%u:10.0-10.15:1:|", made_up.browser, made_up.major,
                    made_up.os == UA_OS_WINDOWS ? UA_PLATFORM_WINDOWS : UA_PLATFORM_MAC,
                    made_up.os);
        print_hello(browsers, made_up);
        text_string(browsers, "*:~?grease|:0:0\n");
    }
    for (unsigned i = 0; i < PRODUCT_COUNT; i++) {
        text_string(products, "0::0:0::0:|");
        print_product_hello(products, i);
        text_printf(products, ":|product%u:1:2\n", i);
    }
}

static struct database *make_up_database(enum detect_mode mode, const struct database_options *more)
{
    static char browsers_room[64 * 1024], products_room[16 * 1024];
    struct text browsers = text_make(browsers_room, sizeof(browsers_room));
    struct text products = text_make(products_room, sizeof(products_room));
    struct database_options options = {
        .mode = mode,
        .bad_headers = {SPAN_LITERAL("via\nx-forwarded-for\n"), "made up"},
        .more = more};
    struct record_faults faults;

    print_database(&browsers, &products);
    ASSERT(!browsers.overflow && !products.overflow);
    options.browsers = (struct database_source){text_view(&browsers), "made up"};
    options.products = (struct database_source){text_view(&products), "made up"};
    return database_new(&options, &faults);
}

static struct database *make_database(const char *dir, enum detect_mode mode,
                                      const struct database_options *more, FILE *err)
{
    const struct database_folders folders = {
        .command = "bench", .dirs = &dir, .count = 1, .mode = mode, .strict = true, .more = more};
    struct database *db;

    if (dir) {
        return database_folders_load(&folders, err);
    }
    db = make_up_database(mode, more);
    if (!db) {
        fputs("weir bench: out of memory\n", err);
    }
    return db;
}

struct database *mix_database(const char *dir, enum detect_mode mode, FILE *err)
{
    return make_database(dir, mode, NULL, err);
}

struct database *mix_database_with(const char *dir, const struct database *like, unsigned number,
                                   FILE *err)
{
    enum { STRIDE = 7919 }; /* so that neighbours are of different browsers */
    const struct record_list *browsers = database_browsers(like);
    const struct ua_signature *ua = &browsers->items[number * STRIDE % browsers->count].ua;
    char room[1024];
    struct text record = text_make(room, sizeof(room));
    struct database_options more = {.mode = DETECT_DEFAULT};

    ua_signature_print(&record, ua, database_words(like), DETECT_DEFAULT);
    text_printf(&record, "|303:%x:0:17:0:*:|:0:0\n", number & 0xffff);
    ASSERT(!record.overflow);
    more.browsers = (struct database_source){text_view(&record), "one record more"};
    return make_database(dir, DETECT_DEFAULT, &more, err);
}

static void print_question(struct question_text *text, char room[3][QUESTION_TEXT_MAX],
                           unsigned number)
{
    struct made_up made_up = made_up_browser(number * 5 % MADE_UP_BROWSERS);
    bool is_windows = made_up.os == UA_OS_WINDOWS;
    struct text raw_ua = text_make(room[0], QUESTION_TEXT_MAX);
    struct text ua = text_make(room[1], QUESTION_TEXT_MAX);
    struct text request = text_make(room[2], QUESTION_TEXT_MAX);

    text_printf(&raw_ua,
                "Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) %s/%u.0.0.0 Safari/537.36",
                is_windows ? "Windows NT 10.0; Win64; x64" : "Macintosh; Intel Mac OS X 10_15_7",
                made_up.browser == UA_BROWSER_CHROME ? "Chrome" : "Firefox", made_up.major);
    text_printf(&ua, "%u:%u.0.0:%u:%u:10.%u.0:1:", made_up.browser, made_up.major,
                is_windows ? UA_PLATFORM_WINDOWS : UA_PLATFORM_MAC, made_up.os,
                is_windows ? 0 : 15);
    if (number % 4 == 2) {
        print_product_hello(&request, number % PRODUCT_COUNT);
    } else if (number % 4 == 3) {
        text_printf(&request, "303:c02f,%x,9c,2f:0,a,b,d:17:0:", 0xe000 + number);
    } else {
        print_hello(&request, made_up);
    }
    text_string(&request, "host,connection,upgrade-insecure-requests,user-agent,accept,"
                          "sec-fetch-site,sec-fetch-mode,sec-fetch-dest,accept-encoding,"
                          "accept-language,cookie:");
    ASSERT(!raw_ua.overflow && !ua.overflow && !request.overflow);
    *text = (struct question_text){text_view(&raw_ua), text_view(&ua), text_view(&request)};
}

bool mix_make_up(struct mix *mix)
{
    char error_room[JSON_ERROR_MAX];
    struct text error = text_make(error_room, sizeof(error_room));

    if (!mix_init(mix)) {
        return false;
    }
    for (unsigned i = 0; i < MIX_MADE_UP_COUNT; i++) {
        char room[3][QUESTION_TEXT_MAX];
        struct question_text text;

        print_question(&text, room, i);
        if (!add_question(mix, &text, &error)) {
            return false;
        }
    }
    return true;
}
