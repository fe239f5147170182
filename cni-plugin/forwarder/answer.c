// stdout and the exit code; see answer.h.
#include "answer.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

const char *const cni_versions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", NULL};

static const char *error_version = "1.1.0";

int cni_version_index(const char *version) {
    for (int i = 0; cni_versions[i] != NULL; i++) {
        if (strcmp(version, cni_versions[i]) == 0) return i;
    }
    return -1;
}

void answer_in_version(const char *version) {
    error_version = version;
}

static bool write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

void answer_warnings(const char *bytes, size_t len) {
    if (len == 0) return;
    // A reader that has closed stderr must still get its answer on stdout.
    signal(SIGPIPE, SIG_IGN);
    write_all(STDERR_FILENO, bytes, len);
}

_Noreturn void answer_exactly(const char *bytes, size_t len, int exit_code) {
    // When nobody reads the answer, the exit code must not say success.
    _exit(write_all(STDOUT_FILENO, bytes, len) ? exit_code : 1);
}

_Noreturn void answer_error(enum cni_code code, const char *details, size_t details_len, const char *format,
                            ...) {
    char *message;
    va_list args;
    va_start(args, format);
    if (vasprintf(&message, format, args) < 0) message = strdup("out of memory");
    va_end(args);
    struct text out = {0};
    text_addf(&out, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", error_version, code);
    text_add_quoted(&out, message, strlen(message));
    if (details != NULL) {
        text_addz(&out, ",\"details\":");
        text_add_quoted(&out, details, details_len);
    }
    text_addz(&out, "}\n");
    answer_exactly(out.data, out.len, 1);
}

_Noreturn void answer_versions(void) {
    struct text out = {0};
    text_addz(&out, "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[");
    for (int i = 0; cni_versions[i] != NULL; i++) {
        text_addf(&out, "%s\"%s\"", i == 0 ? "" : ",", cni_versions[i]);
    }
    text_addz(&out, "]}\n");
    answer_exactly(out.data, out.len, 0);
}

_Noreturn void answer_about(const char *program) {
    struct text out = {0};
    text_addf(&out,
              "%s %s: the CNI plugin of the weave container network.\n"
              "Container runtimes call it; it asks the daemon weaver.\n"
              "CNI protocol versions supported: ",
              program, WEAVE_VERSION);
    for (int i = 0; cni_versions[i] != NULL; i++) {
        text_addf(&out, "%s%s", i == 0 ? "" : ", ", cni_versions[i]);
    }
    text_addz(&out, "\n");
    write_all(STDERR_FILENO, out.data, out.len);
    _exit(0);
}
