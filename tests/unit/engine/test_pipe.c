/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection that breaks means to the direction that ends in it, and to the one that comes
 * from it. Only states: nothing here reaches a kernel. */
#include "core/engine/pipe.h"

#include "core/base/text.h"

#include "tests/unit/tls/engine_pair.h"

#include <errno.h>

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

/* ---- who is not told that the input is over ---- */

static int times_asked;

static bool goes_on(struct pipe *pipe)
{
    (void)pipe;
    times_asked++;
    return true;
}

static bool goes_no_further(struct pipe *pipe)
{
    (void)pipe;
    times_asked++;
    return false;
}

/* A receiver in TLS; what it is told lies in pair->client.out. */
static struct kit secure_kit(struct pair *pair)
{
    const struct pair_options options = {.piece = SIZE_MAX};
    struct kit kit = kit_make();

    pair_init(pair, &options);
    shake_hands(pair);
    assert_open(pair);
    assert_int_equal(pair->client.out.len, 0);
    kit.to.tls = pair->client.engine;
    kit.from.eof = true;
    times_asked = 0;
    return kit;
}

static void test_receiver_that_goes_on(void **state)
{
    struct pair pair;
    struct kit k = secure_kit(&pair);

    (void)state;
    k.pipe.leaves = goes_on;
    assert_int_equal(run(&k), PIPE_LEFT);
    assert_int_equal(times_asked, 1);
    assert_false(k.to.fin_wanted);
    assert_int_equal(pair.client.out.len, 0);
    assert_true(tls_engine_write(pair.client.engine, SPAN_LITERAL("for somebody else")));
    assert_false(pipe_has_ended(&k.pipe));

    assert_int_equal(run(&k), PIPE_LEFT); /* once and for all */
    assert_int_equal(times_asked, 1);
    pair_fini(&pair);
}

static void expect_told(bool (*leaves)(struct pipe *pipe), bool truncated)
{
    struct pair pair;
    struct kit k = secure_kit(&pair);

    k.pipe.leaves = leaves;
    k.from.truncated = truncated;
    assert_int_equal(run(&k), truncated ? PIPE_TRUNCATED : PIPE_ENDED);
    assert_int_equal(times_asked, leaves != NULL);
    assert_true(k.to.fin_wanted);
    assert_int_equal(pair.client.out.len == 0, truncated);
    pair_fini(&pair);
}

static void test_receiver_that_is_told(void **state)
{
    (void)state;
    expect_told(goes_no_further, false);
    expect_told(goes_no_further, true);
    expect_told(NULL, false);
}

static void test_not_asked_before_the_end(void **state)
{
    struct pair pair;
    struct kit flows = secure_kit(&pair);
    struct kit unread = flows;
    struct kit full = flows;
    struct kit broke = flows;

    (void)state;
    flows.from.eof = false;
    flows.pipe.leaves = unread.pipe.leaves = full.pipe.leaves = broke.pipe.leaves = goes_on;
    assert_int_equal(run(&flows), PIPE_FLOWS);

    full.to.tx.len = HIGH;
    assert_int_equal(run(&full), PIPE_FLOWS);

    unread.from.sending = true; /* its error, if it has one, is not known yet */
    assert_int_equal(run(&unread), PIPE_FLOWS);

    broke.from.error = ECONNRESET;
    assert_int_equal(run(&broke), PIPE_FAILED);
    assert_int_equal(times_asked, 0);
    pair_fini(&pair);
}

/* ---- what was read before ---- */

static char seen[64];

static bool see(struct pipe *pipe, struct span bytes)
{
    size_t len = strlen(seen);
    struct text t = text_make(seen + len, sizeof(seen) - 1 - len);

    (void)pipe;
    text_bytes(&t, bytes);
    seen[len + t.len] = '\0';
    return strchr(seen, '!') == NULL;
}

static bool see_and_double(struct pipe *pipe, struct span bytes)
{
    return see(pipe, bytes) && pipe_write(pipe, bytes) && pipe_write(pipe, bytes);
}

static void expect_heard(struct pair *pair, const char *text)
{
    char heard[64] = "";

    buf_queue_move(&pair->server.in, &pair->client.out);
    for (size_t len = 0, more = 1; more; len += more) {
        more = tls_engine_read(pair->server.engine, (uint8_t *)heard + len, sizeof(heard) - len);
    }
    assert_string_equal(heard, text);
}

static void test_pass(void **state)
{
    struct pair pair;
    struct kit k = secure_kit(&pair);

    (void)state;
    pipe_init(&k.pipe, &k.from, &k.to);
    assert_true(pipe_pass(&k.pipe, SPAN_LITERAL("held")));
    assert_int_equal(k.pipe.bytes, 4);
    expect_heard(&pair, "held");

    seen[0] = '\0';
    k.pipe.look = see;
    assert_true(pipe_pass(&k.pipe, SPAN_LITERAL(" and ")));
    assert_false(pipe_pass(&k.pipe, SPAN_LITERAL("no!")));
    assert_int_equal(k.pipe.end, PIPE_STOPPED);
    assert_string_equal(seen, " and no!");
    assert_int_equal(k.pipe.bytes, 9);
    expect_heard(&pair, " and ");

    seen[0] = '\0';
    k.pipe.end = PIPE_FLOWS;
    k.pipe.look = NULL;
    k.pipe.edit = see_and_double;
    assert_true(pipe_pass(&k.pipe, SPAN_LITERAL("twice")));
    assert_int_equal(k.pipe.bytes, 14);
    assert_false(pipe_pass(&k.pipe, SPAN_LITERAL("never!")));
    assert_int_equal(k.pipe.end, PIPE_STOPPED);
    assert_string_equal(seen, "twicenever!");
    expect_heard(&pair, "twicetwice");
    pair_fini(&pair);
}

/* The receiver's TLS is over: nothing can go on. */
static void test_pass_to_nobody(void **state)
{
    struct pair pair;
    struct kit k = secure_kit(&pair);

    (void)state;
    pipe_init(&k.pipe, &k.from, &k.to);
    tls_engine_shutdown(pair.client.engine);
    assert_false(pipe_pass(&k.pipe, SPAN_LITERAL("late")));
    assert_int_equal(k.pipe.end, PIPE_FAILED);
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_receiver),
        cmocka_unit_test(test_broken_sender),
        cmocka_unit_test(test_receiver_that_goes_on),
        cmocka_unit_test(test_receiver_that_is_told),
        cmocka_unit_test(test_not_asked_before_the_end),
        cmocka_unit_test(test_pass),
        cmocka_unit_test(test_pass_to_nobody),
    };

    return cmocka_run_group_tests(tests, world_init, world_fini);
}
