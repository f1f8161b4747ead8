/* What a process may have runs out, one thing at a time; the first argument says which:
 *
 *   address_space  RLIMIT_AS, by four threads at once, round after round
 *   mappings       vm.max_map_count: 64 left, then none
 *   locked         mlockall: every new mapping is resident at once
 *   locked_limit   the same under RLIMIT_MEMLOCK: what exceeds it is refused
 *   limit          HAKMEM_LIMIT=64M
 *   no_thp         transparent huge pages turned off for the process */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hakmem/preload_test/check.h"

#define MIB ((size_t)1 << 20)

/* ---- Blocks in a chain, each with a mark at its end ----------------------------------------- */

struct link {
    struct link *next;
    size_t size;
};

static unsigned char mark_of(const struct link *l) {
    return (unsigned char)((uintptr_t)l >> 4 ^ l->size);
}

static bool add(struct link **chain, size_t size) {
    errno = 0;
    struct link *l = malloc(size);
    if (l == NULL) {
        CHECK_WITH(errno == ENOMEM, "errno %d", errno);
        return false;
    }
    *l = (struct link){*chain, size};
    memset(l + 1, mark_of(l), size > sizeof(*l) ? size - sizeof(*l) : 0);
    *chain = l;
    return true;
}

static void free_chain(struct link *chain) {
    while (chain != NULL) {
        struct link *next = chain->next;
        size_t size = chain->size;
        CHECK(size <= sizeof(*chain) || ((unsigned char *)chain)[size - 1] == mark_of(chain));
        free(chain);
        chain = next;
    }
}

/* A field of /proc/self/status in bytes. Allocates nothing: there may be nothing left. */
static size_t status_bytes(const char *field) {
    char text[4096];
    int file = open("/proc/self/status", O_RDONLY);
    ssize_t n = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    close(file);
    text[n < 0 ? 0 : n] = '\0';
    const char *at = strstr(text, field);
    return at == NULL ? 0 : strtoul(at + strlen(field) + 1, NULL, 10) * 1024;
}

/* ---- Address space -------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 24, LIMIT_MIB = 256, LEAST_MIB = 120, AFTERWARDS_MIB = 24 };

static pthread_barrier_t barrier;
static struct link *chains[THREADS];
static size_t taken[THREADS];

/* Each thread and round has its size; 0: mixed. */
static size_t size_of(int thread, int round) {
    static const size_t sizes[] = {100, 5000, 65536, MIB, 3 * MIB, 0, 0};
    return sizes[(size_t)(thread + round) % (sizeof(sizes) / sizeof(sizes[0]))];
}

static void exhaust(int thread, int round) {
    uint32_t random = (uint32_t)(thread * 100 + round);
    taken[thread] = 0;
    for (;;) {
        random = random * 1664525 + 1013904223;
        size_t size = size_of(thread, round);
        if (size == 0) size = sizeof(struct link) + (random >> 8) % 100000;
        if (!add(&chains[thread], size)) return;
        taken[thread] += size;
    }
}

static void *exhaust_in_rounds(void *argument) {
    int thread = (int)(intptr_t)argument;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        exhaust(thread, round);
        pthread_barrier_wait(&barrier);
        size_t sum = 0;
        for (int t = 0; t < THREADS; t++) sum += taken[t];
        if (thread == 0) {
            CHECK_WITH(sum >= LEAST_MIB * MIB, "round %d: %zu MiB in all", round, sum / MIB);
        }
        pthread_barrier_wait(&barrier);
        int whose = (thread + round) % THREADS; /* its own, or another's */
        free_chain(chains[whose]);
        chains[whose] = NULL;
        pthread_barrier_wait(&barrier);
        malloc_trim(0); /* what others freed into this thread's slabs is its own to give back */
        pthread_barrier_wait(&barrier);
        if (thread != round % THREADS) continue;
        for (size_t size = 1; size <= AFTERWARDS_MIB * MIB; size *= 2) {
            void *block = malloc(size);
            CHECK_WITH(block != NULL, "round %d: no %zu bytes after all was freed", round, size);
            free(block);
        }
    }
    return NULL;
}

static void address_space(void) {
    struct rlimit limit = {LIMIT_MIB * MIB, LIMIT_MIB * MIB};
    pthread_t threads[THREADS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, MIB);
    pthread_barrier_init(&barrier, NULL, THREADS);
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    for (int t = 0; t < THREADS; t++) {
        if (pthread_create(&threads[t], &small, exhaust_in_rounds, (void *)(intptr_t)t) != 0) {
            dprintf(1, "FAIL a thread does not start\n");
            _exit(1);
        }
    }
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
}

/* ---- Mappings ------------------------------------------------------------------------------- */

static char *filler;
static size_t filler_pages,
    filled; /* every second page is readable: a mapping each, and each gap */

static size_t mappings(void) {
    FILE *f = fopen("/proc/self/maps", "r");
    size_t lines = 0;
    for (int c = f == NULL ? EOF : getc(f); c != EOF; c = getc(f)) lines += c == '\n';
    if (f != NULL) fclose(f);
    return lines;
}

static size_t mappings_allowed(void) {
    FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
    unsigned long n = 0;
    if (f != NULL && fscanf(f, "%lu", &n) != 1) n = 0;
    if (f != NULL) fclose(f);
    return n;
}

/* Makes mappings until `left` are left, as nearly as pairs allow. */
static void fill(size_t allowed, size_t left) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), now = mappings();
    for (; now + left + 1 < allowed || left == 0; now += 2) {
        if (filled + 2 >= filler_pages) return;
        if (mprotect(filler + (filled + 1) * page, page, PROT_READ) != 0) return;
        filled += 2;
    }
}

enum { SERVED_MIB = 600 };

static void with_64_mappings(struct link **chain) {
    static const size_t sizes[] = {64, 1000, 10000, 100000, 700000, 5 * MIB};
    size_t sum = 0;
    for (size_t i = 0; sum < SERVED_MIB * MIB; i++) {
        size_t size = sizes[i % 6];
        if (!add(chain, size)) break;
        sum += size;
    }
    CHECK_WITH(sum >= SERVED_MIB * MIB, "%zu MiB", sum / MIB);
}

/* Frees work, and what they gave back serves. */
static void without_mappings(struct link *chain, size_t allowed) {
    fill(allowed, 0);
    CHECK_WITH(mappings() + 3 >= allowed, "%zu of %zu", mappings(), allowed);
    void *trial = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(trial == MAP_FAILED || munmap(trial, 4096) == 0);
    /* Every second one: free ranges lie between live ones. */
    struct link *kept = NULL;
    for (struct link *l = chain, *next; l != NULL; l = next) {
        next = l->next;
        struct link *second = next;
        if (second != NULL) {
            next = second->next;
            second->next = kept;
            kept = second;
        }
        l->next = NULL;
        free_chain(l);
    }
    struct link *again = NULL;
    for (size_t i = 0; i < 6000; i++) CHECK_WITH(add(&again, 100 + i), "%zu bytes", 100 + i);
    free_chain(again);
    free_chain(kept);
}

static void mappings_run_out(void) {
    size_t allowed = mappings_allowed(), page = (size_t)sysconf(_SC_PAGESIZE);
    if (allowed == 0 || allowed > 300000) {
        dprintf(1, "SKIP vm.max_map_count is %zu: too many to fill up\n", allowed);
        return;
    }
    filler_pages = allowed + 64;
    filler = mmap(NULL, filler_pages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(filler != MAP_FAILED);
    struct link *chain = NULL;
    fill(allowed, 64);
    dprintf(1, "%zu mappings of %zu\n", mappings(), allowed);
    with_64_mappings(&chain);
    size_t full = status_bytes("VmRSS");
    without_mappings(chain, allowed);
    size_t empty = status_bytes("VmRSS");
    dprintf(1, "resident: %zu MiB, freed: %zu MiB\n", full / MIB, empty / MIB);
    /* Pages go back without a mapping: the pool and the cache of large blocks keep some. */
    CHECK_WITH(empty <= full / 4, "%zu MiB of %zu", empty / MIB, full / MIB);
    CHECK(munmap(filler, filler_pages * page) == 0);
    malloc_trim(0);
    size_t mapped = status_bytes("VmSize");
    dprintf(1, "trimmed: %zu MiB resident\n", status_bytes("VmRSS") / MIB);
    with_64_mappings(&(struct link *){NULL});
    dprintf(1, "address space: %zu MiB, and with another %d MiB %zu MiB\n", mapped / MIB,
            SERVED_MIB, status_bytes("VmSize") / MIB);
}

/* ---- Locked memory -------------------------------------------------------------------------- */

/* Every size up to `sum` bytes in all. */
static void mixed(struct link **chain, size_t sum) {
    static const size_t sizes[] = {24, 64, 200, 1000, 5000, 30000};
    for (size_t i = 0, have = 0; have < sum; i++) {
        if (!add(chain, sizes[i % 6])) return;
        have += sizes[i % 6];
    }
}

static void locked(void) {
    /* Beyond the limit, a mapping fails: that is locked_limit's. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        dprintf(1, "SKIP mlockall: %s\n", strerror(errno));
        return;
    }
    struct link *chain = NULL;
    size_t before = status_bytes("VmRSS");
    for (int round = 0; round < 4; round++) {
        mixed(&chain, 100 * MIB);
        CHECK(chain != NULL);
        size_t full = status_bytes("VmRSS");
        free_chain(chain);
        chain = NULL;
        malloc_trim(0);
        dprintf(1, "locked: %zu MiB before, %zu with 100 MiB in blocks, %zu without\n",
                before / MIB, full / MIB, status_bytes("VmRSS") / MIB);
        /* A region that is not used up yet is resident too: 64 MiB at most. */
        CHECK_WITH(full <= before + 180 * MIB, "%zu MiB", full / MIB);
    }
    /* Locked pages go with their address space. */
    CHECK_WITH(status_bytes("VmRSS") <= before + 80 * MIB, "%zu MiB", status_bytes("VmRSS") / MIB);
}

/* Root may lock what it likes, until it gives that up. */
static void give_up_locking_at_will(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) return;
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    syscall(SYS_capset, &header, data);
}

static void locked_limit(void) {
    struct rlimit limit;
    give_up_locking_at_will();
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 64 * MIB) limit.rlim_cur = 64 * MIB;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur < 4 * MIB ||
        mlockall(MCL_FUTURE) != 0) {
        dprintf(1, "SKIP mlockall under %zu KiB is not permitted: %s\n",
                (size_t)limit.rlim_cur / 1024, strerror(errno));
        return;
    }
    for (int round = 0; round < 10; round++) {
        struct link *chain = NULL;
        mixed(&chain, 1024 * MIB);
        size_t held = 0;
        for (struct link *l = chain; l != NULL; l = l->next) held += l->size;
        dprintf(1, "limit %zu KiB: %zu KiB in blocks\n", (size_t)limit.rlim_cur / 1024,
                held / 1024);
        /* What was mapped before, a first region, is not locked. */
        size_t most = (size_t)limit.rlim_cur + 10 * MIB;
        CHECK_WITH(held >= MIB && held <= most, "%zu KiB", held / 1024);
        free_chain(chain);
    }
}

/* ---- HAKMEM_LIMIT --------------------------------------------------------------------------- */

static void limit(void) {
    size_t before = status_bytes("VmRSS");
    for (int round = 0; round < 10; round++) {
        struct link *chain = NULL;
        size_t held = 0;
        uint32_t random = (uint32_t)round;
        for (;;) {
            random = random * 1664525 + 1013904223;
            size_t size = sizeof(struct link) + (random >> 8) % (round < 5 ? 1000 : 3 * MIB);
            if (!add(&chain, size)) break;
            held += size;
        }
        size_t full = status_bytes("VmRSS") - before;
        dprintf(1, "64 MiB allowed: %zu MiB in blocks, %zu MiB resident\n", held / MIB, full / MIB);
        CHECK_WITH(held >= 40 * MIB && held <= 64 * MIB, "%zu MiB", held / MIB);
        CHECK_WITH(full <= 68 * MIB, "%zu MiB", full / MIB);
        free_chain(chain);
    }
}

/* ---- Huge pages ----------------------------------------------------------------------------- */

static void no_thp(void) {
    if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) {
        dprintf(1, "SKIP PR_SET_THP_DISABLE: %s\n", strerror(errno));
        return;
    }
    struct link *chain = NULL;
    size_t before = status_bytes("VmRSS");
    mixed(&chain, 100 * MIB);
    size_t full = status_bytes("VmRSS");
    free_chain(chain);
    size_t after = status_bytes("VmRSS");
    dprintf(1, "without huge pages: %zu MiB for 100 MiB of blocks, %zu when they are free\n",
            (full - before) / MIB, (after - before) / MIB);
    CHECK_WITH(full <= before + 140 * MIB, "%zu MiB", full / MIB);
    CHECK_WITH(after <= before + 60 * MIB, "%zu MiB", after / MIB);
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*run)(void);
    } scenarios[] = {{"address_space", address_space},
                     {"mappings", mappings_run_out},
                     {"locked", locked},
                     {"locked_limit", locked_limit},
                     {"limit", limit},
                     {"no_thp", no_thp}};
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (count != 2 || strcmp(arguments[1], scenarios[i].name) != 0) continue;
        /* Options are read at the start: once more, with this one. */
        if (scenarios[i].run == limit && getenv("HAKMEM_LIMIT") == NULL) {
            setenv("HAKMEM_LIMIT", "64M", 1);
            execv("/proc/self/exe", arguments);
        }
        check_group(scenarios[i].name, scenarios[i].run);
        return check_exit_code();
    }
    return 2;
}
