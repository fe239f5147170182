// The executable in the CNI plugin directory, under the names weave-net and weave-ipam. It asks the daemon
// and relays the answer; with the daemon away it answers by itself what can be answered. All logic that needs
// the daemon's knowledge is in the daemon.
//
//   runtime --env, stdin--> forwarder --POST /v1/cni on weave.sock--> weaver
//           <--stdout, rc--           <--body, weave-exit-----------
//           <--stderr------
//
// Started for every container and every poll of a runtime, hence C, statically linked, without a shell or a
// heap of state.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "call.h"
#include "hostlink.h"
#include "journal.h"
#include "relay.h"

// A runtime may start us with descriptors 0 to 2 closed; then the next open() would become "stdout".
static void open_standard_descriptors(void) {
    int fd;
    do fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

static const char *program_name(const char *argv0) {
    const char *slash = argv0 == NULL ? NULL : strrchr(argv0, '/');
    const char *base = slash != NULL ? slash + 1 : argv0 != NULL ? argv0 : "";
    return strncmp(base, "weave-ipam", strlen("weave-ipam")) == 0 ? "weave-ipam" : "weave-net";
}

static void delete_link(const char *prefix, uint64_t hash) {
    char name[HOSTLINK_NAME_BYTES];
    hostlink_name(prefix, hash, name);
    int error = hostlink_delete(name);
    if (error == 0) return;
    answer_error(CNI_IO_FAILURE, NULL, 0,
                 "weaver is not answering, and the host interface %s cannot be deleted: %s", name,
                 strerror(error));
}

// DEL without the daemon: the links first, so that the address cannot be given to another while it is still
// configured.
static _Noreturn void release_alone(const struct call *call, const char *socket_path) {
    if (!call->ipam) {
        uint64_t hash = hostlink_hash(call->network, call->container_id, call->ifname);
        delete_link(HOSTLINK_VETH, hash);
        delete_link(HOSTLINK_IFB, hash);
    }
    struct text where = {0};
    int error = journal_release(socket_path, call, &where);
    if (error != 0) {
        answer_error(CNI_IO_FAILURE, NULL, 0,
                     "weaver is not answering, and the release of the address cannot be journaled in %s: %s; "
                     "start weaver with: weave launch",
                     where.data, strerror(error));
    }
    _exit(0);
}

static int64_t boot_clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
    int64_t started = boot_clock_ms();
    open_standard_descriptors();
    const char *program = program_name(argc > 0 ? argv[0] : NULL);
    const char *command = getenv("CNI_COMMAND");
    if (command == NULL || *command == '\0') answer_about(program);
    // Before anything else: callers ask for the versions with dummy variables and a stdin that may never end.
    if (strcmp(command, "VERSION") == 0) answer_versions();

    struct call call;
    call_read_environment(&call, program);
    call.boot_ms = started;
    call_read_config(&call);
    call_open_netns(&call);

    const char *socket_path = relay_socket_path();
    struct reply reply;
    struct text why = {0};
    if (relay_call(&call, socket_path, &reply, &why)) {
        answer_warnings(reply.warnings, reply.warnings_len);
        answer_exactly(reply.out, reply.out_len, reply.exit_code);
    }
    if (call.verb == VERB_DEL) release_alone(&call, socket_path);
    answer_error(call.verb == VERB_STATUS ? CNI_NOT_AVAILABLE : CNI_TRY_AGAIN, NULL, 0,
                 "weaver is not answering on %s (%s); start it with: weave launch", socket_path, why.data);
}
