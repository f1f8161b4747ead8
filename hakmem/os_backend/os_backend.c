#define _GNU_SOURCE /* mremap */
#include "hakmem/os_backend/os_backend.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/base/atomic.h"
#include "hakmem/base/watch.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/discard.h"
#include "hakmem/os_backend/pages.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define OS_RANDOM_PLACES 0
#elif defined(__has_feature)
#define OS_RANDOM_PLACES (!__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer))
#else
#define OS_RANDOM_PLACES 1
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static os_fault_fn fault_hook;
static uint64_t purged_bytes;
static size_t page_bytes; /* 0: not asked yet */

void hak_os_set_fault(os_fault_fn fault) { store_release(&fault_hook, fault); }

bool hak_os_refused(enum os_call call) {
    os_fault_fn fault = load_acquire(&fault_hook);
    return HAK_UNLIKELY(fault != NULL) && fault(call);
}

size_t hak_os_page_bytes(void) {
    size_t bytes = load_relaxed(&page_bytes);
    if (bytes == 0) {
        long answer = sysconf(_SC_PAGESIZE);
        bytes = answer > 0 ? (size_t)answer : 4 * KiB;
        store_relaxed(&page_bytes, bytes);
    }
    return bytes;
}

void hak_os_set_page_bytes(size_t bytes) { store_relaxed(&page_bytes, bytes); }

static void *map_pages(size_t bytes, int protection) {
    int saved = errno;
    void *base = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    return base == MAP_FAILED ? NULL : base;
}

bool hak_os_unmap_pages(void *base, size_t bytes) {
    watch_forget(base, bytes);
    int saved = errno;
    bool ok = munmap(base, bytes) == 0;
    errno = saved;
    return ok;
}

/* A range that may lie anywhere is widened until a part of it lies right; the rest goes back. */
static void *map_aligned(size_t bytes, size_t align) {
    char *base = map_pages(bytes, PROT_READ | PROT_WRITE);
    if (base == NULL || ((uintptr_t)base & (align - 1)) == 0) return base;
    hak_os_discard_untouched(base, bytes);
    if (bytes > SIZE_MAX - align) return NULL;
    size_t wide = bytes + align;
    base = map_pages(wide, PROT_READ | PROT_WRITE);
    if (base == NULL) return NULL;
    char *aligned = (char *)align_up((uintptr_t)base, align);
    size_t before = (size_t)(aligned - base), after = wide - before - bytes;
    hak_os_discard_untouched(base, before);
    hak_os_discard_untouched(aligned + bytes, after);
    return aligned;
}

static void *map_or_take(size_t bytes, size_t align) {
    void *base = map_aligned(bytes, align);
    if (HAK_LIKELY(base != NULL)) return base;
    base = hak_os_retry_discarded(true) ? map_aligned(bytes, align) : NULL;
    return base != NULL ? base : hak_os_take_discarded(bytes, align);
}

static void *map_as_asked(size_t bytes, size_t align) {
    void *base = map_or_take(bytes, align);
    if (HAK_LIKELY(base != NULL)) hak_os_apply_options(base, bytes);
    return base;
}

/* Where the next region is asked for: behind the last one, the first at a random place, also where
 * the kernel does not randomise. Relaxed: a lost update costs a place. */
#define PLACE_LEAST ((uint64_t)1 << 40)
#define PLACE_BITS 46 /* below what any kernel gives; Thread Sanitizer's shadow lies there */
static uint64_t next_place;

static uint64_t random_place(size_t align) {
    uint64_t place = hak_os_random() & (((uint64_t)1 << PLACE_BITS) - 1);
    return (place | PLACE_LEAST) & ~(uint64_t)(align - 1);
}

/* NULL: not at the place, nor anywhere that is aligned by chance. */
static void *map_at_place(size_t bytes, size_t align) {
    if (!OS_RANDOM_PLACES) return NULL;
    uint64_t place = load_relaxed(&next_place);
    if (place == 0) place = random_place(align);
    int saved = errno;
    void *base = mmap((void *)(uintptr_t)place, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    if (base == MAP_FAILED) return NULL;
    if (((uintptr_t)base & (align - 1)) != 0 || (uintptr_t)base + bytes > UINT64_C(1)
                                                                              << ADDRESS_BITS) {
        hak_os_discard_untouched(base, bytes);
        return NULL;
    }
    store_relaxed(&next_place, (uintptr_t)base + bytes);
    hak_os_apply_options(base, bytes);
    return base;
}

void *hak_os_reserve(size_t bytes, size_t align) {
    if (hak_os_refused(OS_MAP)) return NULL;
    void *base = hak_options.hugetlb ? hak_os_map_hugetlb(bytes, align) : NULL;
    if (base == NULL) base = map_at_place(bytes, align);
    if (base == NULL) base = map_as_asked(bytes, align);
    if (HAK_LIKELY(base != NULL)) hak_os_calm_region(base, bytes);
    return base;
}

void *hak_os_map(size_t bytes, size_t align) {
    if (!hak_budget_take(bytes)) return NULL;
    void *base = hak_os_refused(OS_MAP) ? NULL : map_as_asked(bytes, align);
    if (base == NULL) hak_budget_give(bytes);
    return base;
}

bool hak_os_release(void *base, size_t bytes) {
    if (hak_os_refused(OS_UNMAP) || !hak_os_unmap_pages(base, bytes)) return false;
    fetch_add_relaxed(&purged_bytes, bytes);
    hak_os_retry_discarded(false);
    return true;
}

bool hak_os_unmap(void *base, size_t bytes) {
    if (!hak_os_release(base, bytes)) return false;
    hak_budget_give(bytes);
    return true;
}

bool hak_os_purge(void *base, size_t bytes) {
    if (hak_os_refused(OS_PURGE) || !hak_os_can_purge()) return false;
    int saved = errno;
    bool ok = madvise(base, bytes, hak_options.mlock ? MADV_DONTNEED_LOCKED : MADV_DONTNEED) == 0;
    errno = saved;
    if (ok) fetch_add_relaxed(&purged_bytes, bytes);
    return ok;
}

bool hak_os_protect(void *base, size_t bytes, bool closed) {
    int saved = errno;
    bool ok = mprotect(base, bytes, closed ? PROT_NONE : PROT_READ | PROT_WRITE) == 0;
    errno = saved;
    return ok;
}

bool hak_os_populate(void *base, size_t bytes) {
    if (hak_os_refused(OS_POPULATE)) return false;
    int saved = errno;
    bool ok = madvise(base, bytes, MADV_POPULATE_WRITE) == 0;
    errno = saved;
    return ok;
}

bool hak_os_resize(void *base, size_t from_bytes, size_t to_bytes) {
    if (hak_os_refused(OS_REMAP)) return false;
    if (to_bytes > from_bytes && !hak_budget_take(to_bytes - from_bytes)) return false;
    watch_forget(base, from_bytes);
    int saved = errno;
    bool ok = mremap(base, from_bytes, to_bytes, 0) != MAP_FAILED;
    errno = saved;
    if (ok && to_bytes < from_bytes) hak_budget_give(from_bytes - to_bytes);
    if (!ok && to_bytes > from_bytes) hak_budget_give(to_bytes - from_bytes);
    return ok;
}

/* The word at `address` is `word`, whatever is mapped there: only the kernel may look. */
static bool holds(uint32_t *address, uint32_t word) {
    struct timespec none = {0, 0};
    /* Waits, for no time, if the word is as expected; another answer if it is not, or no memory. */
    return syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, word, &none, NULL, 0) == -1 &&
           errno == ETIMEDOUT;
}

/* mremap unmaps its target before it does anything that may fail, but not before everything. What
 * the range held tells whose it is now: nobody else writes the same random word there. */
bool hak_os_move(void *base, size_t from_bytes, void *to, size_t to_bytes) {
    if (hak_os_refused(OS_REMAP)) {
        hak_os_discard_untouched(to, to_bytes);
        hak_budget_give(to_bytes);
        return false;
    }
    int saved = errno;
    uint32_t word = (uint32_t)hak_os_random() | 1;
    *(volatile uint32_t *)to = word;
    watch_forget(base, from_bytes);
    void *moved = mremap(base, from_bytes, to_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    if (moved == MAP_FAILED && holds(to, word)) hak_os_discard_untouched(to, to_bytes);
    errno = saved;
    hak_budget_give(moved == MAP_FAILED ? to_bytes : from_bytes);
    return moved != MAP_FAILED;
}

size_t hak_os_address_space_limit(void) {
    int saved = errno;
    struct rlimit limit;
    bool bounded = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    errno = saved;
    return bounded ? (size_t)limit.rlim_cur : SIZE_MAX;
}

/* ---- Metadata: chunks that are filled from the bottom, never emptied ------------------------ */

#define META_CHUNK_BYTES (512 * KiB)

struct meta_chunk {
    size_t used; /* bytes, this header included; beyond `bytes` when full */
    size_t bytes;
    bool unguarded;
};

static struct meta_chunk *meta_current;
static size_t meta_total;

static struct meta_chunk *meta_chunk_map(size_t bytes) {
    size_t page = hak_os_page_bytes();
    char *base = map_pages(bytes + 2 * page, PROT_NONE);
    if (base == NULL) return NULL;
    int saved = errno;
    bool ok = mprotect(base + page, bytes, PROT_READ | PROT_WRITE) == 0;
    errno = saved;
    if (!ok) {
        hak_os_unmap_pages(base, bytes + 2 * page);
        return NULL;
    }
    struct meta_chunk *chunk = (struct meta_chunk *)(void *)(base + page);
    chunk->bytes = bytes;
    return chunk;
}

/* Guard pages make two mappings more: where there are none left, a chunk goes without. */
static struct meta_chunk *meta_chunk_unguarded(size_t bytes) {
    struct meta_chunk *chunk = map_or_take(bytes, hak_os_page_bytes());
    if (chunk == NULL) return NULL;
    chunk->bytes = bytes;
    chunk->unguarded = true;
    return chunk;
}

/* A chunk with room for `bytes`; smaller than usual where address space is short. */
static struct meta_chunk *meta_chunk_grow(size_t bytes) {
    size_t need = align_up(bytes + 64, hak_os_page_bytes());
    for (size_t size = META_CHUNK_BYTES;; size /= 2) {
        if (size < need) size = need;
        struct meta_chunk *chunk = meta_chunk_map(size);
        if (chunk != NULL) return chunk;
        if (size == need) return meta_chunk_unguarded(need);
    }
}

static void meta_chunk_unmap(struct meta_chunk *chunk) {
    size_t guard = chunk->unguarded ? 0 : hak_os_page_bytes();
    hak_os_unmap_pages((char *)chunk - guard, chunk->bytes + 2 * guard);
}

void *hak_os_meta_alloc(size_t bytes) {
    bytes = align_up(bytes, 64);
    if (hak_os_refused(OS_META)) return NULL;
    for (;;) {
        /* Acquire pairs with the publication below: the chunk's header is seen. */
        struct meta_chunk *chunk = load_acquire(&meta_current);
        if (chunk != NULL) {
            size_t at = fetch_add_relaxed(&chunk->used, bytes);
            if (at + bytes <= chunk->bytes) return (char *)chunk + at;
        }
        struct meta_chunk *next = meta_chunk_grow(bytes);
        if (next == NULL) return NULL;
        next->used = 64 + bytes;
        if (cas_acq_rel(&meta_current, &chunk, next)) {
            fetch_add_relaxed(&meta_total, next->bytes);
            hak_budget_add(next->bytes);
            return (char *)next + 64;
        }
        /* Another thread was first: use its chunk. */
        meta_chunk_unmap(next);
    }
}

size_t hak_os_meta_bytes(void) { return load_relaxed(&meta_total); }
uint64_t hak_os_purged_bytes(void) { return load_relaxed(&purged_bytes); }

uint64_t hak_os_random(void) {
    int saved = errno;
    uint64_t bits = 0;
    /* Not getrandom(): that is a cancellation point. */
    long got = syscall(SYS_getrandom, &bits, sizeof(bits), GRND_NONBLOCK);
    if (got != (long)sizeof(bits)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        bits = ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uintptr_t)&bits) *
               0x9e3779b97f4a7c15u;
    }
    errno = saved;
    return bits != 0 ? bits : 1;
}
