/* Within this layer: a slab's bits. */
#ifndef HAKMEM_SLAB_BITS_H_
#define HAKMEM_SLAB_BITS_H_

#include "hakmem/slab/slab.h"

HAK_INLINE uint64_t *free_word(const struct slab *slab, size_t w) {
    return superslab_free_word(slab_superslab(slab), slab->index, w);
}

HAK_INLINE uint64_t *remote_word(const struct slab *slab, size_t w) {
    return superslab_remote_word(slab_superslab(slab), slab->index, w);
}

HAK_INLINE unsigned words_of(const struct slab *slab) {
    return (load_relaxed(&slab->capacity) + 63u) / 64; /* statistics read it beside its owner */
}

/* For hak_slab_take: of the free list up to `want` blocks, or all of it where that is not much
 * more. There are some, but none may be whole. */
unsigned hak_slab_take_listed(struct slab *slab, unsigned want, void **head, uint64_t cookie);

/* The free list has as many blocks as it should, and none has a free bit. */
bool hak_slab_list_agrees(const struct slab *slab);

void hak_slab_report_corrupted(const struct slab *slab, const void *block);
void hak_slab_report_doubled(const struct slab *slab, const void *block, const char *advice);

#endif
