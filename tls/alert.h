/* SPDX-License-Identifier: Apache-2.0 */
/* alert: the names of TLS alerts (RFC 8446 6.2, and the older ones of RFC 5246 7.2). */
#ifndef WEIR_TLS_ALERT_H
#define WEIR_TLS_ALERT_H

#include <stdbool.h>
#include <stdint.h>

const char *alert_name(uint8_t alert); /* "unknown_ca"; "unknown" for a number without one */

/* Does this alert of a peer say that it does not like our certificate? */
bool alert_is_about_certificate(uint8_t alert);

#endif
