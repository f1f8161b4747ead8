#include "hakmem/guarded.h"

#include <errno.h>
#include <string.h>

#include "hakmem/base/misuse.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/guard/places.h"
#include "hakmem/guard/quarantine.h"
#include "hakmem/guard/trailer.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/raw.h"
#include "hakmem/tls_front/tls_front.h"

#define ADVICE_OVERFLOW "more was written than was asked for; run with a sanitizer"
#define ADVICE_SIZE "pass the size that the block was asked for with"

static bool in_debug(void) { return load_relaxed(&hak_guard) == GUARD_DEBUG; }
/* Until the options are read blocks get trailers, and nothing else: in the default mode nobody will
 * look at them again. */
static bool accuses(void) { return load_relaxed(&hak_guard) > GUARD_OFF; }

/* Where the call came from, in the function that the program's call led to; the compiler must not
 * find it a function of its own. */
#define FIND_PLACES(name)                                                                       \
    struct places name##_here;                                                                  \
    const struct places *name = NULL;                                                           \
    if (in_debug()) {                                                                           \
        hak_places_find(&name##_here, __builtin_return_address(0), __builtin_frame_address(0)); \
        name = &name##_here;                                                                    \
    }

void hak_guarded_start(void) {
    uint64_t mode = hak_options.mode;
    uint32_t guard = mode == MODE_DEBUG ? GUARD_DEBUG : mode == MODE_SAFE ? GUARD_SAFE : GUARD_OFF;
    store_release(&hak_guard, guard);
    hak_front_hide(hak_lists_stay_hidden());
}

bool hak_lists_stay_hidden(void) {
    return load_acquire(&hak_guard) != GUARD_OFF || hak_options.mode == MODE_SIGNALS;
}

/* ---- Finding -------------------------------------------------------------------------------- */

static bool has_guard_page(size_t raw_bytes, bool large) { return large && raw_bytes > MEDIUM_MAX; }

/* Bytes of the block to its trailer's end: all, or up to the page that nobody may touch. */
static size_t end_of(size_t raw_bytes, bool large) {
    size_t page = hak_os_page_bytes();
    if (!has_guard_page(raw_bytes, large)) return raw_bytes & ~(size_t)(BLOCK_MIN - 1);
    return (raw_bytes & ~(page - 1)) - page;
}

static bool protect_end(void *block, size_t raw_bytes, bool large, bool closed) {
    if (!has_guard_page(raw_bytes, large)) return true;
    return hak_os_protect((char *)block + end_of(raw_bytes, large), hak_os_page_bytes(), closed);
}

/* Says what happened at an address inside of the block. A large block is known by its start. */
static HAK_COLD void report_at(enum hak_error_kind kind, const char *what,
                               const struct guarded_block *g, const char *at, const char *advice) {
    bool large = word_is_large(registry_word(g->start));
    hak_misuse(kind, what, large ? g->start : at, large ? g->bytes : 0, advice);
}

/* A live block that the program names. False: it is none, as was reported. */
static bool find(void *block, const struct verb *verb, struct guarded_block *out) {
    uint32_t word = hak_raw_word(block, verb);
    if (word == 0) return false;
    size_t raw = hak_raw_bytes(block, word, verb);
    if (raw == 0) return false;
    size_t end = end_of(raw, word_is_large(word));
    enum trailer_state state = hak_trailer_read(block, end, out);
    if (HAK_LIKELY(state == TRAILER_LIVE)) return true;
    if (state == TRAILER_WAITING) {
        hak_raw_report_freed(block, verb, raw);
    } else {
        report_at(HAK_ERROR_OVERFLOW, "heap overflow", out, out->start + end - BLOCK_MIN,
                  ADVICE_OVERFLOW);
    }
    return false;
}

/* Nothing was written behind what was asked for; or says so. */
static bool is_whole(const struct guarded_block *g) {
    if (!accuses()) return true;
    const char *at = hak_trailer_overflow(g);
    if (HAK_LIKELY(at == NULL)) return true;
    report_at(HAK_ERROR_OVERFLOW, "heap overflow", g, at, ADVICE_OVERFLOW);
    return false;
}

static bool kind_fits(const struct guarded_block *g, enum block_kind kind, const char *what) {
    static const char *const ADVICE[] = {
        [KIND_MALLOC] = "malloc gave the block out: free takes it back",
        [KIND_NEW] = "operator new gave the block out: operator delete takes it back",
        [KIND_NEW_ARRAY] = "operator new[] gave the block out: operator delete[] takes it back",
    };
    if (HAK_LIKELY(g->kind == kind) || !accuses()) return true;
    hak_misuse(HAK_ERROR_MISMATCHED_FREE, what, g->start, g->bytes, ADVICE[g->kind]);
    return false;
}

/* ---- Allocating ----------------------------------------------------------------------------- */

/* Bytes to ask for. */
static size_t with_trailer(size_t size, size_t align) {
    size_t wanted = align_up(size + hak_trailer_bytes(in_debug()), BLOCK_MIN);
    /* A large block, or what may become one when the call is served aside, has its page. */
    bool page = wanted > MEDIUM_MAX / 2 || align > hak_os_page_bytes();
    return page ? align_up(wanted, hak_os_page_bytes()) + hak_os_page_bytes() : wanted;
}

static void *make(size_t align, size_t size, bool zeroed, enum block_kind kind,
                  const struct places *places) {
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    bool zero = zeroed;
    char *block = hak_raw_alloc(with_trailer(size, align), align, &zero);
    if (block == NULL) return NULL;
    uint32_t word = registry_word(block);
    bool large = word_is_large(word);
    size_t raw =
        large ? hak_large_usable(block, word) : hak_size_class[word_class(word)].block_bytes;
    if (large) hak_large_tell(block, word);
    /* Where the kernel has no mapping left for it, the page stays open. */
    if (accuses()) protect_end(block, raw, large, true);
    if (zeroed && !zero) memset(block, 0, size);
    if (!zeroed && in_debug()) {
        memset(block, GUARD_FRESH, size < GUARD_FRESH_BYTES ? size : GUARD_FRESH_BYTES);
    }
    hak_trailer_write(block, end_of(raw, large), size, kind, places);
    return block;
}

void *hak_guarded_alloc(size_t align, size_t size) {
    FIND_PLACES(places)
    return make(align, size, false, KIND_MALLOC, places);
}

void *hak_guarded_calloc(size_t size) {
    FIND_PLACES(places)
    return make(BLOCK_MIN, size, true, KIND_MALLOC, places);
}

void *hak_guarded_tag(void *block, enum block_kind kind) {
    FIND_PLACES(places)
    struct guarded_block g;
    if (block == NULL || !find(block, &hak_verb_free, &g)) return block;
    hak_trailer_write(block, g.bytes, g.asked, kind, g.allocated == NULL ? NULL : places);
    return block;
}

/* ---- Freeing -------------------------------------------------------------------------------- */

static void give_back(void *block) {
    uint32_t word = registry_word(block);
    bool large = word_is_large(word);
    size_t raw = large ? hak_large_usable(block, word) : 0;
    /* What the kernel will not open again stays out for good. */
    if (protect_end(block, raw, large, false)) hak_raw_free(block, word);
}

/* A block leaves the quarantine. One that was written to stays out for good. */
static void leave(void *block) {
    uint32_t word = registry_word(block);
    bool large = word_is_large(word);
    size_t raw =
        large ? hak_large_usable(block, word) : hak_size_class[word_class(word)].block_bytes;
    struct guarded_block g;
    enum trailer_state state = hak_trailer_read(block, end_of(raw, large), &g);
    const char *at =
        state == TRAILER_WAITING ? hak_trailer_late_write(&g) : g.start + g.bytes - BLOCK_MIN;
    if (HAK_LIKELY(at == NULL)) {
        give_back(block);
    } else {
        report_at(HAK_ERROR_CORRUPTED_BLOCK, "corrupted free block", &g, at, ADVICE_CORRUPTED);
    }
}

/* The quarantine shrinks to `keep` bytes. True when something left it. */
static bool shrink_to(size_t keep) {
    void *out[QUARANTINE_BATCH];
    for (bool any = false;; any = true) {
        if (!front_enter()) return any;
        unsigned taken = hak_quarantine_take(out, keep);
        front_leave();
        if (taken == 0) return any;
        for (unsigned i = 0; i < taken; i++) leave(out[i]);
    }
}

bool hak_guarded_flush(void) { return shrink_to(0); }
size_t hak_guarded_waiting_bytes(void) { return hak_quarantine_bytes(); }

/* The block is right in all respects: it goes. */
static void let_go(const struct guarded_block *g, const struct places *places) {
    size_t bytes = g->bytes;
    /* A mapping that was made aside, for a small block, goes back at once: each is dear. */
    bool aside = bytes <= MEDIUM_MAX && word_is_large(registry_word(g->start));
    bool waits = accuses() && !aside && hak_quarantine_takes(bytes);
    if (!hak_trailer_free(g, waits)) {
        hak_raw_report_freed(g->start, &hak_verb_free, bytes);
        return;
    }
    if (g->freed != NULL && places != NULL) *g->freed = *places;
    /* A call that comes in inside a slow path, or after its thread's end, takes no lock. */
    if (waits && front_enter()) {
        void *out[QUARANTINE_BATCH];
        unsigned taken;
        waits = hak_quarantine_add(g->start, bytes, out, hak_quarantine_bound(), &taken);
        front_leave();
        for (unsigned i = 0; i < taken; i++) leave(out[i]);
        if (taken == QUARANTINE_BATCH) shrink_to(hak_quarantine_bound());
        if (waits) return;
    }
    give_back(g->start);
}

static const char *const MISMATCHED[] = {
    [KIND_MALLOC] = "mismatched free",
    [KIND_NEW] = "mismatched operator delete",
    [KIND_NEW_ARRAY] = "mismatched operator delete[]",
};

void hak_guarded_free(void *block, enum block_kind kind) {
    FIND_PLACES(places)
    struct guarded_block g;
    if (block == NULL || !find(block, &hak_verb_free, &g)) return;
    if (kind_fits(&g, kind, MISMATCHED[kind]) && is_whole(&g)) let_go(&g, places);
}

void hak_guarded_free_sized(void *block, size_t size, enum block_kind kind,
                            const char *wrong_size) {
    FIND_PLACES(places)
    struct guarded_block g;
    if (block == NULL || !find(block, &hak_verb_free, &g)) return;
    if (size != g.asked && accuses()) {
        hak_misuse(HAK_ERROR_WRONG_SIZE, wrong_size, block, g.bytes, ADVICE_SIZE);
        return;
    }
    if (kind_fits(&g, kind, MISMATCHED[kind]) && is_whole(&g)) let_go(&g, places);
}

size_t hak_guarded_usable(const void *block) {
    struct guarded_block g;
    bool found = find((void *)(uintptr_t)block, &hak_verb_usable_size, &g);
    return found ? g.asked : 0;
}

/* ---- Resizing ------------------------------------------------------------------------------- */

/* A block stays where its class would be about the same. */
static bool stays(const struct guarded_block *g, size_t size) {
    size_t needed = size + hak_trailer_bytes(in_debug());
    return needed <= g->bytes && g->bytes - needed <= g->bytes / 8 + 64;
}

void *hak_guarded_realloc(void *block, size_t size) {
    FIND_PLACES(places)
    if (block == NULL) return make(BLOCK_MIN, size, false, KIND_MALLOC, places);
    struct guarded_block g;
    if (!find(block, &hak_verb_realloc, &g) || !kind_fits(&g, KIND_MALLOC, "mismatched realloc") ||
        !is_whole(&g)) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        let_go(&g, places);
        return NULL;
    }
    if (size <= PTRDIFF_MAX && stays(&g, size)) {
        hak_trailer_write(block, g.bytes, size, g.kind, places);
        return block;
    }
    void *moved = make(BLOCK_MIN, size, false, g.kind, places);
    if (moved == NULL) {
        if (size > g.asked) return NULL;
        /* A block that only had to shrink still serves. */
        hak_trailer_write(block, g.bytes, size, g.kind, g.allocated == NULL ? NULL : places);
        return block;
    }
    memcpy(moved, block, size < g.asked ? size : g.asked);
    let_go(&g, places);
    return moved;
}

/* ---- Telling -------------------------------------------------------------------------------- */

void hak_guarded_describe(struct hak_error *error) {
    if (!in_debug() || error->block == NULL || error->block_bytes == 0) return;
    struct guarded_block g;
    void *block = (void *)(uintptr_t)error->block;
    size_t bytes = error->size_class >= 0 ? error->block_bytes : 0;
    uint32_t word = registry_word(block);
    if (word_is_large(word)) bytes = end_of(hak_large_usable(block, word), true);
    if (bytes < hak_trailer_bytes(true)) return;
    if (hak_trailer_read(block, bytes, &g) == TRAILER_DAMAGED || g.allocated == NULL) return;
    memcpy(error->allocated_at, g.allocated->at, sizeof(error->allocated_at));
    memcpy(error->freed_at, g.freed->at, sizeof(error->freed_at));
}
