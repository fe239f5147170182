// The conversation with the daemon: one HTTP/1.1 request over its unix socket, one answer, with deadlines.
#ifndef WEAVE_RELAY_H
#define WEAVE_RELAY_H

#include <stdbool.h>

#include "call.h"
#include "text.h"

struct reply {
    // What goes to stderr and to stdout, byte for byte: the body of the answer, in this order. The header
    // "weave-warnings" has the length of the first part, which is empty without it
    const char *warnings;
    size_t warnings_len;
    const char *out;
    size_t out_len;
    int exit_code;
};

// WEAVE_SOCKET, else the first line of `<this executable>.socket` (written by `weave setup`), else
// /run/weave/weave.sock.
const char *relay_socket_path(void);

// True with the daemon's answer; false when the daemon is away, hung or talks nonsense, with the reason in
// `why` (NUL-terminated). Closing the socket, by returning or by being killed, is how the daemon learns that
// nobody waits any more.
bool relay_call(const struct call *call, const char *socket_path, struct reply *reply, struct text *why);

#endif
