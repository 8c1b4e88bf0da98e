/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the original asks about single pairs is answered no: the automatic steps alone, products
 * twice. Header names and metadata are not about records, and are copied.
 */
#include "core/tools/database_file.h"
#include "core/tools/signatures_database.h"
#include "detect/merge.h"

#include <errno.h>
#include <stdlib.h>

static const char command[] = "signatures merge";

/* What is read, and then merged. */
struct merging {
    struct words *words;
    struct record_file browsers, products;
    struct database_file headers, metadata;
    size_t browser_count, product_count; /* before the merge */
};

/* False: said why not. */
static bool read_records(struct merging *merging, struct record_file *file, const char *dir,
                         const char *name, const struct options *options, size_t *fault_count,
                         FILE *err)
{
    enum detect_mode mode = options->compatible ? DETECT_COMPATIBLE : DETECT_DEFAULT;
    int failed = record_file_load(file, dir, name, merging->words, mode, fault_count, err);

    if (failed) {
        database_file_complain(&file->file, command, failed, err);
    }
    return !failed;
}

/* A file that need not be there. */
static bool read_other(struct database_file *file, const char *dir, const char *name, FILE *err)
{
    int failed = database_file_open(file, dir, name);

    if (failed && failed != -ENOENT) {
        database_file_complain(file, command, failed, err);
    }
    return !failed || failed == -ENOENT;
}

static bool read_all(struct merging *merging, const struct options *options, FILE *err)
{
    const char *dir = options->inputs[0];
    size_t faults = 0;

    return read_records(merging, &merging->browsers, dir, "browser.txt", options, &faults, err) &&
           read_records(merging, &merging->products, dir, "mitm.txt", options, &faults, err) &&
           read_other(&merging->headers, dir, "badheader.txt", err) &&
           read_other(&merging->metadata, dir, "metadata.jsonl", err) && faults == 0;
}

static bool merge_all(struct merging *merging)
{
    struct record_list *browsers = &merging->browsers.list;
    struct record_list *products = &merging->products.list;

    merging->browser_count = browsers->count;
    merging->product_count = products->count;
    return record_list_merge_browsers(browsers) && record_list_merge_products(products) &&
           record_list_merge_products(products);
}

/* These return 0 or a negative errno. */

static int write_records(struct database_output *output, const char *name,
                         const struct record_list *list)
{
    int failed = database_output_next(output, name);

    for (size_t i = 0; i < list->count && !failed; i++) {
        size_t len;
        char *text = record_file_print(&list->items[i], list->words, list->mode, &len);

        if (!text) {
            return -ENOMEM;
        }
        fwrite(text, 1, len, output->stream);
        fputc('\n', output->stream);
        free(text);
    }
    return failed;
}

static int write_other(struct database_output *output, const char *name,
                       const struct database_file *file)
{
    int failed;

    if (!file->text.data) {
        return 0; /* it was not there */
    }
    failed = database_output_next(output, name);
    if (!failed) {
        fwrite(file->text.data, 1, file->text.len, output->stream);
    }
    return failed;
}

static int write_all(const struct merging *merging, const char *dir, FILE *err)
{
    struct database_output output;
    int failed = database_output_begin(&output, dir);

    failed = failed ? failed : write_records(&output, "browser.txt", &merging->browsers.list);
    failed = failed ? failed : write_records(&output, "mitm.txt", &merging->products.list);
    failed = failed ? failed : write_other(&output, "badheader.txt", &merging->headers);
    failed = failed ? failed : write_other(&output, "metadata.jsonl", &merging->metadata);
    return database_output_end(&output, failed, command, err);
}

static void tell(FILE *out, bool json, const char *name, size_t before, size_t after)
{
    fprintf(out,
            json ? "{\"file\":\"%s\",\"read\":%zu,\"written\":%zu}\n"
                 : "%s: %zu records made %zu\n",
            name, before, after);
}

static int run(struct merging *merging, const struct options *options, FILE *out, FILE *err)
{
    int status;

    if (!read_all(merging, options, err)) {
        return EXIT_STATUS_CONFIG;
    }
    if (!merge_all(merging)) {
        fprintf(err, "weir %s: out of memory\n", command);
        return EXIT_STATUS_RUNTIME;
    }
    status = write_all(merging, options->out_dir, err);
    if (status == EXIT_STATUS_OK) {
        tell(out, options->json, "browser.txt", merging->browser_count,
             merging->browsers.list.count);
        tell(out, options->json, "mitm.txt", merging->product_count, merging->products.list.count);
    }
    return status;
}

int signatures_merge_database_run(const struct options *options, FILE *out, FILE *err)
{
    struct merging *merging = calloc(1, sizeof(*merging));
    int status = EXIT_STATUS_RUNTIME;

    if (merging) {
        merging->words = words_new();
    }
    if (merging && merging->words) {
        status = run(merging, options, out, err);
        record_file_fini(&merging->browsers);
        record_file_fini(&merging->products);
        database_file_close(&merging->headers);
        database_file_close(&merging->metadata);
        words_free(merging->words);
    } else {
        fprintf(err, "weir %s: out of memory\n", command);
    }
    free(merging);
    return status;
}
