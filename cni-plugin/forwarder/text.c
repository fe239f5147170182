// Byte strings, UTF-8 and JSON quoting; see text.h.
#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void) {
    static const char answer[] =
        "{\"cniVersion\":\"1.1.0\",\"code\":5,\"msg\":\"out of memory in the CNI plugin\"}\n";
    ssize_t ignored = write(STDOUT_FILENO, answer, sizeof answer - 1);
    (void)ignored;
    _exit(1);
}

char *text_reserve(struct text *t, size_t more) {
    if (t->cap - t->len < more) {
        size_t cap = t->cap * 2 + more + 64;
        char *data = realloc(t->data, cap);
        if (data == NULL) out_of_memory();
        t->data = data;
        t->cap = cap;
    }
    return t->data + t->len;
}

void text_add(struct text *t, const char *bytes, size_t len) {
    if (len == 0) return;
    memcpy(text_reserve(t, len), bytes, len);
    t->len += len;
}

void text_addz(struct text *t, const char *string) {
    text_add(t, string, strlen(string));
}

void text_addf(struct text *t, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0) out_of_memory();
    vsnprintf(text_reserve(t, (size_t)len + 1), (size_t)len + 1, format, again);
    t->len += (size_t)len;
    va_end(args);
    va_end(again);
}

const char *text_zero(struct text *t) {
    *text_reserve(t, 1) = '\0';
    return t->data;
}

size_t utf8_length(const char *p, size_t left) {
    const unsigned char *s = (const unsigned char *)p;
    if (s[0] < 0x80) return 1;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < len) return 0;
    uint32_t c = s[0] & (0x7f >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (len == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) return 0;
    if (len == 4 && (c < 0x10000 || c > 0x10ffff)) return 0;
    return len;
}

bool utf8_valid(const char *p, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t step = utf8_length(p + at, len - at);
        if (step == 0) return false;
        at += step;
    }
    return true;
}

void text_add_quoted(struct text *t, const char *bytes, size_t len) {
    text_add(t, "\"", 1);
    for (size_t at = 0; at < len;) {
        unsigned char c = (unsigned char)bytes[at];
        size_t step = utf8_length(bytes + at, len - at);
        if (step == 0) {
            text_addz(t, "\xef\xbf\xbd");
            step = 1;
        } else if (c == '"' || c == '\\') {
            text_addf(t, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            text_addf(t, "\\u%04x", c);
        } else {
            text_add(t, bytes + at, step);
        }
        at += step;
    }
    text_add(t, "\"", 1);
}
