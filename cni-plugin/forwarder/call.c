// Reading and checking what the runtime gave; see call.h. cni-plugin/request.ts holds the same rules for the
// daemon.
#include "call.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "json.h"

// Larger than any configuration seen; libcni's own tests stay below 1 MiB.
enum { MAX_CONFIG_BYTES = 8 << 20 };
// IFNAMSIZ of linux/if.h without the NUL.
enum { MAX_IFNAME_BYTES = 15 };

// The set unicode.IsSpace of Go knows: White_Space of the Unicode database.
static bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// Decodes a sequence utf8_length has accepted.
static uint32_t code_point(const char *p, size_t len) {
    const unsigned char *s = (const unsigned char *)p;
    uint32_t c = len == 1 ? s[0] : s[0] & (0x7f >> len);
    for (size_t i = 1; i < len; i++) c = c << 6 | (s[i] & 0x3f);
    return c;
}

// Container ids and network names: ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$
static bool is_identifier(const char *s, size_t len) {
    if (len == 0 || !isalnum((unsigned char)s[0])) return false;
    for (size_t i = 1; i < len; i++) {
        if (!isalnum((unsigned char)s[i]) && (s[i] == '\0' || strchr("_.-", s[i]) == NULL)) return false;
    }
    return true;
}

// NULL when the kernel and the specification take the name, else why not.
static const char *ifname_fault(const char *name) {
    size_t len = strlen(name);
    if (len > MAX_IFNAME_BYTES) return "is longer than 15 bytes";
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return "is not a name";
    for (size_t at = 0; at < len;) {
        size_t step = utf8_length(name + at, len - at);
        if (step == 0) return "is not UTF-8";
        uint32_t c = code_point(name + at, step);
        if (c == '/' || c == ':' || is_space(c)) return "contains '/', ':' or a space";
        at += step;
    }
    return NULL;
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    if (value == NULL) return "";
    if (!utf8_valid(value, strlen(value))) {
        answer_error(CNI_BAD_ENVIRONMENT, value, strlen(value), "%s is not valid UTF-8", name);
    }
    return value;
}

static enum verb verb_of(const char *name) {
    static const char *const names[] = {"ADD", "DEL", "CHECK", "GC", "STATUS"};
    for (int i = 0; i < VERB_UNKNOWN; i++) {
        if (strcmp(name, names[i]) == 0) return (enum verb)i;
    }
    return VERB_UNKNOWN;
}

static void require_variables(const struct call *call) {
    bool attachment = call->verb == VERB_ADD || call->verb == VERB_DEL || call->verb == VERB_CHECK;
    bool netns = call->verb == VERB_ADD || call->verb == VERB_CHECK;
    struct text missing = {0};
    if (attachment && *call->container_id == '\0') text_addz(&missing, ",CNI_CONTAINERID");
    if (netns && *call->netns == '\0') text_addz(&missing, ",CNI_NETNS");
    if (attachment && *call->ifname == '\0') text_addz(&missing, ",CNI_IFNAME");
    if (missing.len > 0) {
        answer_error(CNI_BAD_ENVIRONMENT, NULL, 0, "required env variables [%s] missing for CNI_COMMAND=%s",
                     text_zero(&missing) + 1, call->verb_name);
    }
}

void call_read_environment(struct call *call, const char *program) {
    *call = (struct call){.program = program, .netns_fd = -1};
    call->ipam = strcmp(program, "weave-ipam") == 0;
    call->verb_name = variable("CNI_COMMAND");
    call->verb = verb_of(call->verb_name);
    call->container_id = variable("CNI_CONTAINERID");
    call->ifname = variable("CNI_IFNAME");
    call->netns = variable("CNI_NETNS");
    if (*call->container_id != '\0' && !is_identifier(call->container_id, strlen(call->container_id))) {
        answer_error(CNI_BAD_ENVIRONMENT, call->container_id, strlen(call->container_id),
                     "invalid characters in CNI_CONTAINERID: it must match ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$");
    }
    const char *fault = ifname_fault(call->ifname);
    if (fault != NULL) {
        answer_error(CNI_BAD_ENVIRONMENT, call->ifname, strlen(call->ifname),
                     "CNI_IFNAME cannot name an interface: it %s", fault);
    }
    require_variables(call);
}

static void read_stdin(struct text *config) {
    for (;;) {
        ssize_t n = read(STDIN_FILENO, text_reserve(config, 64 << 10), 64 << 10);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            answer_error(CNI_IO_FAILURE, NULL, 0, "cannot read the network configuration from stdin: %s",
                         strerror(errno));
        }
        if (n == 0) return;
        config->len += (size_t)n;
        if (config->len > MAX_CONFIG_BYTES) {
            answer_error(CNI_IO_FAILURE, NULL, 0, "the network configuration on stdin is larger than 8 MiB");
        }
    }
}

static const char *came_with(enum verb verb) {
    if (verb == VERB_GC || verb == VERB_STATUS) return "1.1.0";
    return verb == VERB_CHECK ? "0.4.0" : "0.1.0";
}

static void check_version(const struct call *call, struct json_string *given) {
    // An absent version means 0.1.0: the field came with 0.2.0.
    bool absent = !given->present || given->value.len == 0;
    const char *version = absent ? "0.1.0" : text_zero(&given->value);
    // strlen: a version with a NUL in it is none of ours.
    int index = absent || strlen(version) == given->value.len ? cni_version_index(version) : -1;
    if (index >= 0) answer_in_version(cni_versions[index]);
    if (call->verb == VERB_UNKNOWN) {
        answer_error(CNI_BAD_ENVIRONMENT, NULL, 0, "unknown CNI_COMMAND: %s", call->verb_name);
    }
    if (index < 0) {
        struct text details = {0};
        text_addz(&details, "config is ");
        text_add_quoted(&details, given->value.data, given->value.len);
        text_addz(&details, ", plugin supports [");
        for (int i = 0; cni_versions[i] != NULL; i++) {
            text_addf(&details, "%s\"%s\"", i == 0 ? "" : " ", cni_versions[i]);
        }
        text_addz(&details, "]");
        answer_error(CNI_INCOMPATIBLE_VERSION, details.data, details.len, "incompatible CNI versions");
    }
    const char *since = came_with(call->verb);
    if (index < cni_version_index(since)) {
        answer_error(CNI_INCOMPATIBLE_VERSION, NULL, 0, "config version %s does not allow %s, which came with %s",
                     version, call->verb_name, since);
    }
}

void call_read_config(struct call *call) {
    struct json_config config;
    size_t at = 0;
    read_stdin(&call->config);
    const char *wrong = utf8_valid(call->config.data, call->config.len)
                            ? json_scan_config(call->config.data, call->config.len, &config, &at)
                            : "it is not valid UTF-8";
    if (wrong != NULL) {
        answer_error(CNI_DECODE_FAILURE, NULL, 0,
                     "cannot decode the network configuration on stdin: %s (at byte %zu)", wrong, at);
    }
    if (!config.name.present || config.name.value.len == 0) {
        answer_error(CNI_BAD_CONFIG, NULL, 0,
                     "missing network name: the network configuration needs a \"name\"");
    }
    if (!is_identifier(config.name.value.data, config.name.value.len)) {
        answer_error(CNI_BAD_CONFIG, config.name.value.data, config.name.value.len,
                     "invalid characters found in network name: it must match ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$");
    }
    call->network = text_zero(&config.name.value);
    check_version(call, &config.cni_version);
}

static bool is_own_netns(int fd) {
    struct stat given, own;
    return fstat(fd, &given) == 0 && stat("/proc/self/ns/net", &own) == 0 && given.st_dev == own.st_dev &&
           given.st_ino == own.st_ino;
}

static bool netns_override(void) {
    const char *value = getenv("CNI_NETNS_OVERRIDE");
    return value != NULL && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0);
}

// What open(2) lists; glibc alone could name them all.
static const char *open_error_name(int error) {
    switch (error) {
    case EACCES: return "EACCES";
    case ELOOP: return "ELOOP";
    case EMFILE: return "EMFILE";
    case ENAMETOOLONG: return "ENAMETOOLONG";
    case ENFILE: return "ENFILE";
    case ENODEV: return "ENODEV";
    case ENOENT: return "ENOENT";
    case ENOMEM: return "ENOMEM";
    case ENOTDIR: return "ENOTDIR";
    case ENXIO: return "ENXIO";
    case EPERM: return "EPERM";
    default: return "EIO";
    }
}

void call_open_netns(struct call *call) {
    // DEL needs no namespace (the host end takes the other end with it), and address management never enters
    // one.
    if (call->ipam || (call->verb != VERB_ADD && call->verb != VERB_CHECK)) return;
    // O_NONBLOCK: a path that is a FIFO must not hang us.
    call->netns_fd = open(call->netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (call->netns_fd < 0) {
        call->netns_error = open_error_name(errno);
        return;
    }
    if (is_own_netns(call->netns_fd) && !netns_override()) {
        answer_error(CNI_BAD_NETNS, call->netns, strlen(call->netns),
                     "CNI_NETNS is the host's own network namespace: give the container one of its own");
    }
}
