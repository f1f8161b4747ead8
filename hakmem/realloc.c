/* Resizing: a block stays where it is while it serves, a large one's pages move, all else is
 * copied. */
#include <errno.h>
#include <string.h>

#include "hakmem/guarded.h"
#include "hakmem/hakmem.h"
#include "hakmem/hot_path.h"
#include "hakmem/large/large.h"
#include "hakmem/live.h"
#include "hakmem/raw.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/watched.h"

/* A slab's block stays where it is while enough of it serves. Of a small one three quarters, as
 * programs trim strings and the like for good; of a larger one half: a copy would cost more than
 * the bytes are worth, and a program that goes on shrinking moves at each halving only. Not of size
 * 0, which frees it. */
HAK_INLINE bool stays(size_t size, size_t bytes) {
    size_t least = bytes > SMALL_MAX ? bytes / 2 : bytes - bytes / 4;
    return size <= bytes && (size >= least || bytes <= LINE_BYTES) && size != 0;
}

bool hak_some_waste;

HAK_INLINE void note_size(size_t size, size_t bytes) {
    if (HAK_LIKELY(raw_rounds_to(size, bytes)) || load_relaxed(&hak_some_waste)) return;
    store_relaxed(&hak_some_waste, true);
}

static void *resize_large(void *block, uint32_t word, size_t size) {
    if (size <= MEDIUM_MAX || !front_enter()) return NULL;
    void *moved = hak_large_resize(block, word, size);
    front_leave();
    return moved;
}

/* Of a block of `bytes` bytes, which is the program's. */
static HAK_NOINLINE void *move(void *block, size_t bytes, size_t size) {
    void *moved = hot_malloc(size);
    /* A block that only had to shrink still serves. */
    if (HAK_UNLIKELY(moved == NULL)) {
        if (size > bytes) return NULL;
        store_relaxed(&hak_some_waste, true);
        return block;
    }
    memcpy(moved, block, size < bytes ? size : bytes);
    hot_free(block);
    return moved;
}

/* All but what hak_realloc serves at once. `block`: not NULL. */
static HAK_NOINLINE void *realloc_slow(void *block, size_t size) {
    if (watch_may_be_on()) return hak_watched_realloc(block, size);
    if (guard_is_on()) return hak_guarded_realloc(block, size);
    uint32_t word = hak_raw_word(block, &hak_verb_realloc);
    size_t bytes = hak_raw_bytes(block, word, &hak_verb_realloc);
    if (HAK_UNLIKELY(bytes == 0)) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        hot_free(block);
        return NULL;
    }
    bool large = word_is_large(word);
    if (large ? size <= bytes && size >= bytes - bytes / 4 : stays(size, bytes)) {
        if (large) hak_large_tell(block, word);
        note_size(size, bytes);
        return block;
    }
    if (large && size <= PTRDIFF_MAX) {
        void *moved = resize_large(block, word, size);
        if (moved != NULL) return moved;
    }
    return move(block, bytes, size);
}

/* A block that stays is as it was: what a stale pointer might do to it is found when it goes out.
 * Before it would move, and be freed, the slab is asked too. */
HAK_INLINE void *resize(void *block, const struct size_class *sc, size_t size) {
    size_t bytes = sc->block_bytes;
    /* One compare for a size that rounds to about as much; what `stays` and `note_size` take apart
     * is not predictable. False for sizes above, where the difference is above `bytes`, and with 11
     * for 0 of the smallest block too. */
    if (HAK_LIKELY(bytes - size < bytes / 4 + 11)) return block;
    if (HAK_UNLIKELY(size == 0)) return realloc_slow(block, size);
    if (stays(size, bytes)) {
        note_size(size, bytes);
        return block;
    }
    if (HAK_CHECKS && HAK_UNLIKELY(live_is_in_slab(block, sc))) return realloc_slow(block, size);
    return move(block, bytes, size);
}

/* A slab's block first. What looks like a mistake, or has no lists to ask, is looked at in
 * realloc_slow. */
void *hak_realloc(void *block, size_t size) {
    const struct size_class *sc = live_find(block);
    if (HAK_UNLIKELY(sc == NULL))
        return block == NULL ? hot_malloc(size) : realloc_slow(block, size);
    return resize(block, sc, size);
}

void *hak_reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return hak_realloc(block, bytes);
}
