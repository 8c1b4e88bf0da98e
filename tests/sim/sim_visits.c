/* SPDX-License-Identifier: Apache-2.0 */
/* Visits: how they are described, what makes them alike, and what servers see of those that come
 * over one connection. */
#include "core/base/clock.h"
#include "tests/sim/sim_world.h"

#include <openssl/err.h>
#include <stdio.h>

void visit_describe(const struct visit *v)
{
    fprintf(stderr,
            "  client %u visit %u: kind %d to %s (host kind %d), stage %d, strict %d, expects %d\n",
            v->client->index, v->id, v->kind, v->target, v->host ? (int)v->host->kind : -1,
            v->stage, v->strict, v->expect_status);
    fprintf(stderr,
            "    tls %d sni %d resumes %d raw %d end %d eager %d waits %d up %zu/%zu down %zu/%zu "
            "stop %zu\n",
            v->tls_kind, v->with_sni, v->resumes, v->raw_inside, v->end, v->eager, v->waits,
            v->up_seen, v->up_len, v->down_seen, v->down_len, v->stop_at);
    for (size_t i = 0; i < v->exchange_count; i++) {
        const struct exchange *x = &v->exchanges[i];
        fprintf(stderr,
                "    %u: %s up %zu%s, answer %d of %zu, interims %u%s%s%s%s%s; served %u status %d "
                "done %d\n",
                x->id, x->method, x->up_len, x->up_chunked ? " chunked" : "", x->answer,
                x->down_len, x->interims, x->expects ? ", expects" : "",
                x->http10 ? ", http/1.0" : "", x->client_closes ? ", client closes" : "",
                x->server_closes ? ", server closes" : "", x->early ? ", early" : "", x->served,
                x->status, x->done);
    }
    if (v->wire) {
        fprintf(stderr, "    wire: secure %d ended %d clean %d gone %d silent %d error %d tls %s\n",
                v->wire->secure, v->wire->ended, v->wire->clean_end, v->wire->gone, v->wire->silent,
                v->wire->error,
                v->wire->tls_error ? ERR_reason_error_string(v->wire->tls_error) : "-");
    }
}

/* ---- alike ---- */

static bool alpn_is_same(int one_kind, int other_kind)
{
    bool one_is_usual = one_kind != 2 && one_kind != 4;
    bool other_is_usual = other_kind != 2 && other_kind != 4;

    return one_kind == other_kind || (one_is_usual && other_is_usual);
}

/* After which anybody may go on with the server's connection. */
void exchange_plan_simple(struct visit *v, struct exchange *x, size_t down_len)
{
    static const char *const seldom[] = {"HEAD", "HEAD", "MARK", "PUT"};
    struct world *world = v->client->world;

    *x = (struct exchange){.visit = v, .id = ++world->next_id};
    x->method = world_chance(world, 75) ? "GET" : seldom[world_below(world, COUNT_OF(seldom))];
    x->answer =
        (enum answer_kind[]){ANSWER_LENGTH, ANSWER_CHUNKED, ANSWER_EMPTY}[world_below(world, 3)];
    x->down_len = down_len;
    x->interims = world_chance(world, 15) ? 1 : 0;
    x->delay_ns = world_chance(world, 50) ? 0 : (int64_t)world_below(world, 300 * NS_PER_MS);
}

/* ---- over one connection ---- */

static bool is_first_of_visit(const struct exchange *x)
{
    return x == x->visit->exchanges;
}

static bool may_be_repeated(const struct exchange *x)
{
    return strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0;
}

/* Inside TLS the requests of another client come only where nobody can tell the difference. */
static void check_taken_over(struct world *world, const struct past *past, const struct exchange *x)
{
    const struct visit *before = past->last->visit;
    const struct visit *v = x->visit;

    if (before->kind != VISIT_TLS || v->kind != VISIT_TLS) {
        world_fail(world, v, "a connection with TLS went on without, or the other way round");
    }
    if (strcmp(before->target, v->target) != 0 || before->with_sni != v->with_sni ||
        !alpn_is_same(before->tls_kind, v->tls_kind)) {
        world_fail(world, v, "a connection to %s, SNI %d, TLS of kind %d, was taken over",
                   before->target, before->with_sni, before->tls_kind);
    }
    if (past->is_spent) {
        world_fail(world, v, "request %u came behind %u, which nobody may follow", x->id,
                   past->last->id);
    }
    if (!is_first_of_visit(x) || !may_be_repeated(x) || x->answer == ANSWER_UPGRADE) {
        world_fail(world, v, "request %u (%s) came over a connection that had served others", x->id,
                   x->method);
    }
}

/* What came twice was sent once more by weir, which it may do when the first to get it was a
 * server that may have been ending. */
void past_add(struct world *world, struct past *past, struct exchange *x, bool is_secure)
{
    bool taken_over = past->last && past->last->visit != x->visit && is_secure;

    if (taken_over) {
        check_taken_over(world, past, x);
        past->taken_for = x;
    }
    if (++x->served > 1 &&
        !(may_be_repeated(x) &&
          (x->visit->kind == VISIT_FORWARD || (x->served == 2 && x->may_repeat && !past->last)))) {
        world_fail(world, x->visit, "request %u (%s) was served %u times", x->id, x->method,
                   x->served);
    }
    x->may_repeat = taken_over;
    past->is_spent |= x->up_len || x->up_chunked || x->client_closes || x->server_closes ||
                      x->answer == ANSWER_UPGRADE || x->answer == ANSWER_UNTIL_CLOSE ||
                      x->answer >= ANSWER_GOOD_COUNT;
}

/* As servers do whose time for idle connections is up just when somebody else comes. */
bool server_ends_instead(struct wire *wire, struct exchange *x)
{
    static const char beginning[] = "HTTP/1.1 200 Fine\r\nX-Id: ";
    struct world *world = x->visit->client->world;

    if (!world->revisits || !x->may_repeat || wire->fin_wanted || world_chance(world, 70)) {
        return false;
    }
    if (world_chance(world, 30)) {
        x->visit->strict = false;
        x->may_repeat = !world->is_kind;
        wire_send(wire, span_make(beginning, 1 + world_below(world, sizeof(beginning) - 1)));
        wire_close(wire);
    } else if (world_chance(world, 50)) {
        wire_reset(wire);
    } else {
        wire_close(wire);
    }
    return true;
}
