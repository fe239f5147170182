// A growing byte string, and the two things done to bytes here: checking UTF-8 and quoting for JSON.
// Out of memory ends the process with a CNI error, so no caller checks for it.
#ifndef WEAVE_TEXT_H
#define WEAVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// Bytes [0, len) of data; not NUL-terminated unless text_zero was called. All zero is the empty text.
struct text {
    char *data;
    size_t len;
    size_t cap;
};

// Room for `more` bytes behind the end; returns where they go. The caller adds to len what it filled.
char *text_reserve(struct text *t, size_t more);
void text_add(struct text *t, const char *bytes, size_t len);
void text_addz(struct text *t, const char *string);
__attribute__((format(printf, 2, 3))) void text_addf(struct text *t, const char *format, ...);
// As a JSON string in quotes. Bytes that are not UTF-8 become U+FFFD.
void text_add_quoted(struct text *t, const char *bytes, size_t len);
// The bytes with a NUL behind them (not counted in len).
const char *text_zero(struct text *t);

// Length of the UTF-8 sequence at p (1 to 4), or 0 when there is none: overlong forms, surrogates and values
// above U+10FFFF are refused as RFC 3629 asks. `left` is at least 1.
size_t utf8_length(const char *p, size_t left);
bool utf8_valid(const char *p, size_t len);

#endif
