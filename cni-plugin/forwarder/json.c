// A recursive-descent scanner over bytes known to be UTF-8; see json.h. Every function returns NULL or what
// is wrong.
#include "json.h"

#include <stdint.h>
#include <string.h>

// Deep enough for any configuration, shallow enough for any stack.
enum { MAX_DEPTH = 512 };

struct scan {
    const char *p;
    const char *end;
};

static const char *scan_value(struct scan *s, int depth);

static void skip_space(struct scan *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) s->p++;
}

static bool take(struct scan *s, char c) {
    if (s->p == s->end || *s->p != c) return false;
    s->p++;
    return true;
}

static bool take_word(struct scan *s, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0) return false;
    s->p += len;
    return true;
}

static bool take_digits(struct scan *s) {
    const char *start = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') s->p++;
    return s->p > start;
}

static const char *scan_number(struct scan *s) {
    take(s, '-');
    if (!take(s, '0') && !take_digits(s)) return "a value was expected";
    if (take(s, '.') && !take_digits(s)) return "a digit was expected after the decimal point";
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+')) take(s, '-');
        if (!take_digits(s)) return "a digit was expected in the exponent";
    }
    return NULL;
}

static bool take_hex4(struct scan *s, uint32_t *unit) {
    if (s->end - s->p < 4) return false;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = *s->p++;
        uint32_t digit;
        if (c >= '0' && c <= '9') digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f') digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F') digit = (uint32_t)(c - 'A') + 10;
        else return false;
        *unit = *unit << 4 | digit;
    }
    return true;
}

static void add_code_point(struct text *out, uint32_t c) {
    char b[4];
    size_t len;
    if (c < 0x80) {
        b[0] = (char)c;
        len = 1;
    } else if (c < 0x800) {
        b[0] = (char)(0xc0 | c >> 6);
        b[1] = (char)(0x80 | (c & 0x3f));
        len = 2;
    } else if (c < 0x10000) {
        b[0] = (char)(0xe0 | c >> 12);
        b[1] = (char)(0x80 | (c >> 6 & 0x3f));
        b[2] = (char)(0x80 | (c & 0x3f));
        len = 3;
    } else {
        b[0] = (char)(0xf0 | c >> 18);
        b[1] = (char)(0x80 | (c >> 12 & 0x3f));
        b[2] = (char)(0x80 | (c >> 6 & 0x3f));
        b[3] = (char)(0x80 | (c & 0x3f));
        len = 4;
    }
    text_add(out, b, len);
}

// Behind "\u". A surrogate without its other half becomes U+FFFD: no UTF-8 can say it.
static const char *scan_unicode_escape(struct scan *s, struct text *out) {
    uint32_t unit, low;
    if (!take_hex4(s, &unit)) return "four hexadecimal digits were expected after \\u";
    if (unit >= 0xd800 && unit <= 0xdbff) {
        struct scan ahead = *s;
        if (take_word(&ahead, "\\u") && take_hex4(&ahead, &low) && low >= 0xdc00 && low <= 0xdfff) {
            *s = ahead;
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (unit >= 0xd800 && unit <= 0xdfff) unit = 0xfffd;
    if (out != NULL) add_code_point(out, unit);
    return NULL;
}

// `out` may be NULL: then the string is only checked.
static const char *scan_string(struct scan *s, struct text *out) {
    static const char escaped[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (!take(s, '"')) return "a string was expected";
    while (s->p < s->end) {
        const char *start = s->p;
        while (s->p < s->end && *s->p != '"' && *s->p != '\\' && (unsigned char)*s->p >= 0x20) s->p++;
        if (out != NULL) text_add(out, start, (size_t)(s->p - start));
        if (take(s, '"')) return NULL;
        if (!take(s, '\\')) break;
        if (take(s, 'u')) {
            const char *wrong = scan_unicode_escape(s, out);
            if (wrong != NULL) return wrong;
            continue;
        }
        const char *which = s->p < s->end && *s->p != '\0' ? strchr(escaped, *s->p) : NULL;
        if (which == NULL) return "unknown escape in a string";
        if (out != NULL) text_add(out, &meant[which - escaped], 1);
        s->p++;
    }
    return s->p == s->end ? "a string does not end" : "control character in a string";
}

static const char *scan_array(struct scan *s, int depth) {
    skip_space(s);
    if (take(s, ']')) return NULL;
    for (;;) {
        const char *wrong = scan_value(s, depth);
        if (wrong != NULL) return wrong;
        skip_space(s);
        if (take(s, ']')) return NULL;
        if (!take(s, ',')) return "',' or ']' was expected";
    }
}

// The value of a key we want to know: a string, or null for "not given".
static const char *scan_wanted(struct scan *s, struct json_string *wanted) {
    skip_space(s);
    wanted->value.len = 0;
    wanted->present = !take_word(s, "null");
    return wanted->present ? scan_string(s, &wanted->value) : NULL;
}

static bool text_is(const struct text *t, const char *string) {
    return t->len == strlen(string) && memcmp(t->data, string, t->len) == 0;
}

// `config` is NULL in all objects but the outermost. A key given twice counts by its last value, as in
// JSON.parse.
static const char *scan_object(struct scan *s, int depth, struct json_config *config) {
    struct text key = {0};
    skip_space(s);
    if (take(s, '}')) return NULL;
    for (;;) {
        key.len = 0;
        skip_space(s);
        const char *wrong = scan_string(s, config == NULL ? NULL : &key);
        if (wrong != NULL) return wrong;
        skip_space(s);
        if (!take(s, ':')) return "':' was expected";
        if (config != NULL && text_is(&key, "name")) wrong = scan_wanted(s, &config->name);
        else if (config != NULL && text_is(&key, "cniVersion")) wrong = scan_wanted(s, &config->cni_version);
        else wrong = scan_value(s, depth);
        if (wrong != NULL) return wrong;
        skip_space(s);
        if (take(s, '}')) return NULL;
        if (!take(s, ',')) return "',' or '}' was expected";
    }
}

static const char *scan_value(struct scan *s, int depth) {
    skip_space(s);
    if (s->p == s->end) return "it ends too early";
    if (depth == MAX_DEPTH) return "nested too deeply";
    if (*s->p == '"') return scan_string(s, NULL);
    if (take(s, '{')) return scan_object(s, depth + 1, NULL);
    if (take(s, '[')) return scan_array(s, depth + 1);
    if (take_word(s, "true") || take_word(s, "false") || take_word(s, "null")) return NULL;
    return scan_number(s);
}

const char *json_scan_config(const char *in, size_t len, struct json_config *out, size_t *at) {
    struct scan s = {in, in + len};
    *out = (struct json_config){0};
    skip_space(&s);
    const char *wrong = s.p == s.end ? "it is empty" : "it is not an object";
    if (take(&s, '{')) wrong = scan_object(&s, 0, out);
    if (wrong == NULL) {
        skip_space(&s);
        if (s.p < s.end) wrong = "there is more behind the object";
    }
    *at = (size_t)(s.p - in);
    return wrong;
}
