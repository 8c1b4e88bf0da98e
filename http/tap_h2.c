/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 is not read yet. */
#include "http/tap_private.h"
bool tap_h2_init(struct tap_h2 *h2)
{
    (void)h2;
    return true;
}
bool tap_h2_feed(struct http_tap *tap, enum http_tap_side side, int64_t now_ns, struct span *bytes,
                 struct http_exchange *done)
{
    (void)side;
    (void)now_ns;
    (void)bytes;
    (void)done;
    tap_go_blind(tap, "HTTP/2 is not followed");
    return false;
}
void tap_h2_stop(struct tap_h2 *h2)
{
    (void)h2;
}
struct tap_open *tap_h2_pop(struct tap_h2 *h2)
{
    (void)h2;
    return NULL;
}
bool tap_h2_is_idle(const struct tap_h2 *h2)
{
    return h2->count == 0;
}
