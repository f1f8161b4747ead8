#include "hakmem/large/large.h"

#include "hakmem/base/atomic.h"
#include "hakmem/base/clock.h"
#include "hakmem/base/lock.h"
#include "hakmem/base/misuse.h"
#include "hakmem/config/config.h"
#include "hakmem/large/freed.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

/* A record; its number is the owner field of the registry word. */
struct large {
    char *base;
    size_t bytes;  /* mapped, a multiple of the page size: all usable */
    uint32_t live; /* 1 while the program holds the block; the one who sets it to 0 frees it */
    uint32_t next; /* in the stack of free records */
};

#define RECORDS_PER_CHUNK 1024u
#define RECORD_CHUNKS ((1u << 24) / RECORDS_PER_CHUNK)

/* Records are made by number and never go away; free ones form a stack. */
static struct large *chunks[RECORD_CHUNKS];
static uint32_t records = 1;  /* numbers given out; 0 is none */
static uint64_t free_records; /* count of pops << 32 | number on top: the count defeats ABA */
static uint64_t live_bytes;

static struct {
    struct lock lock; /* guards everything here */
    uint32_t count;
    uint64_t bytes;
    struct cached {
        char *base;
        size_t bytes;
        uint64_t since_ms;
    } entries[LARGE_CACHE_ENTRIES]; /* oldest first */
} cache;

static struct large *record(uint32_t id) {
    /* Acquire pairs with the publication in take_record. */
    struct large *chunk = load_acquire(&chunks[id / RECORDS_PER_CHUNK]);
    return chunk == NULL ? NULL : &chunk[id % RECORDS_PER_CHUNK];
}

static uint32_t take_record(void) {
    uint64_t top = load_acquire(&free_records);
    while ((uint32_t)top != 0) {
        uint64_t next = ((top >> 32) + 1) << 32 | load_relaxed(&record((uint32_t)top)->next);
        if (cas_acq_rel(&free_records, &top, next)) return (uint32_t)top;
    }
    uint32_t id = fetch_add_relaxed(&records, 1u);
    if (id / RECORDS_PER_CHUNK >= RECORD_CHUNKS) return 0;
    struct large **slot = &chunks[id / RECORDS_PER_CHUNK];
    if (load_acquire(slot) == NULL) {
        struct large *chunk = hak_os_meta_alloc(RECORDS_PER_CHUNK * sizeof(struct large));
        if (chunk == NULL) {
            /* The number is given back if nobody took the next one meanwhile; else it is lost,
             * which costs a number, no memory. */
            uint32_t after = id + 1;
            cas_acq_rel(&records, &after, id);
            return 0;
        }
        struct large *none = NULL;
        cas_acq_rel(slot, &none, chunk);
    }
    return id;
}

static void free_record(uint32_t id) {
    uint64_t top = load_acquire(&free_records);
    do {
        store_relaxed(&record(id)->next, (uint32_t)top);
    } while (!cas_acq_rel(&free_records, &top, (top >> 32) << 32 | id));
}

/* ---- Cache ---------------------------------------------------------------------------------- */

static struct cached cache_remove(uint32_t i) {
    struct cached entry = cache.entries[i];
    store_relaxed(&cache.count, cache.count - 1); /* read without the lock too */
    cache.bytes -= entry.bytes;
    for (; i < cache.count; i++) cache.entries[i] = cache.entries[i + 1];
    return entry;
}

/* The smallest cached mapping that fits without more than an eighth of waste. */
static char *cache_take(size_t *bytes, size_t align) {
    uint32_t best = UINT32_MAX;
    if (load_relaxed(&cache.count) == 0) return NULL;
    lock_acquire(&cache.lock);
    for (uint32_t i = 0; i < cache.count; i++) {
        struct cached *e = &cache.entries[i];
        if (e->bytes < *bytes || e->bytes > *bytes + *bytes / 8) continue;
        if (((uintptr_t)e->base & (align - 1)) != 0) continue;
        if (best == UINT32_MAX || e->bytes <= cache.entries[best].bytes) best = i;
    }
    char *base = NULL;
    if (best != UINT32_MAX) {
        struct cached entry = cache_remove(best);
        base = entry.base;
        *bytes = entry.bytes;
    }
    lock_release(&cache.lock);
    return base;
}

/* Unmaps the oldest entries down to `keep` bytes, and those that are too old. The lock is given up
 * around the unmapping, which may take long. */
static size_t cache_shrink(size_t keep, uint64_t now) {
    size_t freed = 0;
    for (;;) {
        lock_acquire(&cache.lock);
        bool over =
            cache.count != 0 &&
            (cache.bytes > keep || (int64_t)(now - cache.entries[0].since_ms) > LARGE_CACHE_MS);
        struct cached entry = {NULL, 0, 0};
        if (over) entry = cache_remove(0);
        lock_release(&cache.lock);
        if (!over) return freed;
        hak_os_discard(entry.base, entry.bytes);
        freed += entry.bytes;
    }
}

static bool cache_put(char *base, size_t bytes) {
    if (bytes > LARGE_CACHE_BYTES / 2) return false;
    uint64_t now = clock_ms();
    cache_shrink(LARGE_CACHE_BYTES - bytes, now);
    lock_acquire(&cache.lock);
    bool kept = cache.count < LARGE_CACHE_ENTRIES;
    if (kept) {
        cache.entries[cache.count] = (struct cached){base, bytes, now};
        store_relaxed(&cache.count, cache.count + 1);
        cache.bytes += bytes;
    }
    lock_release(&cache.lock);
    return kept;
}

/* ---- Blocks --------------------------------------------------------------------------------- */

void *hak_large_alloc(size_t bytes, size_t align, bool aside, bool *zero) {
    if (bytes > PTRDIFF_MAX || align > PTRDIFF_MAX) return NULL;
    size_t mapped = align_up(bytes == 0 ? 1 : bytes, hak_os_page_bytes());
    if (align < SLAB_BYTES) align = SLAB_BYTES;
    uint32_t id = take_record();
    if (id == 0) return NULL;
    *zero = false;
    char *base = aside ? NULL : cache_take(&mapped, align);
    if (base == NULL) {
        base = hak_os_map(mapped, align);
        *zero = true;
        if (base == NULL || !hak_registry_reserve(base, 1)) {
            if (base != NULL) hak_os_discard(base, mapped);
            free_record(id);
            return NULL;
        }
    }
    struct large *r = record(id);
    store_relaxed(&r->base, base);
    store_relaxed(&r->bytes, mapped);
    store_release(&r->live, 1u);
    hak_registry_set(base, 1, WORD_LARGE | id);
    fetch_add_relaxed(&live_bytes, mapped);
    return base;
}

/* The live record of `block`, or NULL when `block` is not the start of a live block. */
static struct large *live_record(const void *block, uint32_t word) {
    struct large *r = record(word_large_id(word));
    if (r == NULL || load_relaxed(&r->base) != block || load_acquire(&r->live) != 1) return NULL;
    return r;
}

void hak_large_free(void *block, uint32_t word, bool aside) {
    struct large *r = live_record(block, word);
    if (HAK_UNLIKELY(r == NULL)) {
        hak_misuse(HAK_ERROR_INVALID_FREE, "invalid free", block, 0,
                   "the address lies inside a large block; free what malloc returned");
        return;
    }
    size_t bytes = load_relaxed(&r->bytes);
    /* One of two that free at once loses here. */
    if (HAK_UNLIKELY(exchange_acq_rel(&r->live, 0u) != 1)) {
        hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", block, bytes, ADVICE_DOUBLE_FREE);
        return;
    }
    large_note_freed(block);
    fetch_sub_relaxed(&live_bytes, bytes);
    /* The word goes before the range does: whoever maps it next sets it anew. */
    hak_registry_set(block, 1, 0);
    store_relaxed(&r->base, NULL);
    free_record(word_large_id(word));
    if (aside || !cache_put(block, bytes)) hak_os_discard(block, bytes);
}

const void *hak_large_freed[LARGE_FREED_ENTRIES];

bool hak_large_was_freed(const void *block) {
    return load_relaxed(large_freed_entry(block)) == block;
}

size_t hak_large_usable(const void *block, uint32_t word) {
    struct large *r = live_record(block, word);
    return r == NULL ? 0 : load_relaxed(&r->bytes);
}

void *hak_large_resize(void *block, uint32_t word, size_t bytes) {
    struct large *r = live_record(block, word);
    if (r == NULL || bytes > PTRDIFF_MAX) return NULL;
    size_t old = load_relaxed(&r->bytes);
    size_t mapped = align_up(bytes, hak_os_page_bytes());
    char *base = block;
    if (mapped != old && !hak_os_resize(block, old, mapped)) {
        base = hak_os_map(mapped, SLAB_BYTES);
        if (base == NULL) return NULL;
        bool reserved = hak_registry_reserve(base, 1);
        /* The old word goes first: once the pages have moved, the range may be anyone's. */
        hak_registry_set(block, 1, 0);
        if (!reserved || !hak_os_move(block, old, base, mapped)) {
            hak_registry_set(block, 1, word);
            hak_os_discard(base, mapped);
            return NULL;
        }
        large_note_freed(block);
        store_relaxed(&r->base, base);
        hak_registry_set(base, 1, word);
    }
    store_relaxed(&r->bytes, mapped);
    fetch_add_relaxed(&live_bytes, mapped - old);
    return base;
}

void hak_large_tick(uint64_t now) { cache_shrink(LARGE_CACHE_BYTES, now); }

size_t hak_large_trim(size_t keep) { return cache_shrink(keep, clock_ms()); }

void hak_large_stats(struct large_stats *out) {
    lock_acquire(&cache.lock);
    out->cached_bytes = cache.bytes;
    lock_release(&cache.lock);
    out->live_bytes = load_relaxed(&live_bytes);
}

void hak_large_lock(void) { lock_acquire(&cache.lock); }
void hak_large_unlock(void) { lock_release(&cache.lock); }
