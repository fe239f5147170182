// What goes to stdout: exactly one JSON document per call; and to stderr, for people. Knows the CNI versions and
// error codes, nothing of the daemon.
#ifndef WEAVE_ANSWER_H
#define WEAVE_ANSWER_H

#include <stddef.h>

#ifndef WEAVE_VERSION
#define WEAVE_VERSION "dev"
#endif

// CNI specification 1.1.0 section 5, "Error"; 8 is the Go library's own, 50 is from the STATUS section.
enum cni_code {
    CNI_INCOMPATIBLE_VERSION = 1,
    CNI_BAD_ENVIRONMENT = 4,
    CNI_IO_FAILURE = 5,
    CNI_DECODE_FAILURE = 6,
    CNI_BAD_CONFIG = 7,
    CNI_BAD_NETNS = 8,
    CNI_TRY_AGAIN = 11,
    CNI_NOT_AVAILABLE = 50,
};

// Every version of the specification, oldest first; NULL at the end. The same list stands in
// cni-plugin/versions.ts.
extern const char *const cni_versions[];

// Place in cni_versions, or -1. Versions are compared as exact strings: "1.0" is not "1.0.0".
int cni_version_index(const char *version);

// The version later errors carry: that of the configuration once it is known and supported, 1.1.0 before.
void answer_in_version(const char *version);

// Print the error object and exit 1. `details` may be NULL.
__attribute__((format(printf, 4, 5))) _Noreturn void answer_error(enum cni_code code, const char *details,
                                                                 size_t details_len, const char *format, ...);
// Print `bytes` on stderr. Whether anybody reads them does not matter.
void answer_warnings(const char *bytes, size_t len);
// Print `bytes` on stdout as they are and exit.
_Noreturn void answer_exactly(const char *bytes, size_t len, int exit_code);
// The answer to VERSION.
_Noreturn void answer_versions(void);
// Called without CNI_COMMAND, by a person: say on stderr what this is.
_Noreturn void answer_about(const char *program);

#endif
