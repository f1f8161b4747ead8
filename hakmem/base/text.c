#define _GNU_SOURCE /* program_invocation_short_name */
#include "hakmem/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/base/file.h"

void hak_text_string(struct text *t, const char *s) {
    while (*s != '\0' && t->length < sizeof(t->bytes)) t->bytes[t->length++] = *s++;
}

static void append_number(struct text *t, uint64_t n, unsigned base, unsigned width) {
    char digits[24];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n != 0);
    for (; width > count; width--) hak_text_string(t, " ");
    while (count > 0 && t->length < sizeof(t->bytes)) t->bytes[t->length++] = digits[--count];
}

void hak_text_decimal(struct text *t, uint64_t n) { append_number(t, n, 10, 0); }

void hak_text_column(struct text *t, uint64_t n, unsigned width) { append_number(t, n, 10, width); }

void hak_text_hex(struct text *t, uint64_t n) {
    hak_text_string(t, "0x");
    append_number(t, n, 16, 0);
}

void hak_text_json(struct text *t, const char *s, size_t most) {
    static const char HEX[] = "0123456789abcdef";
    hak_text_string(t, "\"");
    for (size_t i = 0; i < most && s[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)s[i];
        bool plain = byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
        char shown[8] = {s[i], '\0'};
        char escaped[8] = {'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15], '\0'};
        hak_text_string(t, plain ? shown : escaped);
    }
    hak_text_string(t, "\"");
}

const char *hak_text_program_name(void) { return program_invocation_short_name; }

void hak_text_write(struct text *t, int fd) {
    int saved = errno;
    size_t done = 0;
    while (done < t->length) {
        ssize_t n = file_write(fd, t->bytes + done, t->length - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += (size_t)n;
    }
    t->length = 0;
    errno = saved;
}

void hak_assert_failed(const char *cond, const char *file, int line) {
    struct text t = {.length = 0};
    hak_text_string(&t, "hakmem: internal error: ");
    hak_text_string(&t, cond);
    hak_text_string(&t, " is false at ");
    hak_text_string(&t, file);
    hak_text_string(&t, ":");
    hak_text_decimal(&t, (uint64_t)line);
    hak_text_string(&t, "; please report this\n");
    hak_text_write(&t, STDERR_FILENO);
    abort();
}
