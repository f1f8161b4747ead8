#define _GNU_SOURCE /* getcpu */
#include "hakmem/os_backend/numa.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hakmem/base/atomic.h"
#include "hakmem/base/file.h"

#define MPOL_PREFERRED 1 /* linux/mempolicy.h */

static uint64_t with_memory = 1; /* bit n: node n */
static unsigned (*node_hook)(void);
static void (*bind_hook)(void *, size_t, unsigned);

void hak_numa_set_hooks(unsigned (*node)(void), void (*bind)(void *, size_t, unsigned)) {
    store_release(&node_hook, node);
    store_release(&bind_hook, bind);
}

static uint64_t nodes_between(unsigned long from, unsigned long to) {
    uint64_t mask = 0;
    for (; from <= to && from < NUMA_NODES_MAX; from++) mask |= (uint64_t)1 << from;
    return mask;
}

/* Numbers too large to matter stay too large. */
static bool parse(const char **s, unsigned long *out) {
    unsigned long n = 0;
    const char *from = *s;
    for (; **s >= '0' && **s <= '9'; ++*s) {
        if (n < NUMA_NODES_MAX) n = n * 10 + (unsigned long)(**s - '0');
    }
    *out = n;
    return *s != from;
}

/* "0-3,5"; 0: nothing that looks so. */
static uint64_t parse_nodes(const char *s) {
    uint64_t mask = 0;
    for (;;) {
        unsigned long from, to;
        if (!parse(&s, &from)) return 0;
        to = from;
        if (*s == '-' && (s++, !parse(&s, &to))) return 0;
        mask |= nodes_between(from, to);
        if (*s != ',') return *s == '\n' || *s == '\0' ? mask : 0;
        s++;
    }
}

void hak_numa_init(const char *root) {
    static const char file[] = "/sys/devices/system/node/has_memory";
    char path[1024], text[512];
    int saved = errno;
    size_t length = strlen(root);
    uint64_t mask = 0;
    if (length + sizeof(file) <= sizeof(path)) {
        memcpy(path, root, length);
        memcpy(path + length, file, sizeof(file));
        int fd = file_open(path);
        ssize_t n = fd < 0 ? -1 : file_read(fd, text, sizeof(text) - 1);
        if (n > 0) {
            text[n] = '\0';
            mask = parse_nodes(text);
        }
        if (fd >= 0) file_close(fd);
    }
    store_relaxed(&with_memory, mask != 0 ? mask : 1);
    errno = saved;
}

unsigned hak_numa_nodes(void) { return (unsigned)__builtin_popcountll(load_relaxed(&with_memory)); }

unsigned hak_numa_node(void) {
    uint64_t mask = load_relaxed(&with_memory);
    unsigned processor, node = 0;
    unsigned (*hook)(void) = load_acquire(&node_hook);
    if (HAK_UNLIKELY(hook != NULL)) {
        node = hook();
    } else if (getcpu(&processor, &node) != 0) {
        node = 0;
    }
    bool known = node < NUMA_NODES_MAX && (mask >> node & 1) != 0;
    return known ? node : (unsigned)__builtin_ctzll(mask);
}

void hak_numa_bind(void *base, size_t bytes, unsigned node) {
    void (*hook)(void *, size_t, unsigned) = load_acquire(&bind_hook);
    if (HAK_UNLIKELY(hook != NULL)) {
        hook(base, bytes, node);
        return;
    }
    int saved = errno;
    unsigned long mask[2] = {0, 0};
    mask[node / (8 * sizeof(mask[0]))] = 1ul << node % (8 * sizeof(mask[0]));
    /* Where it fails, pages come from the node that touches them first, as ever. */
    syscall(SYS_mbind, base, bytes, MPOL_PREFERRED, mask, (unsigned long)NUMA_NODES_MAX + 1, 0);
    errno = saved;
}
