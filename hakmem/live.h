/* A slab's block that the program names in a call which leaves it where it is: realloc that need
 * not move it, usable_size, a free that knows the size. Inline, as malloc and free are
 * (hot_path.h). */
#ifndef HAKMEM_LIVE_H_
#define HAKMEM_LIVE_H_

#include "hakmem/registry/registry.h"
#include "hakmem/slab/slab.h"
#include "hakmem/tls_front/tls_front.h"

/* The class of the block that begins there, of a slab of one unit or of more, and has no mark of a
 * free one. NULL: all else, and in modes in which the thread has no lists; the slow path tells.
 * By the word and the lists alone (lists that are not there have no divisor), without a branch on
 * what random sizes change. */
HAK_INLINE const struct size_class *live_find(const void *block) {
    struct lists *lists = hak_front.lists;
    uint32_t word = registry_word(block);
    if (HAK_UNLIKELY(word - 1 >= WORD_CHECKED - 1)) return NULL;
    const struct size_class *sc = word_size_class(word);
    if (!HAK_CHECKS) return lists->end == 0 ? NULL : sc;
    uint32_t count = word_count(word), capacity = sc->capacity;
    hak_opaque(capacity); /* a load and a move, not a branch */
    if (!(word & WORD_RUN)) count = capacity;
    if (HAK_UNLIKELY(!starts_one_of(list_of_word(lists, word), block, word, count))) return NULL;
    return HAK_UNLIKELY(block_may_be_marked(block)) ? NULL : sc;
}

/* What was freed and its mark written over since, or never was out, has its bit in the slab: to be
 * asked before the block is given up. Of a block that was found; `sc`: its class. */
HAK_INLINE bool live_is_in_slab(const void *block, const struct size_class *sc) {
    const struct superslab *ss = registry_entry_record(registry_entry(block), block);
    size_t offset = (uintptr_t)block & (SUPERSLAB_BYTES - 1);
    size_t head = load_relaxed(&ss->heads[offset >> SLAB_SHIFT]);
    offset -= head << SLAB_SHIFT;
    size_t index = offset * sc->reciprocal >> 40, w = index / 64;
    uint64_t free = load_relaxed(superslab_free_word(ss, head, w)) |
                    load_relaxed(superslab_remote_word(ss, head, w));
    return (free >> index % 64 & 1) != 0;
}

#endif
