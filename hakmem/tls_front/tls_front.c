#include "hakmem/tls_front/tls_front.h"

#include "hakmem/base/misuse.h"
#include "hakmem/tls_front/bin.h"

__thread struct front hak_front = {.tag = TAG_NONE};

/* Pops from a bin's taking list, which is not empty. */
static void *bin_pop(struct bin bin) {
    void *block = *bin.take;
    *bin.take = block_next(block);
    *block_cookie(block) = 0;
    return block;
}

static void bin_push(struct bin bin, void *block) {
    block_set_next(block, *bin.give);
    *bin.give = block;
    *block_cookie(block) = block_mark(block, hak_front.cookie);
}

/* Lets a list grow while its class is busy and the thread's total allows. */
static void grow_cap(struct heap *heap, unsigned c) {
    uint32_t cap = heap->cap[c], max = bin_cap_max(c);
    uint32_t more = cap * 2 > max ? max - cap : cap;
    size_t bytes = (size_t)more * hak_size_class[c].block_bytes;
    if (heap->cap_bytes + bytes > FRONT_THREAD_BYTES) return;
    heap->cap[c] = cap + more;
    heap->cap_bytes += bytes;
}

static void count_medium(struct heap *heap, unsigned c, size_t blocks) {
    if (c >= SMALL_CLASSES) heap->medium_bytes += blocks * hak_size_class[c].block_bytes;
}

void *hak_front_refill(unsigned c) {
    struct front *front = &hak_front;
    struct heap *heap = front->heap;
    struct bin bin = bin_of(front, heap, c);
    count_add(&heap->refills, 1);
    if (*bin.give != NULL) { /* 1. what this thread freed */
        *bin.take = *bin.give;
        *bin.give = NULL;
        *bin.room = (int32_t)heap->cap[c];
        return bin_pop(bin);
    }
    struct chain chain = hak_transfer_pop(c); /* 2. what others freed, whole */
    if (chain.head != NULL) {
        *bin.take = chain.head;
        count_medium(heap, c, chain.count);
        return bin_pop(bin);
    }
    struct slab *slab = hak_warm_pool_get(&heap->warm, c); /* 3. a slab */
    if (slab == NULL) return NULL;
    /* Only a class that also overflows has its cap grown here: one that only allocates would
     * take pages ahead of need. */
    if (heap->overflowed[c]) {
        heap->overflowed[c] = false;
        grow_cap(heap, c);
    }
    count_medium(heap, c, hak_slab_take(slab, heap->cap[c], bin.take));
    hak_warm_pool_taken(&heap->warm, slab);
    return bin_pop(bin);
}

void *hak_front_medium(unsigned c) {
    struct bin bin = bin_of(&hak_front, hak_front.heap, c);
    void *block = HAK_LIKELY(*bin.take != NULL) ? bin_pop(bin) : hak_front_refill(c);
    if (HAK_LIKELY(block != NULL)) hak_front.heap->medium_bytes -= hak_size_class[c].block_bytes;
    return block;
}

/* The giving list is full: it becomes the taking one, and that one's blocks, the longest unused,
 * go back to their slabs. */
static void rotate(struct heap *heap, struct bin bin, unsigned c) {
    void *old = *bin.take;
    *bin.take = *bin.give;
    *bin.give = NULL;
    if (old != NULL) {
        size_t bytes = hak_bin_return(heap, c, old);
        if (c >= SMALL_CLASSES) heap->medium_bytes -= bytes;
        heap->overflowed[c] = true;
        grow_cap(heap, c);
    }
    *bin.room = (int32_t)heap->cap[c];
}

static void free_own(struct heap *heap, void *block, unsigned c) {
    struct bin bin = bin_of(&hak_front, heap, c);
    hak_check(((uintptr_t)block & (BLOCK_MIN - 1)) == 0, "invalid free", block,
              hak_size_class[c].block_bytes,
              "the address is not the start of a block; free what malloc returned");
    /* The hot path has counted already when it found a small class's list full. */
    if (c >= SMALL_CLASSES) {
        size_t bytes = hak_size_class[c].block_bytes;
        if (heap->medium_bytes + bytes > FRONT_MEDIUM_THREAD_BYTES) {
            block_set_next(block, NULL);
            hak_bin_return(heap, c, block);
            return;
        }
        heap->medium_bytes += bytes;
        --*bin.room;
    }
    if (*bin.room < 0) {
        rotate(heap, bin, c);
        --*bin.room;
    }
    bin_push(bin, block);
}

static void free_remote(struct heap *heap, void *block, unsigned c) {
    struct chain *chain = &heap->remote[c];
    block_set_next(block, chain->head);
    *block_cookie(block) = block_mark(block, hak_front.cookie);
    chain->head = block;
    if (++chain->count < chain_blocks(c)) return;
    struct chain full = *chain;
    *chain = (struct chain){NULL, 0};
    if (!hak_transfer_push(c, full)) hak_bin_return(heap, c, full.head);
}

void hak_front_free(void *block, uint32_t word) {
    struct heap *heap = hak_front.heap;
    unsigned c = word & 0xff;
    hak_check(((uintptr_t)block & (sizeof(uint64_t) - 1)) == 0, "invalid free", block,
              hak_size_class[c].block_bytes,
              "the address is not the start of a block; free what malloc returned");
    if (HAK_CHECKS && HAK_UNLIKELY(*block_cookie(block) == block_mark(block, hak_front.cookie))) {
        hak_bin_check(SLAB_DOUBLE_FREE, block, c);
    }
    if (HAK_LIKELY((word ^ hak_front.tag) < CLASSES)) {
        free_own(heap, block, c);
    } else {
        free_remote(heap, block, c);
    }
}

void hak_front_free_aside(void *block) {
    unsigned c = registry_word(block) & 0xff;
    hak_bin_check(hak_slab_give_remote(block), block, c < CLASSES ? c : 0);
}

static void flush_lists(struct front *front, struct heap *heap) {
    for (unsigned c = 0; c < CLASSES; c++) {
        struct bin bin = bin_of(front, heap, c);
        void *lists[] = {*bin.take, *bin.give, heap->remote[c].head};
        *bin.take = *bin.give = NULL;
        heap->remote[c] = (struct chain){NULL, 0};
        for (unsigned i = 0; i < 3; i++) {
            if (lists[i] != NULL) hak_bin_return(heap, c, lists[i]);
        }
        uint32_t start = bin_cap_start(c);
        heap->cap_bytes -= (size_t)(heap->cap[c] - start) * hak_size_class[c].block_bytes;
        heap->cap[c] = start;
        *bin.room = (int32_t)start;
    }
    heap->medium_bytes = 0;
}

void hak_front_drain_transfer(void) {
    struct heap *heap = hak_front.heap;
    if (heap == NULL) return;
    for (unsigned c = 0; c < CLASSES; c++) {
        struct chain chain = hak_transfer_pop(c);
        for (; chain.head != NULL; chain = hak_transfer_pop(c)) hak_bin_return(heap, c, chain.head);
    }
}

void hak_front_flush(void) {
    if (hak_front.heap == NULL) return;
    flush_lists(&hak_front, hak_front.heap);
    hak_warm_pool_trim(&hak_front.heap->warm);
}

static uint64_t list_bytes(void *head, unsigned c) {
    uint64_t bytes = 0;
    for (; head != NULL; head = block_next(head)) bytes += hak_size_class[c].block_bytes;
    return bytes;
}

uint64_t hak_front_bytes(void) {
    uint64_t bytes = 0;
    struct heap *heap = hak_front.heap;
    if (heap == NULL) return 0;
    for (unsigned c = 0; c < CLASSES; c++) {
        struct bin bin = bin_of(&hak_front, heap, c);
        bytes += list_bytes(*bin.take, c) + list_bytes(*bin.give, c) +
                 list_bytes(heap->remote[c].head, c);
    }
    return bytes;
}
