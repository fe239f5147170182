// The host end of a container's veth pair: its name, and its removal without the daemon.
#ifndef WEAVE_HOSTLINK_H
#define WEAVE_HOSTLINK_H

#include <stdint.h>

// IFNAMSIZ of linux/if.h.
enum { HOSTLINK_NAME_BYTES = 16 };

// FNV-1a, 64 bits, over network, NUL, container id, NUL, ifname. cni-plugin/host-ifname.ts computes the same.
uint64_t hostlink_hash(const char *network, const char *container_id, const char *ifname);

// "vw" and the hash's upper 48 bits as 12 hexadecimal digits.
void hostlink_name(uint64_t hash, char name[HOSTLINK_NAME_BYTES]);

// Delete the link of that name in this process's network namespace with one RTM_DELLINK. 0, also when there
// is none, or an errno.
int hostlink_delete(const char *name);

#endif
