/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_results.h"
#include "bench/load_run.h"

#include "core/options.h"
#include "core/tools/json_lines.h"

#include <math.h>

#define CHANGE_MIN 0.03

enum { STATUS_WORSE = 99 };

enum change { CHANGE_NONE, CHANGE_BETTER, CHANGE_WORSE };

struct comparison {
    unsigned better, worse, same, missing;
    bool differs; /* in what was measured, or where */
    FILE *out, *err;
};

static json_t *load(const char *path, FILE *err)
{
    json_error_t fault;
    json_t *results = json_load_file(path, 0, &fault);
    json_t *configuration;
    const char *schema = json_string_value(json_object_get(results, "schema"));

    if (!results) {
        fprintf(err, "weir bench: %s:%d:%d: %s\n", path, fault.line > 0 ? fault.line : 1,
                fault.column > 0 ? fault.column : 1, fault.text);
        return NULL;
    }
    if (!schema || strcmp(schema, LOAD_JSON_SCHEMA) != 0 ||
        !json_is_array(json_object_get(results, "cases"))) {
        fprintf(err,
                "weir bench: %s: an object with the schema %s expected, as weir bench run --json "
                "writes it\n",
                path, LOAD_JSON_SCHEMA);
        json_decref(results);
        return NULL;
    }
    configuration = json_object_get(results, "configuration");
    if (!json_object_get(configuration, "closes")) { /* earlier results */
        json_object_set_new(configuration, "closes", json_string(load_closers[LOAD_ORIGIN_CLOSES]));
    }
    return results;
}

static const char *word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Earlier results have none of both. */
static bool is_same_weir(const json_t *a, const json_t *b)
{
    const char *variant = word(a, "variant"), *other = word(b, "variant");
    json_int_t workers = json_integer_value(json_object_get(a, "workers"));
    json_int_t others = json_integer_value(json_object_get(b, "workers"));

    return strcmp(*variant ? variant : "plain", *other ? other : "plain") == 0 &&
           (workers ? workers : 1) == (others ? others : 1);
}

/* As in the table. */
static const char *name_of(const json_t *one, char name[LOAD_CASE_NAME_MAX])
{
    const char *variant = word(one, "variant");
    json_int_t workers = json_integer_value(json_object_get(one, "workers"));
    bool is_plain = !*variant || strcmp(variant, "plain") == 0;
    int len = snprintf(name, LOAD_CASE_NAME_MAX, "%.16s/%.16s%s%.16s", word(one, "mode"),
                       word(one, "profile"), is_plain ? "" : "+", is_plain ? "" : variant);

    if (workers > 1) {
        snprintf(name + len, LOAD_CASE_NAME_MAX - (size_t)len, "@%lld", (long long)workers);
    }
    return name;
}

static const json_t *find_case(const json_t *results, const json_t *like)
{
    const json_t *cases = json_object_get(results, "cases");
    const json_t *one;
    size_t i;

    json_array_foreach(cases, i, one)
    {
        if (strcmp(word(one, "mode"), word(like, "mode")) == 0 &&
            strcmp(word(one, "profile"), word(like, "profile")) == 0 && is_same_weir(one, like)) {
            return one;
        }
    }
    return NULL;
}

static bool read_spread(const json_t *one, const char *name, struct load_spread *spread)
{
    const json_t *figure = json_object_get(json_object_get(one, "figures"), name);
    const json_t *median = json_object_get(figure, "median");

    *spread = (struct load_spread){json_number_value(median),
                                   json_number_value(json_object_get(figure, "min")),
                                   json_number_value(json_object_get(figure, "max"))};
    return json_is_number(median);
}

/* Rounds that overlap show nothing, and little is nothing on a machine with others on it. */
static enum change judge(const struct load_spread *before, const struct load_spread *after,
                         int better)
{
    bool is_less = after->max < before->min;
    bool is_more = after->min > before->max;
    double scale = fmax(fabs(before->median), fabs(after->median));

    if ((!is_less && !is_more) || fabs(after->median - before->median) < CHANGE_MIN * scale) {
        return CHANGE_NONE;
    }
    return (better > 0) == is_more ? CHANGE_BETTER : CHANGE_WORSE;
}

static void compare_figure(struct comparison *c, const json_t *before, const json_t *after,
                           const struct load_figure_row *row)
{
    static const char *const words[] = {"", "better", "worse"};
    struct load_spread a, b;
    enum change change;

    if (row->better == 0 || !read_spread(before, row->name, &a) ||
        !read_spread(after, row->name, &b)) {
        return;
    }
    change = judge(&a, &b, row->better);
    c->better += change == CHANGE_BETTER;
    c->worse += change == CHANGE_WORSE;
    c->same += change == CHANGE_NONE;
    if (change != CHANGE_NONE) {
        char name[LOAD_CASE_NAME_MAX];

        fprintf(c->out, "%-24s %-18s %10.6g %10.6g", name_of(before, name), row->name, a.median,
                b.median);
        if (a.median != 0) {
            fprintf(c->out, " %7.3f", b.median / a.median);
        } else {
            fprintf(c->out, " %7s", "");
        }
        fprintf(c->out, "  %s\n", words[change]);
    }
}

/* Without the baselines, which are not the proxy's. */
static void compare_cases(struct comparison *c, const json_t *before, const json_t *after)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(before, "cases"), i, one)
    {
        const json_t *other = find_case(after, one);
        char name[LOAD_CASE_NAME_MAX];

        if (strncmp(word(one, "mode"), "direct", 6) == 0) {
            continue;
        }
        if (!other) {
            fprintf(c->out, "%s is missing from the second\n", name_of(one, name));
            c->missing++;
            continue;
        }
        for (int f = 0; f < FIGURE_COUNT; f++) {
            compare_figure(c, one, other, &load_figure_rows[f]);
        }
    }
}

static void compare_circumstances(struct comparison *c, const json_t *before, const json_t *after)
{
    static const char *const keys[] = {"machine", "configuration"};

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const json_t *there = json_object_get(before, keys[i]);
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)(uintptr_t)there, key, value)
        {
            if (!json_equal(value, json_object_get(json_object_get(after, keys[i]), key))) {
                fprintf(c->err, "weir bench: the %s differs: %s\n", keys[i], key);
                c->differs = true;
            }
        }
    }
}

int load_compare_run(const char *before_path, const char *after_path, FILE *out, FILE *err)
{
    struct comparison c = {.out = out, .err = err};
    json_t *before = load(before_path, err);
    json_t *after = load(after_path, err);
    char *table = NULL;
    size_t table_len;
    int status = EXIT_STATUS_CONFIG;

    if (before && after) {
        c.out = open_memstream(&table, &table_len);
    }
    if (before && after && !c.out) {
        fputs("weir bench: out of memory\n", err);
        status = EXIT_STATUS_RUNTIME;
    } else if (before && after) {
        compare_circumstances(&c, before, after);
        compare_cases(&c, before, after);
        fclose(c.out);
        /* The verdict first. */
        fprintf(out, "%s: %u figures better, %u worse, %u within the noise%s.\n",
                c.worse    ? c.better ? "mixed" : "worse"
                : c.better ? "better"
                : c.same   ? "the same"
                           : "nothing to compare",
                c.better, c.worse, c.same,
                c.differs ? "; what was measured, or where, is not the same" : "");
        if (c.better || c.worse || c.missing) {
            fprintf(out, "\n%-24s %-18s %10s %10s %7s\n%s", "", "", "before", "after", "ratio",
                    table);
        }
        status = c.worse || c.missing ? STATUS_WORSE : EXIT_STATUS_OK;
    }
    free(table);
    json_decref(before);
    json_decref(after);
    return status;
}
