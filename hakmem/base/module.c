#include "hakmem/base/module.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/base/file.h"

/* The lines of /proc/self/maps, one at a time:
 *     7f10-7f20 r-xp 00001000 fd:00 1234    /usr/lib/libc.so.6
 * What is longer than the line's buffer is cut. */
struct maps {
    int fd;
    size_t at, have;
    char bytes[512];
    char line[512];
};

static bool next_line(struct maps *m) {
    size_t length = 0;
    for (;;) {
        if (m->at == m->have) {
            ssize_t got = file_read(m->fd, m->bytes, sizeof(m->bytes));
            if (got <= 0) return false;
            m->at = 0;
            m->have = (size_t)got;
        }
        char c = m->bytes[m->at++];
        if (c == '\n') break;
        if (length < sizeof(m->line) - 1) m->line[length++] = c;
    }
    m->line[length] = '\0';
    return true;
}

static const char *parse_hex(const char *s, uintptr_t *out) {
    uintptr_t n = 0;
    for (;; s++) {
        char c = *s;
        if (c >= '0' && c <= '9') {
            n = n << 4 | (uintptr_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            n = n << 4 | (uintptr_t)(c - 'a' + 10);
        } else {
            *out = n;
            return s;
        }
    }
}

/* The file that is mapped at `address`, and where its first byte is; both 0 if there is none. */
static void find_module(struct maps *m, uintptr_t address, char *name, uintptr_t *base) {
    char file[sizeof(m->line)] = "";
    uintptr_t first = 0;
    while (next_line(m)) {
        uintptr_t from, to = 0;
        const char *rest = parse_hex(m->line, &from);
        if (*rest == '-') parse_hex(rest + 1, &to);
        const char *path = strchr(m->line, '/');
        /* A file's mappings follow one another; the first is of its start. */
        if (path != NULL && strcmp(path, file) != 0) {
            strcpy(file, path);
            first = from;
        }
        if (address < from || address >= to) continue;
        if (path == NULL) return;
        const char *last = strrchr(path, '/') + 1;
        size_t length = strnlen(last, MODULE_NAME_SHOWN);
        memcpy(name, last, length);
        name[length] = '\0';
        *base = first;
        return;
    }
}

void hak_text_place(struct text *t, const void *address) {
    int saved = errno;
    char name[MODULE_NAME_SHOWN + 1] = "";
    uintptr_t base = 0;
    struct maps m = {.fd = file_open("/proc/self/maps")};
    if (m.fd >= 0) {
        find_module(&m, (uintptr_t)address, name, &base);
        file_close(m.fd);
    }
    hak_text_string(t, name);
    if (name[0] != '\0') hak_text_string(t, "+");
    hak_text_hex(t, (uintptr_t)address - base);
    errno = saved;
}
