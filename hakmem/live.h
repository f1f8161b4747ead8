/* A slab's block that the program names in a call which leaves it where it is: realloc that need
 * not move it, usable_size, a free that knows the size. Inline, as malloc and free are
 * (hot_path.h). */
#ifndef HAKMEM_LIVE_H_
#define HAKMEM_LIVE_H_

#include "hakmem/registry/registry.h"
#include "hakmem/slab/slab.h"
#include "hakmem/tls_front/tls_front.h"

/* Where a block of a slab lies. */
struct place {
    const struct superslab *superslab;
    size_t head, index; /* of its slab, of the block in that */
};

/* The class of the block that begins there, of a slab of one unit or of more, and has no mark of a
 * free one. NULL: all else, and in modes in which the thread has no lists; the slow path tells.
 * Without a branch on what random sizes change. */
HAK_INLINE const struct size_class *live_find(const void *block, struct place *place) {
    uintptr_t entry = registry_entry(block);
    if (HAK_UNLIKELY(entry == 0 || hak_front.lists->end == 0)) return NULL;
    uint32_t word = registry_entry_word(entry, block);
    if (HAK_UNLIKELY(word - 1 >= WORD_CHECKED - 1)) return NULL;
    const struct size_class *sc = word_size_class(word);
    if (!HAK_CHECKS) return sc;
    const struct superslab *ss = registry_entry_record(entry, block);
    size_t offset = (uintptr_t)block & (SUPERSLAB_BYTES - 1);
    size_t head = load_relaxed(&ss->heads[offset >> SLAB_SHIFT]);
    offset -= head << SLAB_SHIFT;
    size_t index = offset * sc->reciprocal >> 40;
    if (HAK_UNLIKELY(index * sc->block_bytes != offset || index >= sc->capacity)) return NULL;
    if (HAK_UNLIKELY(block_may_be_marked(block))) return NULL;
    *place = (struct place){ss, head, index};
    return sc;
}

/* What was freed and its mark written over since, or never was out, has its bit in the slab: to be
 * asked before the block is given up. */
HAK_INLINE bool live_is_in_slab(const struct place *place) {
    size_t head = place->head, w = place->index / 64;
    uint64_t free = load_relaxed(superslab_free_word(place->superslab, head, w)) |
                    load_relaxed(superslab_remote_word(place->superslab, head, w));
    return (free >> place->index % 64 & 1) != 0;
}

#endif
