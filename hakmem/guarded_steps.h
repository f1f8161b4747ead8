/* What allocating, freeing and resizing guarded blocks share (guarded.c, guarded_free.c). */
#ifndef HAKMEM_GUARDED_STEPS_H_
#define HAKMEM_GUARDED_STEPS_H_

#include "hakmem/base/misuse.h"
#include "hakmem/config/config.h"
#include "hakmem/guard/places.h"
#include "hakmem/guard/trailer.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/raw.h"
#include "hakmem/tls_front/tls_front.h"

HAK_INLINE bool guard_is_debug(void) { return load_relaxed(&hak_guard) == GUARD_DEBUG; }
/* Until the options are read blocks get trailers, and nothing else: in the default mode nobody will
 * look at them again. */
HAK_INLINE bool guard_accuses(void) { return load_relaxed(&hak_guard) > GUARD_OFF; }
/* What a freed block is filled with. */
HAK_INLINE unsigned char guard_fill(void) { return guard_is_debug() ? GUARD_FREED : 0; }

/* Where the call came from, in the function that the program's call led to; the compiler must not
 * find it a function of its own. */
#define FIND_PLACES(name)                                                                       \
    struct places name##_here;                                                                  \
    const struct places *name = NULL;                                                           \
    if (HAK_UNLIKELY(guard_is_debug())) {                                                       \
        hak_places_find(&name##_here, __builtin_return_address(0), __builtin_frame_address(0)); \
        name = &name##_here;                                                                    \
    }

/* Bytes of the block to its trailer's end: all, or up to the page that nobody may touch. */
HAK_INLINE size_t guarded_end(size_t raw_bytes, bool large) {
    size_t page = hak_os_page_bytes();
    if (!large || raw_bytes <= MEDIUM_MAX) return raw_bytes & ~(size_t)(BLOCK_MIN - 1);
    return (raw_bytes & ~(page - 1)) - page;
}

/* Where what was asked for ends in a block of class `c`: the bytes that the class has more than the
 * one below, and what covers the places. 0: too many. */
HAK_INLINE size_t guarded_window(unsigned c, bool with_places) {
    size_t below = c == 0 ? 0 : hak_size_class[c - 1].block_bytes;
    size_t bytes = hak_size_class[c].block_bytes, cover = with_places ? BLOCK_MIN : 0;
    size_t window = bytes - below + cover, room = bytes + cover - trailer_bytes(with_places);
    if (HAK_UNLIKELY(window > GUARD_WINDOW_BYTES)) return 0;
    return window < room ? window : room;
}

/* A live block that is reported when it is none. */
bool hak_guarded_find_slowly(void *block, const struct verb *verb, struct guarded_block *out);
/* Says that the block was written to behind what was asked for. */
void hak_guarded_report_overflow(const struct guarded_block *g);
/* Says what happened at an address inside of the block. */
void hak_guarded_report_at(enum hak_error_kind kind, const char *what,
                           const struct guarded_block *g, const char *at, const char *advice);
/* Says that what gave the block out was another than what `what` speaks of. */
void hak_guarded_report_kind(const struct guarded_block *g, const char *what);
/* Closes the page behind a large block, or opens it. False: the kernel will not. */
bool hak_guarded_protect(void *block, size_t raw_bytes, bool large, bool closed);
/* Takes a live block that is right in all respects back. */
void hak_guarded_let_go(const struct guarded_block *g, const struct places *places);

/* A live block that the program names. False: it is none, as was reported. A live trailer is proof
 * where a block begins: only what has none is looked at further. */
HAK_INLINE bool guarded_find(void *block, const struct verb *verb, struct guarded_block *out) {
    struct heap *heap = hak_front.heap;
    uint32_t word = registry_word(block), c = word_class(word);
    bool begins = heap != NULL && c < CLASSES && !word_is_checked(word) &&
                  list_begins_block(list_of_word(&heap->lists, word), block, word);
    if (HAK_LIKELY(begins) &&
        HAK_LIKELY(trailer_read(block, hak_size_class[c].block_bytes, out) == TRAILER_LIVE)) {
        out->window = guarded_window(c, out->allocated != NULL);
        return true;
    }
    return hak_guarded_find_slowly(block, verb, out);
}

/* Nothing was written behind what was asked for; or says so. */
HAK_INLINE bool guarded_is_whole(const struct guarded_block *g) {
    if (HAK_LIKELY(trailer_is_whole(g)) || !guard_accuses()) return true;
    hak_guarded_report_overflow(g);
    return false;
}

HAK_INLINE bool guarded_kind_fits(const struct guarded_block *g, enum block_kind kind,
                                  const char *what) {
    if (HAK_LIKELY(g->kind == kind) || !guard_accuses()) return true;
    hak_guarded_report_kind(g, what);
    return false;
}

#endif
