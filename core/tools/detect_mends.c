/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tools/detect_mends.h"

#include <jansson.h>

struct difference {
    const char *name, *original, *instead, *reason;
};

static const struct difference mends[] = {
#define MEND(name, original, instead, reason) {#name, original, instead, reason},
#include "detect/mends.def"
};

static const struct difference deviations[] = {
#define DEVIATION(name, original, instead, reason) {#name, original, instead, reason},
#include "detect/mends.def"
};

static bool print_json(const char *kind, const struct difference *row, FILE *out)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", kind, "name", row->name, "original",
                  row->original, "instead", row->instead, "reason", row->reason);
    bool done = object && (json_dumpf(object, out, JSON_COMPACT) == 0 || ferror(out));

    fputc('\n', out);
    json_decref(object);
    return done;
}

static void print_text(const struct difference *row, FILE *out)
{
    fprintf(out, "\n%s\n  MITMEngine  %s\n  weir        %s\n  because     %s\n", row->name,
            row->original, row->instead, row->reason);
}

/* False: out of memory. What cannot be written, `out` remembers. */
static bool print_all(const char *kind, const struct difference *rows, size_t count, bool json,
                      FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        if (!json) {
            print_text(&rows[i], out);
        } else if (!print_json(kind, &rows[i], out)) {
            return false;
        }
    }
    return true;
}

int detect_mends_run(const struct options *options, FILE *out, FILE *err)
{
    bool json = options->json;
    bool done;

    if (!json) {
        fputs("How weir's answers differ from MITMEngine's. With --compatible they do not:\n", out);
    }
    done = print_all("mend", mends, COUNT_OF(mends), json, out);
    if (!json) {
        fputs("\nWith --compatible, too, because the original crashes or hangs there, or because\n"
              "everything here has a bound:\n",
              out);
    }
    done = done && print_all("deviation", deviations, COUNT_OF(deviations), json, out);
    if (!done) {
        fputs("weir detect: out of memory\n", err);
        return EXIT_STATUS_RUNTIME;
    }
    if (fflush(out) != 0 || ferror(out)) {
        fputs("weir detect: the output cannot be written\n", err);
        return EXIT_STATUS_RUNTIME;
    }
    return EXIT_STATUS_OK;
}
