#include "hakmem/large/large.h"

#include "hakmem/base/clock.h"
#include "hakmem/base/misuse.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/base/watch.h"
#include "hakmem/config/config.h"
#include "hakmem/large/cache.h"
#include "hakmem/large/freed.h"
#include "hakmem/large/record.h"
#include "hakmem/large/sizes.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

static size_t in_pages(size_t bytes) {
    return align_up(bytes == 0 ? 1 : bytes, hak_os_page_bytes());
}

/* What the program may write to in this life. */
static void set_asked(struct large *r, size_t bytes) {
    store_relaxed(&r->asked, bytes);
    if (bytes > load_relaxed(&r->dirty)) store_relaxed(&r->dirty, bytes);
}

void *hak_large_take(size_t bytes) {
    if (bytes > LARGE_CACHED_MAX) return NULL;
    struct large *r = hak_large_cache_take_kept(bytes, SLAB_BYTES);
    if (r == NULL) return NULL;
    set_asked(r, bytes);
    return load_relaxed(&r->base);
}

/* Relaxed: it orders nothing. */
static uint64_t next_origin(void) {
    static uint64_t last;
    return fetch_add_relaxed(&last, (uint64_t)1) + 1;
}

/* A fresh mapping. NULL: out of memory. */
static char *map_block(size_t bytes, size_t align, size_t asked) {
    struct large *r = hak_large_record_take();
    if (r == NULL) return NULL;
    char *base = hak_os_map(bytes, align);
    if (base == NULL) {
        hak_large_record_free(r);
        return NULL;
    }
    store_relaxed(&r->base, base);
    large_set_bytes(r, bytes);
    r->dirty = 0;
    set_asked(r, asked);
    r->origin = next_origin();
    r->huge = false;
    r->eager = false;
    if (!hak_registry_reserve(base, 1)) {
        hak_large_cache_drop(r);
        return NULL;
    }
    large_begin(r, LARGE_LIVE);
    hak_registry_set(base, 1, WORD_LARGE | r->id);
    return base;
}

/* Moves the pages to a new mapping. NULL: not possible, nothing changed. */
static char *move_block(struct large *r, size_t old, size_t bytes) {
    char *block = load_relaxed(&r->base);
    uint32_t word = WORD_LARGE | r->id;
    char *base = hak_os_map(bytes, bytes >= LARGE_ALIGNED_FROM ? SUPERSLAB_BYTES : SLAB_BYTES);
    if (base == NULL) return NULL;
    if (!hak_registry_reserve(base, 1)) {
        hak_os_discard(base, bytes);
        return NULL;
    }
    /* The old word goes first: once the pages have moved, the range may be anyone's. */
    hak_registry_set(block, 1, 0);
    if (!hak_os_move(block, old, base, bytes)) {
        hak_registry_set(block, 1, word);
        return NULL;
    }
    large_note_freed(block);
    store_relaxed(&r->base, base);
    r->origin = next_origin();
    hak_registry_set(base, 1, word);
    return base;
}

/* Of a live mapping, which leaves the cache and begins another life then. Both places count while
 * the pages move: the caller gives meanwhile (base/reclaim.h). NULL: as above. */
static char *resize_mapping(struct large *r, size_t bytes) {
    char *base = load_relaxed(&r->base);
    size_t old = load_relaxed(&r->bytes);
    hak_large_cache_leave(r);
    if (!hak_os_resize(base, old, bytes)) base = move_block(r, old, bytes);
    if (base == NULL) return NULL;
    large_set_bytes(r, bytes);
    if (r->dirty > bytes) r->dirty = bytes;
    large_begin(r, LARGE_LIVE);
    return base;
}

static bool is_of_size(const struct large *r, size_t bytes) {
    struct large_wanted w = large_wanted_of(bytes, 1);
    return large_fits(r, &w);
}

/* Its pages serve a block of another size: to move them costs less than to fault them in. NULL: not
 * possible, and the mapping is free again. */
static struct large *resized(struct large *r, size_t bytes) {
    /* Not to be waited for: whoever reclaims may be this thread. */
    bool gives = hak_giving_begin();
    bool done = gives && resize_mapping(r, bytes) != NULL;
    if (gives) hak_giving_end();
    if (done) return r;
    hak_large_cache_leave(r);
    large_set(r, LARGE_NONE);
    hak_large_cache_put(r);
    return NULL;
}

void *hak_large_alloc(size_t bytes, size_t align, bool aside, bool *zero) {
    bool wants_zero = *zero;
    *zero = false;
    if (bytes > PTRDIFF_MAX || align > PTRDIFF_MAX) return NULL;
    if (align < SLAB_BYTES) align = SLAB_BYTES;
    size_t rounded = large_round(bytes), asked = in_pages(bytes);
    if (!aside) {
        bool purged = false;
        struct large *r = hak_large_cache_take_kept(bytes, align);
        if (r == NULL) {
            bool near = !wants_zero && align == SLAB_BYTES;
            r = hak_large_cache_take(bytes, align, near, &purged);
            if (r != NULL && !is_of_size(r, bytes)) r = resized(r, rounded);
        }
        if (r != NULL) {
            if (purged && wants_zero) hak_large_cache_clear_ends(r);
            *zero = purged && wants_zero;
            set_asked(r, asked);
            return load_relaxed(&r->base);
        }
    }
    *zero = true;
    if (!aside) hak_large_cache_missed();
    char *base = map_block(rounded, align, asked);
    /* Where address space is short, without the rounding. */
    return base == NULL && asked != rounded ? map_block(asked, align, asked) : base;
}

/* The record of the mapping that starts at `block`, live or not; NULL: none does. */
static struct large *record_at(const void *block, uint32_t word) {
    struct large *r = large_record(word_large_id(word));
    return r == NULL || load_relaxed(&r->base) != block ? NULL : r;
}

void hak_large_blur(const void *block, uint32_t word, bool blurred) {
    struct large *r = record_at(block, word);
    if (r != NULL) hak_watch_blur(&r->base, sizeof(r->base), blurred);
    if (load_relaxed(large_freed_entry(block)) == block) {
        store_relaxed(large_freed_entry(block), NULL);
    }
}

static struct large *live_record(const void *block, uint32_t word) {
    struct large *r = record_at(block, word);
    if (r == NULL) return NULL;
    enum large_kind kind = large_kind(load_acquire(&r->state));
    return kind == LARGE_LIVE || kind == LARGE_LIVE_KEPT ? r : NULL;
}

bool hak_large_give(void *block, uint32_t word) {
    struct large *r = record_at(block, word);
    /* Now and then a free goes the long way, which looks at the clock. */
    if (r == NULL || ++r->frees % LARGE_TICK_FREES == 0) return false;
    return hak_large_cache_keep(r, false);
}

void hak_large_free(void *block, uint32_t word, bool aside) {
    struct large *r = record_at(block, word);
    if (HAK_UNLIKELY(r == NULL)) {
        hak_misuse(HAK_ERROR_INVALID_FREE, "invalid free", block, 0,
                   "the address lies inside a large block; free what malloc returned");
        return;
    }
    if (hak_large_cache_keep(r, aside)) {
        if (!aside) hak_large_cache_tick(clock_ms());
        return;
    }
    if (!aside) hak_large_cache_leave(r); /* perhaps to find room again, under the lock */
    /* Its room may have gone a moment ago. One of two that free at once loses here. */
    if (HAK_UNLIKELY(!large_change(r, LARGE_LIVE, LARGE_NONE))) {
        hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", block, load_relaxed(&r->bytes),
                   ADVICE_DOUBLE_FREE);
        return;
    }
    if (aside) {
        hak_large_cache_drop(r);
    } else {
        hak_large_cache_put(r);
    }
}

const void *hak_large_freed[LARGE_FREED_ENTRIES];

bool hak_large_was_freed(const void *block) {
    if (load_relaxed(large_freed_entry(block)) == block) return true;
    uint32_t word = registry_word(block);
    return word_is_large(word) && record_at(block, word) != NULL &&
           live_record(block, word) == NULL;
}

size_t hak_large_usable(const void *block, uint32_t word) {
    struct large *r = live_record(block, word);
    return r == NULL ? 0 : load_relaxed(&r->bytes);
}

void hak_large_tell(const void *block, uint32_t word) {
    struct large *r = live_record(block, word);
    if (r != NULL) set_asked(r, load_relaxed(&r->bytes));
}

void *hak_large_resize(void *block, uint32_t word, size_t bytes) {
    struct large *r = live_record(block, word);
    if (r == NULL || bytes > PTRDIFF_MAX) return NULL;
    size_t old = load_relaxed(&r->bytes);
    size_t rounded = large_round(bytes);
    if (rounded == old) return block;
    hak_giving_wait();
    char *base = resize_mapping(r, rounded);
    hak_giving_end();
    if (base == NULL) return NULL;
    set_asked(r, bytes);
    if (rounded > old && rounded >= LARGE_HUGE_FROM && !r->huge) {
        r->huge = true;
        hak_os_ask_huge(base, rounded);
    }
    return base;
}

size_t hak_large_trim(size_t keep) { return hak_large_cache_trim(keep); }

size_t hak_large_mapped_bytes(void) {
    uint64_t bytes_of[LARGE_KIND_MASK + 1], bytes = 0;
    hak_large_record_sums(bytes_of);
    for (unsigned i = 0; i <= LARGE_KIND_MASK; i++) bytes += bytes_of[i];
    return bytes;
}

bool hak_large_agrees(void) { return hak_large_cache_agrees(); }

void hak_large_tick(uint64_t now) {
    if (hak_large_cache_waits()) hak_large_cache_tick(now);
}

void hak_large_stats(struct large_stats *out) {
    uint64_t bytes_of[LARGE_KIND_MASK + 1];
    hak_large_record_sums(bytes_of);
    out->live_bytes = bytes_of[LARGE_LIVE] + bytes_of[LARGE_LIVE_KEPT];
    out->cached_bytes = bytes_of[LARGE_KEPT] + bytes_of[LARGE_PARKED];
    out->kept_bytes = bytes_of[LARGE_KEPT];
}

void hak_large_lock(void) { hak_large_cache_lock(); }
void hak_large_unlock(void) { hak_large_cache_unlock(); }

void hak_large_fork_child(void) {
    struct large *r = large_record(1);
    for (uint32_t id = 1; r != NULL; r = large_record(++id)) {
        bool moved = large_kind(load_relaxed(&r->state)) == LARGE_NONE;
        /* Those that move are in no list, and no word of the program's names them. */
        if (moved && load_relaxed(&r->base) != NULL) hak_large_cache_drop(r);
    }
    /* Another thread may have been between a mapping's bytes and their sum. */
    store_relaxed(&hak_large_mapped, (uint64_t)hak_large_mapped_bytes());
}
