/* SPDX-License-Identifier: Apache-2.0 */
#include "core/notify.h"

#include "core/base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void send_state(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    int fd;

    if (len == 0) {
        return;
    }
    if (len >= sizeof(address.sun_path)) {
        log_write(LOG_WARN, "NOTIFY_SOCKET is too long");
        return;
    }
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract name */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
        log_write(LOG_WARN, "the supervisor at %s was not told: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void notify_ready(void)
{
    char state[64];

    snprintf(state, sizeof(state), "READY=1\nMAINPID=%d\n", (int)getpid());
    send_state(state);
}

void notify_stopping(void)
{
    send_state("STOPPING=1\n");
}
