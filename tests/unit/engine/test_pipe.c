/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection that breaks means to the direction that ends in it, and to the one that comes
 * from it. Only states: nothing here reaches a kernel. */
#include "core/engine/pipe.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { HIGH = 1000 };

struct kit {
    struct worker worker;
    struct conn_transport transport;
    struct conn from, to;
    struct pipe pipe;
};

static struct kit kit_make(void)
{
    return (struct kit){
        .worker = {.buffer_high = HIGH},
        .from = {.state = CONN_OPEN, .receiving = CONN_RECV_ENDED},
        .to = {.state = CONN_OPEN, .sending = true}, /* so that a FIN waits */
    };
}

static enum pipe_end run(struct kit *k)
{
    k->from.worker = &k->worker;
    k->to.worker = &k->worker;
    k->pipe.from = &k->from;
    k->pipe.to = &k->to;
    pipe_run(&k->pipe);
    return k->pipe.end;
}

static void test_broken_receiver(void **state)
{
    struct kit flows = kit_make();
    struct kit unsent = kit_make();
    struct kit sent = kit_make();

    (void)state;
    flows.to.error = ECONNRESET;
    flows.to.tx.len = HIGH; /* it looks although it is full */
    assert_int_equal(run(&flows), PIPE_FAILED);

    unsent.to.error = ECONNRESET;
    unsent.pipe.end = PIPE_ENDED;
    assert_int_equal(run(&unsent), PIPE_FAILED);

    sent.to.error = ECONNRESET;
    sent.to.fin_sent = true;
    sent.pipe.end = PIPE_TRUNCATED;
    assert_int_equal(run(&sent), PIPE_TRUNCATED);
}

static void test_broken_sender(void **state)
{
    struct kit plain = kit_make();
    struct kit whole = kit_make();
    struct kit truncated = kit_make();
    struct kit full = kit_make();

    (void)state;
    plain.from.error = ECONNRESET;
    plain.from.eof = true;
    assert_int_equal(run(&plain), PIPE_FAILED);

    whole.from.error = ECONNRESET;
    whole.from.eof = true; /* by close_notify */
    whole.from.transport = &whole.transport;
    assert_int_equal(run(&whole), PIPE_ENDED);
    assert_true(whole.to.fin_wanted);

    truncated.from.error = ECONNRESET;
    truncated.from.eof = true;
    truncated.from.truncated = true;
    truncated.from.transport = &truncated.transport;
    assert_int_equal(run(&truncated), PIPE_FAILED);

    full.from.error = ECONNRESET;
    full.to.tx.len = HIGH;
    assert_int_equal(run(&full), PIPE_FLOWS);
    assert_int_equal(full.to.tx_wake, full.worker.buffer_low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_receiver),
        cmocka_unit_test(test_broken_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
