// HTTP/1.1 as far as two ends of one project need it: a request with Content-Length, "Connection: close", an
// answer with Content-Length. Interim 1xx answers only say that the daemon is at work. See relay.h.
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// No result comes near; a larger answer is not from weaver.
enum { MAX_REPLY_BYTES = 4 << 20 };

// How long to wait for the next sign of life, and in all. Runtimes poll STATUS and expect an answer within a
// second, start of this process included. DEL can always be finished without the daemon, so it does not wait
// longer for a busy one either.
struct patience {
    int idle_ms;
    int total_ms;
};

static struct patience patience_for(enum verb verb) {
    if (verb == VERB_STATUS) return (struct patience){900, 900};
    if (verb == VERB_DEL) return (struct patience){5000, 5000};
    return (struct patience){10000, 60000};
}

struct clock {
    struct patience patience;
    int64_t started;
    int64_t progress;
};

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Milliseconds until patience ends; 0 when it has.
static int left_ms(const struct clock *clock) {
    int64_t idle = clock->progress + clock->patience.idle_ms;
    int64_t total = clock->started + clock->patience.total_ms;
    int64_t left = (idle < total ? idle : total) - now_ms();
    return left > 0 ? (int)left : 0;
}

const char *relay_socket_path(void) {
    const char *named = getenv("WEAVE_SOCKET");
    if (named != NULL && *named != '\0') return named;
    static char path[4096], line[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof ".socket");
    if (len > 0) {
        memcpy(path + len, ".socket", sizeof ".socket");
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
        if (fd >= 0) close(fd);
        if (n > 0) {
            line[n] = '\0';
            line[strcspn(line, "\r\n")] = '\0';
            if (*line != '\0') return line;
        }
    }
    return "/run/weave/weave.sock";
}

static int connect_to(const char *path, const struct clock *clock, struct text *why) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        text_addf(why, "the path is longer than the %zu bytes a unix socket can have",
                  sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // SO_SNDTIMEO bounds connect() too, which blocks while the daemon's backlog is full (unix(7), socket(7)).
    int left = left_ms(clock);
    struct timeval limit = {left / 1000, left % 1000 * 1000};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        text_addz(why, errno == EAGAIN ? "it accepts no connection" : strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    return fd;
}

static void add_environment(struct text *body) {
    extern char **environ;
    bool first = true;
    for (char **entry = environ; *entry != NULL; entry++) {
        char name[64];
        const char *equals = strchr(*entry, '=');
        size_t len = equals == NULL ? 0 : (size_t)(equals - *entry);
        if (len >= sizeof name || strncmp(*entry, "CNI_", 4) != 0) continue;
        memcpy(name, *entry, len);
        name[len] = '\0';
        // Of a variable given twice, only the one getenv() answered our checks with.
        if (getenv(name) != equals + 1) continue;
        if (!first) text_addz(body, ",");
        text_add_quoted(body, name, len);
        text_addz(body, ":");
        text_add_quoted(body, equals + 1, strlen(equals + 1));
        first = false;
    }
}

static void write_request(struct text *request, const struct call *call) {
    struct text body = {0};
    text_addf(&body, "{\"program\":\"%s\",\"env\":{", call->program);
    add_environment(&body);
    text_addf(&body, "},\"pid\":%d,\"bootMs\":%lld", getpid(), (long long)call->boot_ms);
    if (call->netns_fd >= 0) text_addf(&body, ",\"netnsFd\":%d", call->netns_fd);
    if (call->netns_error != NULL) text_addf(&body, ",\"netnsError\":\"%s\"", call->netns_error);
    text_addz(&body, ",\"stdin\":");
    text_add_quoted(&body, call->config.data, call->config.len);
    text_addz(&body, "}");
    text_addf(request,
              "POST /v1/cni HTTP/1.1\r\nHost: weave\r\nContent-Type: application/json\r\n"
              "Content-Length: %zu\r\nConnection: close\r\n\r\n",
              body.len);
    text_add(request, body.data, body.len);
    free(body.data);
}

// The value of a header within [head, end), or NULL. Names are compared without case; the line ends with \r.
static const char *header(const char *head, const char *end, const char *name) {
    size_t len = strlen(name);
    for (const char *line = head; line < end;) {
        const char *next = memmem(line, (size_t)(end - line), "\r\n", 2);
        if (next == NULL) return NULL;
        if ((size_t)(next - line) > len && line[len] == ':' && strncasecmp(line, name, len) == 0) {
            const char *value = line + len + 1;
            while (*value == ' ' || *value == '\t') value++;
            return value;
        }
        line = next + 2;
    }
    return NULL;
}

// A decimal number up to `max`, ended by \r; -1 for anything else.
static long number(const char *value, long max) {
    long n = 0;
    if (value == NULL || *value == '\r') return -1;
    for (; *value >= '0' && *value <= '9'; value++) {
        n = n * 10 + (*value - '0');
        if (n > max) return -1;
    }
    return *value == '\r' ? n : -1;
}

enum parsed { PARSED, INCOMPLETE, NONSENSE };

static enum parsed parse_reply(const struct text *in, struct reply *reply, struct text *why) {
    const char *at = in->data, *end = in->data + in->len;
    for (;;) {
        const char *head_end = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (head_end == NULL) return INCOMPLETE;
        // "HTTP/1.1 200 ...": the shortest head is longer than the 12 bytes looked at here.
        int status = head_end - at >= 12 && memcmp(at, "HTTP/1.", 7) == 0 ? atoi(at + 9) : 0;
        if (status < 100 || status > 599) {
            text_addz(why, "it does not speak HTTP");
            return NONSENSE;
        }
        if (status < 200) {
            at = head_end + 4;
            continue;
        }
        if (status != 200) {
            text_addf(why, "it answered HTTP %d", status);
            return NONSENSE;
        }
        const char *body = head_end + 4;
        long length = number(header(at, head_end + 2, "content-length"), MAX_REPLY_BYTES);
        // Exit codes above 125 mean signals and failed exec to a shell.
        long exit_code = number(header(at, head_end + 2, "weave-exit"), 125);
        if (length < 0 || exit_code < 0) {
            text_addz(why, "its answer lacks Content-Length or weave-exit");
            return NONSENSE;
        }
        const char *given = header(at, head_end + 2, "weave-warnings");
        long warnings = given == NULL ? 0 : number(given, length);
        if (warnings < 0) {
            text_addz(why, "weave-warnings is not within its answer");
            return NONSENSE;
        }
        if (end - body < length) return INCOMPLETE;
        *reply = (struct reply){.warnings = body,
                                .warnings_len = (size_t)warnings,
                                .out = body + warnings,
                                .out_len = (size_t)(length - warnings),
                                .exit_code = (int)exit_code};
        return PARSED;
    }
}

// One read; INCOMPLETE when more is to come.
static enum parsed receive(int fd, struct text *in, struct reply *reply, struct text *why) {
    ssize_t n = recv(fd, text_reserve(in, 16 << 10), 16 << 10, 0);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) return INCOMPLETE;
        text_addz(why, strerror(errno));
        return NONSENSE;
    }
    in->len += (size_t)n;
    enum parsed parsed = in->len == 0 ? INCOMPLETE : parse_reply(in, reply, why);
    if (parsed == INCOMPLETE && (n == 0 || in->len > 2 * MAX_REPLY_BYTES)) {
        text_addz(why, n == 0 ? "it closed the connection without an answer" : "its answer does not end");
        return NONSENSE;
    }
    return parsed;
}

static bool converse(int fd, const struct text *request, struct clock *clock, struct reply *reply,
                     struct text *why) {
    struct text in = {0}; // lives on as reply->out
    size_t sent = 0;
    for (;;) {
        int left = left_ms(clock);
        bool sending = sent < request->len;
        struct pollfd wait = {.fd = fd, .events = (short)(POLLIN | (sending ? POLLOUT : 0))};
        int ready = left == 0 ? 0 : poll(&wait, 1, left);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            text_addf(why, "it gave no answer within %.1f s", (double)(now_ms() - clock->started) / 1000);
            return false;
        }
        if (sending && (wait.revents & POLLOUT) != 0) {
            ssize_t n = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);
            // A daemon that stops reading may have answered already: then the answer counts.
            if (n < 0 && errno != EAGAIN && errno != EINTR) sent = request->len;
            if (n > 0) sent += (size_t)n;
        }
        if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            enum parsed parsed = receive(fd, &in, reply, why);
            if (parsed != INCOMPLETE) return parsed == PARSED;
        }
        clock->progress = now_ms();
    }
}

bool relay_call(const struct call *call, const char *socket_path, struct reply *reply, struct text *why) {
    struct clock clock = {patience_for(call->verb), now_ms(), now_ms()};
    struct text request = {0};
    int fd = connect_to(socket_path, &clock, why);
    bool answered = false;
    if (fd >= 0) {
        write_request(&request, call);
        answered = converse(fd, &request, &clock, reply, why);
        close(fd);
    }
    free(request.data);
    text_zero(why);
    return answered;
}
