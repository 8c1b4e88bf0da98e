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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grease_is_told_but_not_which),
        cmocka_unit_test(order_counts_unless_it_is_sorted),
        cmocka_unit_test(words_are_whole),
        cmocka_unit_test(numbers_of_all_sizes_are_told),
        cmocka_unit_test(quirks_of_headers_are_found),
        cmocka_unit_test(long_questions_have_no_key),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
