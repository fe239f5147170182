// One call of the plugin: what the runtime gave us, checked in the order of the reference implementation
// (containernetworking/cni pkg/skel), so that bad input gets the same code whether the daemon lives or not.
// Anything wrong ends the process here.
#ifndef WEAVE_CALL_H
#define WEAVE_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

enum verb { VERB_ADD, VERB_DEL, VERB_CHECK, VERB_GC, VERB_STATUS, VERB_UNKNOWN };

struct call {
    // "weave-net" or "weave-ipam"
    const char *program;
    bool ipam;
    enum verb verb;
    const char *verb_name;
    // When this process started: CLOCK_BOOTTIME in milliseconds. Tells the daemon which of two calls for one
    // attachment the runtime made first, however late they arrive
    int64_t boot_ms;
    // "" when absent
    const char *container_id;
    const char *ifname;
    const char *netns;
    struct text config;
    // The configuration's name, NUL-terminated
    const char *network;
    // Open handle of CNI_NETNS, or -1
    int netns_fd;
    // Why it could not be opened, as an errno name, or NULL
    const char *netns_error;
};

// Environment: code 4. Does not read stdin.
void call_read_environment(struct call *call, const char *program);
// stdin: codes 5, 6, 7, 4 for an unknown verb, 1.
void call_read_config(struct call *call);
// Open CNI_NETNS where the verb works in it; code 8 for the namespace we are in.
void call_open_netns(struct call *call);

#endif
