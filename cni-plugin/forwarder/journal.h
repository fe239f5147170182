// Releases made while the daemon was away, one file each, for the daemon to apply when it is back.
#ifndef WEAVE_JOURNAL_H
#define WEAVE_JOURNAL_H

#include "call.h"
#include "text.h"

// Write `journal/<hash>-<boot time>-<pid>.json` beside the socket:
// {"network","containerId","ifname","bootId","bootMs"}. The boot id and the moment this process started let the
// daemon apply it only to allocations that are older. On disk when this returns 0; else an errno,
// with what failed in `what` (NUL-terminated).
int journal_release(const char *socket_path, const struct call *call, struct text *what);

#endif
