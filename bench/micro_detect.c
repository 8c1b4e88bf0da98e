/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/detect_work.h"
#include "bench/micro_rows.h"

bool micro_detect(struct micro *micro)
{
    static struct chrome_work work;
    static const struct measure_work parse = {hello_work_run_parse, &work.hello, 1},
                                     key = {hello_work_run_key, &work.hello, 1},
                                     hit = {lookup_work_run_lookup, &work.lookup, 1},
                                     tunnel = {lookup_work_run_lookup, &work.tunnels,
                                               CHROME_ORDERS},
                                     user_agent = {hello_work_run_user_agent, &work.hello, 1},
                                     recall = {hello_work_run_recall, &work.hello, 1};
    struct user_agent_memo *memo = user_agent_memo_new();
    struct database *db = mix_database(NULL, DETECT_DEFAULT, micro->err);
    bool done = false;

    if (!memo) {
        fputs("weir bench: out of memory\n", micro->err);
    }
    if (db && memo) {
        done = chrome_work_init(&work, db, micro->err);
        if (done) {
            micro_measure(micro, MICRO_HELLO_PARSE, MICRO_HEAP_LOOK, &parse);
            micro_measure(micro, MICRO_HELLO_KEY, MICRO_HEAP_LOOK, &key);
            micro_measure(micro, MICRO_VERDICT_HIT, MICRO_HEAP_LOOK, &hit);
            micro_measure(micro, MICRO_VERDICT_TUNNEL, MICRO_HEAP_LOOK, &tunnel);
            micro_measure(micro, MICRO_USER_AGENT, MICRO_HEAP_LOOK, &user_agent);
            work.hello.memo = memo;
            micro_measure(micro, MICRO_USER_AGENT_KNOWN, MICRO_HEAP_LOOK, &recall);
        }
        chrome_work_fini(&work);
    }
    user_agent_memo_free(memo);
    database_free(db);
    return done;
}
