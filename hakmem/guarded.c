#include "hakmem/guarded.h"

#include <errno.h>
#include <string.h>

#include "hakmem/base/watch.h"
#include "hakmem/config/options.h"
#include "hakmem/guarded_steps.h"
#include "hakmem/large/large.h"

#define ADVICE_OVERFLOW "more was written than was asked for; run with a sanitizer"

void hak_guarded_start(void) {
    /* What a tool watches it knows more of; and no block has a trailer so far. */
    uint64_t mode = hak_watch_find() ? MODE_DEFAULT : hak_options.mode;
    uint32_t guard = mode == MODE_DEBUG ? GUARD_DEBUG : mode == MODE_SAFE ? GUARD_SAFE : GUARD_OFF;
    store_release(&hak_guard, guard);
    if (guard != GUARD_OFF) hak_front_randomise();
    hak_front_hide(hak_lists_stay_hidden());
}

bool hak_lists_stay_hidden(void) {
    return load_acquire(&hak_guard) != GUARD_OFF || hak_options.mode == MODE_SIGNALS;
}

/* ---- Finding -------------------------------------------------------------------------------- */

bool hak_guarded_protect(void *block, size_t raw_bytes, bool large, bool closed) {
    if (!large || raw_bytes <= MEDIUM_MAX) return true;
    char *end = (char *)block + guarded_end(raw_bytes, large);
    return hak_os_protect(end, hak_os_page_bytes(), closed);
}

/* A large block is known by its start. */
HAK_COLD void hak_guarded_report_at(enum hak_error_kind kind, const char *what,
                                    const struct guarded_block *g, const char *at,
                                    const char *advice) {
    bool large = word_is_large(registry_word(g->start));
    hak_misuse(kind, what, large ? g->start : at, large ? g->bytes : 0, advice);
}

static void report_overflow_at(const struct guarded_block *g, const char *at) {
    hak_guarded_report_at(HAK_ERROR_OVERFLOW, "heap overflow", g, at, ADVICE_OVERFLOW);
}

HAK_COLD void hak_guarded_report_overflow(const struct guarded_block *g) {
    report_overflow_at(g, hak_trailer_overflow(g));
}

HAK_COLD void hak_guarded_report_kind(const struct guarded_block *g, const char *what) {
    static const char *const ADVICE[] = {
        [KIND_MALLOC] = "malloc gave the block out: free takes it back",
        [KIND_NEW] = "operator new gave the block out: operator delete takes it back",
        [KIND_NEW_ARRAY] = "operator new[] gave the block out: operator delete[] takes it back",
    };
    hak_misuse(HAK_ERROR_MISMATCHED_FREE, what, g->start, g->bytes, ADVICE[g->kind]);
}

HAK_NOINLINE bool hak_guarded_find_slowly(void *block, const struct verb *verb,
                                          struct guarded_block *out) {
    uint32_t word = hak_raw_word(block, verb);
    if (word == 0) return false;
    size_t raw = hak_raw_bytes(block, word, verb);
    if (raw == 0) return false;
    size_t end = guarded_end(raw, word_is_large(word));
    enum trailer_state state = trailer_read(block, end, out);
    out->large = word_is_large(word);
    if (HAK_LIKELY(state == TRAILER_LIVE)) return true;
    if (state == TRAILER_DAMAGED) {
        report_overflow_at(out, out->start + end - BLOCK_MIN);
    } else {
        hak_raw_report_freed(block, verb, raw);
    }
    return false;
}

/* ---- Allocating ----------------------------------------------------------------------------- */

/* Bytes to ask for. */
static size_t with_trailer(size_t size, size_t align) {
    size_t wanted = align_up(size + trailer_bytes(guard_is_debug()), BLOCK_MIN);
    /* A large block, or what may become one when the call is served aside, has its page. */
    bool page = wanted > MEDIUM_MAX / 2 || align > SLAB_BYTES;
    return page ? align_up(wanted, hak_os_page_bytes()) + hak_os_page_bytes() : wanted;
}

/* What a fresh block of `bytes` holds; in debug mode, what nobody takes for zeros. */
enum contents { ANY, ZEROS, ZEROS_ALREADY };

/* The block is the program's from now on. */
HAK_INLINE void *hand_out(void *block, size_t bytes, size_t size, enum contents contents,
                          enum block_kind kind, const struct places *places, size_t window) {
    trailer_write_in(block, bytes, size, kind, places, window);
    if (contents == ZEROS) memset(block, 0, size);
    if (contents == ANY && HAK_UNLIKELY(guard_is_debug())) {
        memset(block, GUARD_FRESH, size < GUARD_FRESH_BYTES ? size : GUARD_FRESH_BYTES);
    }
    return block;
}

static HAK_NOINLINE void *make_slowly(size_t align, size_t size, enum contents contents,
                                      enum block_kind kind, const struct places *places) {
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    bool zero = contents == ZEROS;
    char *block = hak_raw_alloc(with_trailer(size, align), align, &zero);
    if (block == NULL) return NULL;
    uint32_t word = registry_word(block);
    bool large = word_is_large(word);
    size_t raw =
        large ? hak_large_usable(block, word) : hak_size_class[word_class(word)].block_bytes;
    if (large) hak_large_tell(block, word);
    /* Where the kernel has no mapping left for it, the page stays open. */
    if (guard_accuses()) hak_guarded_protect(block, raw, large, true);
    if (contents == ZEROS && zero) contents = ZEROS_ALREADY;
    return hand_out(block, guarded_end(raw, large), size, contents, kind, places, 0);
}

/* Most blocks are of a class: no more is known of them than that. */
HAK_INLINE void *make(size_t align, size_t size, enum contents contents, enum block_kind kind,
                      const struct places *places) {
    size_t trailer = trailer_bytes(guard_is_debug());
    if (HAK_LIKELY(align == BLOCK_MIN && size <= MIDDLE_MAX && hak_front.heap != NULL) &&
        HAK_LIKELY(front_enter())) {
        unsigned c = size_class_of(size + trailer);
        void *block = hak_front_take(c);
        front_leave();
        if (HAK_LIKELY(block != NULL)) {
            size_t bytes = hak_size_class[c].block_bytes;
            size_t window = guarded_window(c, places != NULL);
            return hand_out(block, bytes, size, contents, kind, places, window);
        }
    }
    return make_slowly(align, size, contents, kind, places);
}

static HAK_NOINLINE void *alloc_slowly(size_t align, size_t size) {
    FIND_PLACES(places)
    return make(align, size, ANY, KIND_MALLOC, places);
}

void *hak_guarded_alloc(size_t align, size_t size) {
    /* The commonest reason: a small block in safe mode. */
    struct heap *heap = hak_front.heap;
    if (HAK_UNLIKELY(load_relaxed(&hak_guard) != GUARD_SAFE || align != BLOCK_MIN ||
                     size > SMALL_MAX - sizeof(struct trailer) || heap == NULL || !front_enter())) {
        return alloc_slowly(align, size);
    }
    size_t scaled = scaled_class_of_small(size + sizeof(struct trailer));
    unsigned c = (unsigned)(scaled >> CLASS_SCALE);
    void *block = front_pop_of(&heap->lists, scaled);
    if (HAK_UNLIKELY(block == NULL)) block = hak_front_take(c);
    front_leave();
    if (HAK_UNLIKELY(block == NULL)) return alloc_slowly(align, size);
    size_t bytes = hak_size_class[c].block_bytes;
    trailer_write_in(block, bytes, size, KIND_MALLOC, NULL, guarded_window(c, false));
    return block;
}

void *hak_guarded_calloc(size_t size) {
    FIND_PLACES(places)
    return make(BLOCK_MIN, size, ZEROS, KIND_MALLOC, places);
}

void *hak_guarded_new(size_t align, size_t size, enum block_kind kind,
                      void *(*otherwise)(size_t align, size_t size)) {
    FIND_PLACES(places)
    void *block = make(align, size, ANY, kind, places);
    if (HAK_LIKELY(block != NULL)) return block;
    struct guarded_block g;
    block = otherwise(align, size);
    if (block == NULL || !guarded_find(block, &hak_verb_free, &g)) return block;
    trailer_write(block, g.bytes, g.asked, kind, g.allocated == NULL ? NULL : places);
    return block;
}

size_t hak_guarded_usable(const void *block) {
    struct guarded_block g;
    bool found = guarded_find((void *)(uintptr_t)block, &hak_verb_usable_size, &g);
    return found ? g.asked : 0;
}

/* ---- Resizing ------------------------------------------------------------------------------- */

/* A block stays where its class would be about the same. */
static bool stays(const struct guarded_block *g, size_t size) {
    size_t needed = size + trailer_bytes(guard_is_debug());
    return needed <= g->bytes && g->bytes - needed <= g->bytes / 8 + 64;
}

void *hak_guarded_realloc(void *block, size_t size) {
    FIND_PLACES(places)
    struct guarded_block g;
    if (!guarded_find(block, &hak_verb_realloc, &g) ||
        !guarded_kind_fits(&g, KIND_MALLOC, "mismatched realloc") || !guarded_is_whole(&g)) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        hak_guarded_let_go(&g, places);
        return NULL;
    }
    if (size <= PTRDIFF_MAX && stays(&g, size)) {
        trailer_write(block, g.bytes, size, g.kind, places);
        return block;
    }
    void *moved = make(BLOCK_MIN, size, ANY, g.kind, places);
    if (moved == NULL) {
        if (size > g.asked) return NULL;
        /* A block that only had to shrink still serves. */
        trailer_write(block, g.bytes, size, g.kind, g.allocated == NULL ? NULL : places);
        return block;
    }
    memcpy(moved, block, size < g.asked ? size : g.asked);
    hak_guarded_let_go(&g, places);
    return moved;
}

/* ---- Telling -------------------------------------------------------------------------------- */

void hak_guarded_describe(struct hak_error *error) {
    if (!guard_is_debug() || error->block == NULL || error->block_bytes == 0) return;
    struct guarded_block g;
    void *block = (void *)(uintptr_t)error->block;
    size_t bytes = error->size_class >= 0 ? error->block_bytes : 0;
    uint32_t word = registry_word(block);
    if (word_is_large(word)) bytes = guarded_end(hak_large_usable(block, word), true);
    if (bytes < trailer_bytes(true)) return;
    if (trailer_read(block, bytes, &g) == TRAILER_DAMAGED || g.allocated == NULL) return;
    memcpy(error->allocated_at, g.allocated->at, sizeof(error->allocated_at));
    memcpy(error->freed_at, g.freed->at, sizeof(error->freed_at));
}
