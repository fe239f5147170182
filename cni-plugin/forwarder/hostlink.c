// One hash and one netlink message; see hostlink.h.
#include "hostlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static uint64_t fnv1a(uint64_t hash, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t hostlink_hash(const char *network, const char *container_id, const char *ifname) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = fnv1a(hash, network, strlen(network) + 1);
    hash = fnv1a(hash, container_id, strlen(container_id) + 1);
    return fnv1a(hash, ifname, strlen(ifname));
}

void hostlink_name(const char *prefix, uint64_t hash, char name[HOSTLINK_NAME_BYTES]) {
    snprintf(name, HOSTLINK_NAME_BYTES, "%s%012llx", prefix, (unsigned long long)(hash >> 16));
}

// The errno in the kernel's answer, 0 for success.
static int acknowledgement(int fd) {
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char echo[512];
    } answer;
    ssize_t n = recv(fd, &answer, sizeof answer, 0);
    if (n < 0) return errno;
    size_t least = sizeof answer.header + sizeof answer.error.error;
    return (size_t)n < least || answer.header.nlmsg_type != NLMSG_ERROR ? EPROTO : -answer.error.error;
}

int hostlink_delete(const char *name) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
        struct rtattr attribute;
        char name[HOSTLINK_NAME_BYTES];
    } request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = RTM_DELLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                   .nlmsg_seq = 1},
        .link = {.ifi_family = AF_UNSPEC},
        .attribute = {.rta_len = RTA_LENGTH(HOSTLINK_NAME_BYTES), .rta_type = IFLA_IFNAME},
    };
    strncpy(request.name, name, HOSTLINK_NAME_BYTES - 1);

    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return errno;
    // The kernel works while send() runs and answers at once; the limit only guards against a lost answer.
    struct timeval limit = {.tv_sec = 5};
    int error = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        send(fd, &request, sizeof request, 0) < 0) {
        error = errno;
    } else {
        error = acknowledgement(fd);
    }
    close(fd);
    return error == ENODEV ? 0 : error;
}
