/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify: tells a supervisor that speaks systemd's protocol (sd_notify(3)) which process is the
 * service: after an upgrade that is another one. Without NOTIFY_SOCKET in the environment nothing
 * is done. Main's thread.
 */
#ifndef WEIR_NOTIFY_H
#define WEIR_NOTIFY_H

/* This process serves. */
void notify_ready(void);
/* This process ends, and with it the service. */
void notify_stopping(void);

#endif
