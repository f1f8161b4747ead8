/* A class's pair of lists, wherever they lie: small ones in the front, medium ones in the heap.
 * Internal to the layer. */
#ifndef HAKMEM_TLS_FRONT_BIN_H_
#define HAKMEM_TLS_FRONT_BIN_H_

#include "hakmem/tls_front/tls_front.h"

struct bin {
    void **take;
    void **give;
    int32_t *room;
};

HAK_INLINE struct bin bin_of(struct front *front, struct heap *heap, unsigned c) {
    if (c < SMALL_CLASSES) {
        struct bin small = {&front->take[c], &front->give[c], &front->room[c]};
        return small;
    }
    unsigned m = c - SMALL_CLASSES;
    struct bin medium = {&heap->take[m], &heap->give[m], &heap->room[m]};
    return medium;
}

/* Blocks that give may ever hold. */
HAK_INLINE uint32_t bin_cap_max(unsigned c) {
    size_t bytes = hak_size_class[c].block_bytes;
    size_t n = (c < SMALL_CLASSES ? FRONT_CLASS_BYTES : FRONT_MEDIUM_BYTES) / bytes;
    return n < 1 ? 1 : n > FRONT_CLASS_BLOCKS ? FRONT_CLASS_BLOCKS : (uint32_t)n;
}

HAK_INLINE uint32_t bin_cap_start(unsigned c) {
    uint32_t n = bin_cap_max(c) / FRONT_START_DIVISOR;
    return n < 1 ? 1 : n;
}

/* Gives a list of blocks of class `c` back to their slabs, whoever owns those. Returns bytes. */
size_t hak_bin_return(struct heap *heap, unsigned c, void *head);
/* Reports a misuse that giving back a block found. */
void hak_bin_check(enum slab_result result, void *block, unsigned c);

#endif
