/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a question: the same for what the check cannot tell apart, another for all else. */
#include "detect/verdict_key.h"
#include "tests/unit/detect/database_kit.h"

static struct database *db;
static struct verdict_key key, other;
static struct ua_fingerprint ua;
static struct request_fingerprint request;

static void make(struct verdict_key *to, enum verdict_key_form form, const char *text)
{
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    struct detect_fault fault;

    assert_true(request_fingerprint_parse(&request, span_from_string(text), &fault));
    assert_true(verdict_key_begin(to, verdict_key_rules(db), &question));
    assert_true(verdict_key_end(to, form, &request.extensions));
}

static bool are_alike(enum verdict_key_form form, const char *a, const char *b)
{
    bool alike;

    make(&key, form, a);
    make(&other, form, b);
    alike = span_equal(verdict_key_view(&key), verdict_key_view(&other));
    assert_true(!alike || key.hash == other.hash);
    return alike;
}

static int set_up(void **state)
{
    struct database_options options = {.mode = DETECT_DEFAULT};
    struct detect_fault fault;
    struct record_faults faults;

    (void)state;
    db = database_new(&options, &faults);
    assert_non_null(db);
    assert_true(ua_fingerprint_parse(&ua, SPAN_LITERAL("1:131.0.0:1:2:10.0.0:1:"), &fault));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    database_free(db);
    return 0;
}

static void grease_is_told_but_not_which(void **state)
{
    (void)state;
    for (int form = VERDICT_KEY_AS_SEEN; form <= VERDICT_KEY_SORTED; form++) {
        enum verdict_key_form f = (enum verdict_key_form)form;

        assert_true(are_alike(f, "303:1a1a,5:0,a:17:0::", "303:5:0,a,fafa:17:0::"));
        assert_true(are_alike(f, "303:5:0,a:2a2a,17:0::", "303:5:0,1a1a,a:17,3a3a:0::"));
        assert_false(are_alike(f, "303:1a1a,5:0,a:17:0::", "303:5:0,a:17:0::"));
        assert_false(are_alike(f, "303:5:0,a,dada:17:0::", "303:5:0,a:17:0::"));
        assert_false(are_alike(f, "303:1a2a,5:0,a:17:0::", "303:5:0,a:17:0::"));
        assert_false(are_alike(f, "303:5:0,a:17:0::", "303:5:0,a:17:0,0::"));
    }
}

static void order_counts_unless_it_is_sorted(void **state)
{
    (void)state;
    assert_false(are_alike(VERDICT_KEY_AS_SEEN, "303::a,0::::", "303::0,a::::"));
    assert_true(are_alike(VERDICT_KEY_SORTED,
                          "303::a,ff01,0,3f,40,fe0d::::", "303::fe0d,40,0,3f,a,ff01::::"));
    assert_false(are_alike(VERDICT_KEY_SORTED, "303::3f::::", "303::40::::"));
    assert_false(are_alike(VERDICT_KEY_SORTED, "303::0,3f::::", "303::3f::::"));
    assert_false(are_alike(VERDICT_KEY_SORTED, "303::ff01::::", "303::ff01,ff01::::"));
    /* One twice is not once, and it matters which. */
    assert_false(are_alike(VERDICT_KEY_SORTED, "303::5,5,6::::", "303::5,6::::"));
    assert_false(are_alike(VERDICT_KEY_SORTED, "303::5,5,6::::", "303::5,6,6::::"));
    assert_true(are_alike(VERDICT_KEY_SORTED, "303::5,6,ff01,5::::", "303::6,5,5,ff01::::"));
    /* The forms are never the same. */
    make(&key, VERDICT_KEY_SORTED, "303::::::");
    make(&other, VERDICT_KEY_AS_SEEN, "303::::::");
    assert_false(span_equal(verdict_key_view(&key), verdict_key_view(&other)));
}

/* Words of all lengths, among them those that are copied in two halves. */
static void words_are_whole(void **state)
{
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    char text[256], again[256];
    size_t start;

    (void)state;
    for (size_t len = 0; len < 70; len++) {
        start = (size_t)snprintf(text, sizeof(text), "303:::::a,");
        memset(text + start, 'b', len);
        snprintf(text + start + len, sizeof(text) - start - len, ",c:");
        assert_true(are_alike(VERDICT_KEY_AS_SEEN, text, text));
        for (size_t at = 0; at < len; at++) {
            memcpy(again, text, sizeof(text));
            again[start + at] = 'x';
            assert_false(are_alike(VERDICT_KEY_AS_SEEN, text, again));
        }
    }
    make(&key, VERDICT_KEY_AS_SEEN, "303::::::");
    question.without_headers = true;
    assert_true(verdict_key_begin(&other, verdict_key_rules(db), &question));
    assert_true(verdict_key_end(&other, VERDICT_KEY_AS_SEEN, &request.extensions));
    assert_false(span_equal(verdict_key_view(&key), verdict_key_view(&other)));
    assert_false(are_alike(VERDICT_KEY_AS_SEEN, "303:::::ab,c:", "303:::::a,bc:"));
    assert_false(are_alike(VERDICT_KEY_AS_SEEN, "303:::::a:b", "303:::::a,b:"));
}

/* Numbers that fit into 16 bits are kept in that. */
static void numbers_of_all_sizes_are_told(void **state)
{
    static const char *const texts[] = {
        "1:131.0.0:1:2:10.0.0:1:",      "1:131:1:2:10.0.0:1:",
        "1:131.0.0:1:2:10.0.1:1:",      "1:65534.0.0:1:2:10.0.0:1:",
        "1:65535.0.0:1:2:10.0.0:1:",    "1:65536.0.0:1:2:10.0.0:1:",
        "1:65667.0.0:1:2:10.0.0:1:",    "1:-2.0.0:1:2:10.0.0:1:",
        "1:131.0.0:1:2:10.0.0:65537:",  "1:9223372036854775807:1:2:10.0.0:1:",
        "1:131.0.0:1:2:10.0.-65536:1:",
    };
    static struct verdict_key keys[COUNT_OF(texts)];
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    struct ua_fingerprint before = ua;
    struct detect_fault fault;

    (void)state;
    assert_true(request_fingerprint_parse(&request, SPAN_LITERAL("303:5:0:17:0::"), &fault));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_true(ua_fingerprint_parse(&ua, span_from_string(texts[i]), &fault));
        assert_true(verdict_key_begin(&keys[i], verdict_key_rules(db), &question));
        assert_true(verdict_key_end(&keys[i], VERDICT_KEY_AS_SEEN, &request.extensions));
        for (size_t k = 0; k < i; k++) {
            assert_false(span_equal(verdict_key_view(&keys[i]), verdict_key_view(&keys[k])));
        }
    }
    ua = before;
}

/* Where a word of the raw header stands does not matter, nor what is around it. */
static void quirks_of_headers_are_found(void **state)
{
    static const char *const words[] = {"Dragon/", "GSA/", "Silk-Accelerated=true",
                                        "PlayStation Vita"};
    static const char fill[] = "DrGSSiPl PlayStation Silk-Accelerated Dragon GSA Mozilla/5.0 "
                               "(X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
    char raw[256];

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(words); i++) {
        size_t len = strlen(words[i]);

        for (size_t before = 0; before < 60; before++) {
            for (size_t behind = 0; behind < 40; behind++) {
                memcpy(raw, fill, before);
                memcpy(raw + before, words[i], len);
                memcpy(raw + before + len, fill, behind);
                assert_int_equal(detect_header_quirks(span_make(raw, before + len + behind)),
                                 1U << i);
                /* A byte short, it is not there. */
                assert_int_equal(detect_header_quirks(span_make(raw, before + len - 1)), 0);
            }
        }
    }
    assert_int_equal(detect_header_quirks(span_make(NULL, 0)), 0);
}

static void long_questions_have_no_key(void **state)
{
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    struct detect_fault fault;
    static char word[VERDICT_KEY_MAX];

    (void)state;
    memset(word, 'a', sizeof(word));
    assert_true(request_fingerprint_parse(&request, SPAN_LITERAL("303:5:0:17:0::"), &fault));
    for (size_t len = 0; len <= sizeof(word); len++) {
        bool done;

        /* What is beside the word takes less than 150 bytes. */
        request.headers.count = 0;
        assert_true(word_list_add(&request.headers, span_make(word, len)));
        done = verdict_key_begin(&key, verdict_key_rules(db), &question) &&
               verdict_key_end(&key, VERDICT_KEY_AS_SEEN, &request.extensions);
        assert_true(!done || key.len <= VERDICT_KEY_MAX);
        assert_true(done || len + 150 > VERDICT_KEY_MAX);
        assert_false(done && len + 40 > VERDICT_KEY_MAX);
    }
    request.headers.count = 0;
    request.extensions.count = FINGERPRINT_LIST_MAX;
    for (size_t i = 0; i < FINGERPRINT_LIST_MAX; i++) {
        request.extensions.items[i] = (uint16_t)(0xffff - i);
    }
    assert_true(verdict_key_begin(&key, verdict_key_rules(db), &question));
    assert_true(verdict_key_end(&key, VERDICT_KEY_SORTED, &request.extensions));
}

/* ---- questions made of keys ---- */

static struct verdict_question question_again;

/* The same numbers in each run: xorshift. */
static unsigned draw(void)
{
    static uint32_t state = 4711;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state >> 8;
}

static void draw_numbers(struct number_list *list)
{
    list->count = draw() % 8 ? draw() % 24 : draw() % 200;
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = (uint16_t)(draw() % 4 ? draw() % 80 : draw() % 9 ? draw() : 0x1a1a);
    }
}

static void draw_words(struct word_list *list, const char *text)
{
    size_t len = strlen(text);

    list->count = draw() % 12;
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = span_sub(span_from_string(text), draw() % len, draw() % len);
    }
}

static int64_t draw_wide(void)
{
    return draw() % 4 ? (int64_t)(draw() % 70000) - 1 : (int64_t)((uint64_t)draw() << 40);
}

static void draw_question(struct detect_question *question, struct ua_fingerprint *fp)
{
    static const char *const raws[] = {
        "", "Mozilla/5.0 GSA/3", "Dragon/1 and then Silk-Accelerated=true",
        "PlayStation Vita, GSA/4 and Dragon/", "Mozilla/5.0 (X11; Linux x86_64) Gecko"};
    static const char text[] = "host,user-agent,accept-language,x";

    fp->browser = (int64_t)(draw() % 20);
    fp->platform = (int64_t)(draw() % 5);
    fp->os = (int64_t)(draw() % 5);
    fp->device = (int64_t)(draw() % 5);
    fp->browser_version =
        (struct ua_version){draw() % 3 ? 120 : draw_wide(), draw() % 9 ? 0 : draw_wide(), -1};
    fp->os_version = (struct ua_version){10, draw() % 9 ? 0 : draw_wide(), 0};
    draw_words(&fp->quirks, text);
    request.version = (uint16_t)(0x300 + draw() % 5);
    draw_numbers(&request.ciphers);
    draw_numbers(&request.extensions);
    draw_numbers(&request.curves);
    draw_numbers(&request.point_formats);
    draw_words(&request.headers, text);
    draw_words(&request.quirks, text);
    *question = (struct detect_question){fp, span_from_string(raws[draw() % COUNT_OF(raws)]),
                                         &request, (int32_t)draw(), draw() % 2};
}

static void make_of(struct verdict_key *to, enum verdict_key_form form,
                    struct verdict_key_rules rules, const struct detect_question *question)
{
    assert_true(verdict_key_begin(to, rules, question));
    assert_true(verdict_key_end(to, form, &question->request->extensions));
}

/* Keys are the same for the same answer, so a question with this key has the answer of all. */
static void questions_of_keys_have_that_key(void **state)
{
    struct detect_question question;
    struct ua_fingerprint fp;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        enum verdict_key_form form = i % 2 ? VERDICT_KEY_SORTED : VERDICT_KEY_AS_SEEN;
        struct verdict_key_rules rules = {i % 3 ? DETECT_DEFAULT : DETECT_COMPATIBLE, i % 5 == 0};

        draw_question(&question, &fp);
        make_of(&key, form, rules, &question);
        assert_true(verdict_key_read(&question_again, verdict_key_view(&key)));
        make_of(&other, form, rules, &question_again.question);
        assert_true(span_equal(verdict_key_view(&key), verdict_key_view(&other)));
        assert_int_equal(key.hash, other.hash);
    }
}

/* What the check reads is what was asked, where the key keeps it as it was. */
static void questions_of_keys_say_the_same(void **state)
{
    static const char text[] = "303:1301,c02b:0,a,b:17,18:0,1:host,accept:q";
    struct detect_question question = {&ua, SPAN_LITERAL("x GSA/1 Dragon/"), &request, 20500, true};
    const struct detect_question *again = &question_again.question;
    struct ua_fingerprint before = ua;
    struct detect_fault fault;
    char room[256];
    struct text out = text_make(room, sizeof(room));

    (void)state;
    assert_true(ua_fingerprint_parse(&ua, SPAN_LITERAL("1:131.-2:1:2:10.70000.0:1:q,r"), &fault));
    assert_true(request_fingerprint_parse(&request, SPAN_LITERAL(text), &fault));
    make_of(&key, VERDICT_KEY_AS_SEEN, (struct verdict_key_rules){DETECT_DEFAULT, true}, &question);
    assert_true(verdict_key_read(&question_again, verdict_key_view(&key)));
    request_fingerprint_print(&out, again->request);
    assert_true(span_equal(text_view(&out), SPAN_LITERAL(text)));
    out = text_make(room, sizeof(room));
    ua_fingerprint_print(&out, again->ua);
    assert_true(span_equal(text_view(&out), SPAN_LITERAL("1:131.-2:1:2:10.70000.0:1:q,r")));
    assert_int_equal(again->today, 20500);
    assert_true(again->without_headers);
    assert_int_equal(detect_header_quirks(again->raw_ua), 3);
    ua = before;
}

/* In room of their own length, so that reading beyond it would be seen. */
static void bytes_that_are_no_key_are_told(void **state)
{
    struct detect_question question = {&ua, {NULL, 0}, &request, 0, false};
    unsigned kept = 0;

    (void)state;
    for (int form = VERDICT_KEY_AS_SEEN; form <= VERDICT_KEY_SORTED; form++) {
        make(&key, (enum verdict_key_form)form, "303:1301,c02b:ff01,0,a:17,18:0,1:host,a:q");
        for (size_t len = 0; len <= key.len; len++) {
            uint8_t *bytes = malloc(len + 1);

            assert_non_null(bytes);
            memcpy(bytes + 1, key.bytes, len);
            assert_true(verdict_key_read(&question_again, span_make(bytes + 1, len)) ==
                        (len == key.len));
            free(bytes);
        }
        for (unsigned i = 0; i < 20000; i++) {
            size_t len = key.len ? key.len : 1;
            uint8_t *bytes = malloc(len);

            assert_non_null(bytes);
            memcpy(bytes, key.bytes, len);
            bytes[draw() % len] = (uint8_t)draw();
            bytes[draw() % len] = (uint8_t)draw();
            if (verdict_key_read(&question_again, span_make(bytes, len))) {
                kept++;
                assert_true(question_again.request.headers.count <= WORD_LIST_MAX);
            }
            free(bytes);
        }
        assert_true(kept > 0);
        key.bytes[key.len] = 0;
        assert_false(verdict_key_read(&question_again, span_make(key.bytes, key.len + 1)));
    }
    /* As many extensions as there may be, and one of GREASE beside them. */
    assert_int_equal(request.ciphers.count, 2);
    request.ciphers.items[0] = 0x1a1a;
    for (size_t count = FINGERPRINT_LIST_MAX - 1; count <= FINGERPRINT_LIST_MAX; count++) {
        request.extensions.count = count;
        for (size_t i = 0; i < count; i++) {
            request.extensions.items[i] = (uint16_t)i;
        }
        make_of(&key, VERDICT_KEY_AS_SEEN, verdict_key_rules(db), &question);
        assert_true(verdict_key_read(&question_again, verdict_key_view(&key)) ==
                    (count < FINGERPRINT_LIST_MAX));
    }
    request.ciphers.items[0] = 0x1301;
    make_of(&key, VERDICT_KEY_AS_SEEN, verdict_key_rules(db), &question);
    assert_true(verdict_key_read(&question_again, verdict_key_view(&key)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grease_is_told_but_not_which),
        cmocka_unit_test(order_counts_unless_it_is_sorted),
        cmocka_unit_test(words_are_whole),
        cmocka_unit_test(numbers_of_all_sizes_are_told),
        cmocka_unit_test(quirks_of_headers_are_found),
        cmocka_unit_test(long_questions_have_no_key),
        cmocka_unit_test(questions_of_keys_have_that_key),
        cmocka_unit_test(questions_of_keys_say_the_same),
        cmocka_unit_test(bytes_that_are_no_key_are_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
