/* Where the limits stand:
 *
 *   /proc/self/cgroup     version 2: "0::/path"    version 1: "4:memory:/path"
 *   /proc/self/mountinfo  "36 35 98:0 ROOT MOUNT options ... - cgroup2 none rw"
 *                         "37 35 98:0 ROOT MOUNT options ... - cgroup none rw,memory"
 *   MOUNT/path/memory.max, MOUNT/path/memory.limit_in_bytes, and those of the folders above
 *
 * ROOT is what of the hierarchy is mounted there: a path begins with it, or lies outside. */
#include "hakmem/os_backend/cgroup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/base/file.h"

#define PATH_BYTES 1024
#define LINE_BYTES 2048

/* Version 1 says "no limit" by the largest multiple of a page. */
#define NO_LIMIT ((uint64_t)1 << 60)

/* ---- Text ----------------------------------------------------------------------------------- */

struct path {
    char text[PATH_BYTES];
    size_t length;
    bool whole; /* nothing was cut off */
};

static void append(struct path *p, const char *s, size_t length) {
    if (p->length + length >= sizeof(p->text)) {
        p->whole = false;
        return;
    }
    memcpy(p->text + p->length, s, length);
    p->length += length;
    p->text[p->length] = '\0';
}

static struct path path_of(const char *a, const char *b) {
    struct path p = {.length = 0, .whole = true};
    append(&p, a, strlen(a));
    append(&p, b, strlen(b));
    return p;
}

/* Reads a file line by line; a line that is too long is cut. */
struct reader {
    int file;
    size_t at, end;
    char bytes[4096];
};

static bool next_byte(struct reader *r, char *c) {
    if (r->at == r->end) {
        ssize_t n;
        do {
            n = file_read(r->file, r->bytes, sizeof(r->bytes));
        } while (n < 0 && errno == EINTR);
        if (n <= 0) return false;
        r->at = 0;
        r->end = (size_t)n;
    }
    *c = r->bytes[r->at++];
    return true;
}

static bool next_line(struct reader *r, char *line) {
    size_t n = 0;
    char c;
    bool any = false;
    while (next_byte(r, &c)) {
        any = true;
        if (c == '\n') break;
        if (n + 1 < LINE_BYTES) line[n++] = c;
    }
    line[n] = '\0';
    return any;
}

/* The next of the fields that blanks divide; NULL: there is none. */
static char *next_field(char **rest) {
    char *field = *rest + strspn(*rest, " ");
    if (*field == '\0') return NULL;
    char *end = field + strcspn(field, " ");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return field;
}

static bool is_octal(const char *s) {
    return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

/* Blanks in a path are written \040. */
static void unescape(char *s) {
    char *out = s;
    while (*s != '\0') {
        if (*s == '\\' && is_octal(s + 1)) {
            *out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 4;
        } else {
            *out++ = *s++;
        }
    }
    *out = '\0';
}

/* `word` is one of the words that commas divide. */
static bool has_word(const char *list, const char *word) {
    size_t length = strlen(word);
    for (;;) {
        size_t n = strcspn(list, ",");
        if (n == length && memcmp(list, word, length) == 0) return true;
        if (list[n] == '\0') return false;
        list += n + 1;
    }
}

/* A number and what follows it; false: there is none ("max"). */
static bool parse_bytes(const char *s, uint64_t *out) {
    uint64_t n = 0;
    if (*s < '0' || *s > '9') return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (n > NO_LIMIT) break;
        n = n * 10 + (uint64_t)(*s - '0');
    }
    *out = n;
    return true;
}

/* ---- Limits --------------------------------------------------------------------------------- */

/* A hierarchy: how its lines look, and its limits' file. */
struct hierarchy {
    const char *type, *controller, *file; /* controller NULL: version 2 */
};
static const struct hierarchy HIERARCHIES[] = {
    {"cgroup2", NULL, "/memory.max"},
    {"cgroup", "memory", "/memory.limit_in_bytes"},
};

static void least_in_file(const char *file, uint64_t *least) {
    struct reader r = {.file = file_open(file), .at = 0, .end = 0};
    char line[LINE_BYTES];
    uint64_t n;
    if (r.file < 0) return;
    bool limited = next_line(&r, line) && parse_bytes(line, &n) && n < NO_LIMIT;
    if (limited && (*least == 0 || n < *least)) *least = n;
    file_close(r.file);
}

/* The limits of `mount`/`below` and of every folder above it, up to the mount. */
static void least_in_folders(const char *root, const char *mount, const char *below,
                             const struct hierarchy *h, uint64_t *least) {
    struct path p = path_of(root, mount);
    size_t top = p.length;
    append(&p, below, strlen(below));
    for (;;) {
        struct path file = path_of(p.text, h->file);
        if (p.whole && file.whole) least_in_file(file.text, least);
        if (p.length <= top) return;
        do {
            p.length--;
        } while (p.length > top && p.text[p.length] != '/');
        p.text[p.length] = '\0';
    }
}

/* The process's path in a hierarchy; false: it is in none. */
static bool own_path(const char *root, const struct hierarchy *h, char *out) {
    struct path file = path_of(root, "/proc/self/cgroup");
    struct reader r = {.file = file_open(file.text), .at = 0, .end = 0};
    bool found = false;
    if (r.file < 0) return false;
    while (!found && next_line(&r, out)) {
        char *controllers = strchr(out, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL) continue;
        *path++ = '\0';
        found = h->controller == NULL ? controllers[1] == '\0'
                                      : has_word(controllers + 1, h->controller);
        if (found) memmove(out, path, strlen(path) + 1);
    }
    file_close(r.file);
    return found;
}

/* The part of `path` that lies below `mounted`; "": it lies outside. */
static const char *below(const char *path, const char *mounted) {
    size_t length = strlen(mounted);
    if (strcmp(mounted, "/") == 0) return strcmp(path, "/") == 0 ? "" : path;
    bool inside = strncmp(path, mounted, length) == 0;
    return inside && (path[length] == '/' || path[length] == '\0') ? path + length : "";
}

/* A line of mountinfo that mounts the hierarchy: where, and what of it. */
static bool mounts(char *line, const struct hierarchy *h, char **mounted, char **mount) {
    char *rest = line, *field = NULL;
    for (int i = 0; i < 5; i++) {
        field = next_field(&rest);
        if (field == NULL) return false;
        if (i == 3) *mounted = field;
    }
    *mount = field;
    while (field != NULL && strcmp(field, "-") != 0) field = next_field(&rest);
    char *type = next_field(&rest), *source = next_field(&rest), *options = next_field(&rest);
    if (type == NULL || source == NULL || strcmp(type, h->type) != 0) return false;
    if (h->controller != NULL && (options == NULL || !has_word(options, h->controller)))
        return false;
    unescape(*mounted);
    unescape(*mount);
    return true;
}

static void least_in_hierarchy(const char *root, const struct hierarchy *h, uint64_t *least) {
    char path[LINE_BYTES], line[LINE_BYTES], *mounted = NULL, *mount = NULL;
    if (!own_path(root, h, path)) return;
    struct path file = path_of(root, "/proc/self/mountinfo");
    struct reader r = {.file = file_open(file.text), .at = 0, .end = 0};
    if (r.file < 0) return;
    while (next_line(&r, line)) {
        if (!mounts(line, h, &mounted, &mount)) continue;
        least_in_folders(root, mount, below(path, mounted), h, least);
    }
    file_close(r.file);
}

uint64_t hak_cgroup_memory_limit(const char *root) {
    int saved = errno;
    uint64_t least = 0;
    for (size_t i = 0; i < sizeof(HIERARCHIES) / sizeof(HIERARCHIES[0]); i++) {
        least_in_hierarchy(root, &HIERARCHIES[i], &least);
    }
    errno = saved;
    return least;
}

uint64_t hak_ram_bytes(const char *root) {
    int saved = errno;
    struct path file = path_of(root, "/proc/meminfo");
    struct reader r = {.file = file_open(file.text), .at = 0, .end = 0};
    char line[LINE_BYTES];
    uint64_t kib = 0;
    static const char TOTAL[] = "MemTotal:";
    while (r.file >= 0 && next_line(&r, line)) {
        if (strncmp(line, TOTAL, sizeof(TOTAL) - 1) != 0) continue;
        parse_bytes(line + sizeof(TOTAL) - 1 + strspn(line + sizeof(TOTAL) - 1, " "), &kib);
        break;
    }
    if (r.file >= 0) file_close(r.file);
    errno = saved;
    return kib * 1024;
}
