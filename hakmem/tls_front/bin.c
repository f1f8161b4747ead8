#include "hakmem/tls_front/bin.h"

#include "hakmem/base/misuse.h"

void hak_bin_check(enum slab_result result, void *block, unsigned c) {
    size_t bytes = hak_size_class[c].block_bytes;
    switch (result) {
    case SLAB_OK:
        return;
    case SLAB_DOUBLE_FREE:
        hak_misuse("double free", block, bytes,
                   "the block was freed before; look for two owners of one pointer");
    case SLAB_INTERIOR:
        hak_misuse("invalid free", block, bytes,
                   "the address is not the start of a block; free what malloc returned");
    default:
        hak_misuse("corrupted free block", block, 0,
                   "a block was written to after it was freed; run with a sanitizer");
    }
}

/* A run of blocks of one slab is given back together: the pool is told once a run. */
size_t hak_bin_return(struct heap *heap, unsigned c, void *head) {
    struct warm_pool *wp = &heap->warm;
    struct slab *slab = NULL;
    unsigned out_before = 0;
    size_t count = 0;
    while (head != NULL) {
        struct slab *its = hak_slab_of(head);
        if (its == NULL || its->class_index != c) hak_bin_check(SLAB_NOT_OURS, head, c);
        void *block = head;
        head = block_next(block);
        count++;
        if (its != slab) {
            if (slab != NULL) hak_warm_pool_given(wp, slab, out_before);
            slab = load_relaxed(&its->owner) == &wp->owner ? its : NULL;
            out_before = load_relaxed(&its->out); /* another owner may be writing it */
        }
        if (slab == NULL) {
            hak_bin_check(hak_slab_give_remote(block), block, c);
        } else {
            hak_bin_check(hak_slab_give(slab, block), block, c);
        }
    }
    if (slab != NULL) hak_warm_pool_given(wp, slab, out_before);
    return count * hak_size_class[c].block_bytes;
}
