// Just enough JSON (RFC 8259) to tell whether a configuration decodes and what its name and cniVersion are.
// The daemon reads the rest. Strict: what this accepts, JSON.parse accepts, nesting deeper than 512 apart.
#ifndef WEAVE_JSON_H
#define WEAVE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

// A top-level string of the configuration. Absent and null are both not `present`.
struct json_string {
    bool present;
    struct text value;
};

struct json_config {
    struct json_string name;
    struct json_string cni_version;
};

// NULL when `in` is one JSON object, else what is wrong, with *at the byte offset.
const char *json_scan_config(const char *in, size_t len, struct json_config *out, size_t *at);

#endif
