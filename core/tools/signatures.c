/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each line's texts are read anew, with words of their own: this is for trying things out, not for
 * many signatures.
 */
#include "core/tools/signatures.h"

#include "core/tools/signatures_private.h"
#include "detect/mitm_info.h"
#include "detect/request_signature.h"
#include "detect/user_agent_signature.h"

#include <stdlib.h>

/* One match. */
struct trial {
    enum detect_mode mode;
    struct words *words;
    struct detect_fault fault;
    const char *where; /* the column that the fault is in */
    enum match_level level;
    struct request_match request; /* of the kind request alone */
    bool has_similarity;
    uint32_t similarity;
};

typedef bool (*match_function)(struct trial *trial, struct span signature, struct span fingerprint);

/* For conditions: notes where the fault is, if there is one. */
static bool at(struct trial *trial, const char *where, bool done)
{
    trial->where = done ? trial->where : where;
    return done;
}

static bool match_list(struct trial *trial, struct span signature, struct span fingerprint,
                       struct words *words)
{
    struct list_match_rules rules = {trial->mode, words != NULL, false};
    enum request_field field = words ? REQUEST_HEADERS : REQUEST_CIPHERS;
    struct request_fingerprint fp = {0};
    struct request_view view;
    struct list_signature sig;
    bool done;

    if (!at(trial, "signature", list_signature_parse(&sig, signature, words, &trial->fault))) {
        return false;
    }
    done = at(trial, "fingerprint",
              words ? word_list_parse(&fp.headers, fingerprint, &trial->fault)
                    : number_list_parse(&fp.ciphers, fingerprint, &trial->fault));
    if (done) {
        request_view_make(&view, &fp, words);
        trial->level = list_signature_match(&sig, rules, &view.lists[field - REQUEST_CIPHERS],
                                            &trial->similarity);
        trial->has_similarity = !words;
    }
    list_signature_fini(&sig);
    return done;
}

static bool match_numbers(struct trial *trial, struct span signature, struct span fingerprint)
{
    return match_list(trial, signature, fingerprint, NULL);
}

static bool match_words(struct trial *trial, struct span signature, struct span fingerprint)
{
    return match_list(trial, signature, fingerprint, trial->words);
}

static bool match_version(struct trial *trial, struct span signature, struct span fingerprint)
{
    struct version_signature sig;
    uint16_t version;

    if (!at(trial, "signature", version_signature_parse(&sig, signature, &trial->fault))) {
        return false;
    }
    if (!request_version_parse(&version, fingerprint)) {
        trial->fault = (struct detect_fault){0, "a TLS version from 200 to 304"};
        return at(trial, "fingerprint", false);
    }
    trial->level = version_signature_match(sig, version);
    return true;
}

static bool match_request(struct trial *trial, struct span signature, struct span fingerprint)
{
    struct request_match_rules rules = {.mode = trial->mode};
    struct request_signature sig;
    struct request_fingerprint fp;
    struct request_view view;
    bool done;

    if (!at(trial, "signature",
            request_signature_parse(&sig, signature, trial->words, &trial->fault))) {
        return false;
    }
    done = at(trial, "fingerprint", request_fingerprint_parse(&fp, fingerprint, &trial->fault));
    if (done) {
        request_view_make(&view, &fp, trial->words);
        request_signature_match(&trial->request, &sig, rules, &view);
        trial->level = trial->request.level;
        trial->similarity = trial->request.similarity;
        trial->has_similarity = true;
    }
    request_signature_fini(&sig);
    return done;
}

static bool match_user_agent(struct trial *trial, struct span signature, struct span fingerprint)
{
    uint16_t numbers[WORD_LIST_MAX];
    struct value_set quirks;
    struct ua_fingerprint fp;
    struct ua_signature sig;
    bool done;

    if (!at(trial, "signature", ua_signature_parse(&sig, signature, trial->words, &trial->fault))) {
        return false;
    }
    done = at(trial, "fingerprint", ua_fingerprint_parse(&fp, fingerprint, &trial->fault));
    if (done) {
        for (size_t i = 0; i < fp.quirks.count; i++) {
            numbers[i] = words_find(trial->words, fp.quirks.items[i]);
        }
        value_set_make(&quirks, numbers, fp.quirks.count);
        trial->level = ua_signature_match(&sig, trial->mode, &fp, &quirks);
    }
    ua_signature_fini(&sig);
    return done;
}

static bool match_user_agent_version(struct trial *trial, struct span signature,
                                     struct span fingerprint)
{
    struct ua_version_range range;
    struct ua_version version;

    if (!at(trial, "signature", ua_version_range_parse(&range, signature, &trial->fault)) ||
        !at(trial, "fingerprint", ua_version_parse(&version, fingerprint, &trial->fault))) {
        return false;
    }
    trial->level =
        ua_version_range_covers(range, version, trial->mode) ? MATCH_POSSIBLE : MATCH_IMPOSSIBLE;
    return true;
}

static bool match_mitm_info(struct trial *trial, struct span signature, struct span fingerprint)
{
    struct mitm_info a;
    struct mitm_info b;

    if (!at(trial, "signature", mitm_info_parse(&a, signature, trial->mode, &trial->fault))) {
        return false;
    }
    if (!at(trial, "fingerprint", mitm_info_parse(&b, fingerprint, trial->mode, &trial->fault))) {
        mitm_info_fini(&a);
        return false;
    }
    trial->level = mitm_info_match(&a, &b) ? MATCH_POSSIBLE : MATCH_IMPOSSIBLE;
    mitm_info_fini(&a);
    mitm_info_fini(&b);
    return true;
}

static const struct {
    const char *name;
    match_function match;
} kinds[] = {
    {"int", match_numbers},         {"string", match_words},
    {"version", match_version},     {"request", match_request},
    {"ua", match_user_agent},       {"ua_version", match_user_agent_version},
    {"mitm_info", match_mitm_info},
};

static match_function find_kind(struct span name, struct text *error)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (span_equal(name, span_from_string(kinds[i].name))) {
            return kinds[i].match;
        }
    }
    text_string(error, "kind: one of");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        text_printf(error, " %s", kinds[i].name);
    }
    text_string(error, " expected");
    return NULL;
}

static json_t *fields_to_json(const struct request_match *match)
{
    json_t *fields = json_object();

    for (int i = 0; fields && i < REQUEST_FIELD_COUNT; i++) {
        if (json_object_set_new(fields, request_field_name((enum request_field)i),
                                json_string(match_level_name(match->fields[i]))) != 0) {
            json_decref(fields);
            fields = NULL;
        }
    }
    return fields;
}

static bool set_results(const struct trial *trial, match_function match, json_t *results)
{
    return json_object_set_new(results, "match", json_string(match_level_name(trial->level))) ==
               0 &&
           (!trial->has_similarity ||
            json_object_set_new(results, "similarity", json_integer(trial->similarity)) == 0) &&
           (match != match_request ||
            json_object_set_new(results, "fields", fields_to_json(&trial->request)) == 0);
}

static bool answer_line(void *context, const json_t *line, json_t *results, struct text *error)
{
    const struct signatures *signatures = context;
    struct trial trial = {.mode = signatures->mode};
    struct span kind;
    struct span signature;
    struct span fingerprint;
    match_function match;
    bool done = false;

    if (!json_lines_string(line, "kind", &kind, error) ||
        !json_lines_string(line, "signature", &signature, error) ||
        !json_lines_string(line, "fingerprint", &fingerprint, error) ||
        !(match = find_kind(kind, error))) {
        return false;
    }
    trial.words = words_new();
    if (!trial.words) {
        text_string(error, "out of memory");
    } else if (!match(&trial, signature, fingerprint)) {
        signatures_write_fault(error, trial.where, &trial.fault);
    } else if (!set_results(&trial, match, results)) {
        text_string(error, "out of memory");
    } else {
        done = true;
    }
    words_free(trial.words);
    return done;
}

void signatures_write_fault(struct text *error, const char *where, const struct detect_fault *fault)
{
    if (fault->expected == detect_fault_no_memory) {
        text_string(error, "out of memory");
    } else {
        text_printf(error, "%s: byte %zu: %s expected", where, fault->offset, fault->expected);
    }
}

int signatures_match_run(const struct options *options, FILE *out, FILE *err)
{
    struct signatures signatures = {options->compatible ? DETECT_COMPATIBLE : DETECT_DEFAULT};

    return json_lines_run_inputs(options, "signatures match", out, err, answer_line, &signatures);
}
