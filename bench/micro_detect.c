/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/detect_work.h"
#include "bench/micro_rows.h"

bool micro_detect(struct micro *micro)
{
    static struct chrome_work work;
    static const struct measure_work parse = {hello_work_run_parse, &work.hello, 1},
                                     key = {hello_work_run_key, &work.hello, 1},
                                     hit = {lookup_work_run_lookup, &work.lookup, 1};
    struct database *db = mix_database(NULL, DETECT_DEFAULT, micro->err);
    bool done = false;

    if (db) {
        done = chrome_work_init(&work, db, micro->err);
        if (done) {
            micro_measure(micro, MICRO_HELLO_PARSE, MICRO_HEAP_LOOK, &parse);
            micro_measure(micro, MICRO_HELLO_KEY, MICRO_HEAP_LOOK, &key);
            micro_measure(micro, MICRO_VERDICT_HIT, MICRO_HEAP_LOOK, &hit);
        }
        chrome_work_fini(&work);
    }
    database_free(db);
    return done;
}
