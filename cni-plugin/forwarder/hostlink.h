// The host's links of one container (the host end of its veth pair, the ifb that shapes what it sends): their
// names, and their removal without the daemon.
#ifndef WEAVE_HOSTLINK_H
#define WEAVE_HOSTLINK_H

#include <stdint.h>

// IFNAMSIZ of linux/if.h.
enum { HOSTLINK_NAME_BYTES = 16 };

// FNV-1a, 64 bits, over network, NUL, container id, NUL, ifname. cni-plugin/host-ifname.ts computes the same.
uint64_t hostlink_hash(const char *network, const char *container_id, const char *ifname);

// "vw" for the veth pair's host end, "vi" for the ifb.
#define HOSTLINK_VETH "vw"
#define HOSTLINK_IFB "vi"

// The prefix and the hash's upper 48 bits as 12 hexadecimal digits.
void hostlink_name(const char *prefix, uint64_t hash, char name[HOSTLINK_NAME_BYTES]);

// Delete the link of that name in this process's network namespace with one RTM_DELLINK. 0, also when there
// is none, or an errno.
int hostlink_delete(const char *name);

#endif
