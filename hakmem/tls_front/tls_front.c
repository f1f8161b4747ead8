#include "hakmem/tls_front/tls_front.h"

#include "hakmem/base/misuse.h"
#include "hakmem/tls_front/bin.h"
#include "hakmem/tls_front/cap.h"

__thread struct front hak_front;

/* Pops from a taking list, which is not empty. */
HAK_INLINE void *list_pop(void **take) {
    void *block = *take;
    *take = block_next(block);
    *block_cookie(block) = 0;
    return block;
}

HAK_INLINE void list_push(void **give, void *block) {
    block_set_next(block, *give);
    *give = block;
    *block_cookie(block) = block_mark(block, hak_front.cookie);
}

/* Gives back all that the thread holds of class `c`; the class is cold then. */
static void flush_class(struct heap *heap, unsigned c) {
    struct bin bin = bin_of(&hak_front, heap, c);
    void *lists[] = {*bin.take, *bin.give};
    *bin.take = *bin.give = NULL;
    *bin.room = 0;
    for (unsigned i = 0; i < 2; i++) {
        size_t bytes = hak_bin_return(heap, c, lists[i]);
        if (c >= SMALL_CLASSES) heap->medium_bytes -= bytes;
    }
    hak_cap_cool(&heap->caps, c);
}

/* Changes with every malloc and free of class `c`. */
static uint32_t look(struct heap *heap, unsigned c) {
    struct bin bin = bin_of(&hak_front, heap, c);
    return (uint32_t)((uintptr_t)*bin.take >> 4) + (uint32_t)*bin.room * 0x9e3779b1u;
}

/* Classes that rest give back what they hold, so that what a thread keeps follows what it does. */
static HAK_COLD void sweep(struct heap *heap) {
    for (unsigned c = 0; c < CLASSES; c++) {
        if (hak_cap_rests(&heap->caps, c, look(heap, c))) flush_class(heap, c);
    }
    hak_caps_yield(&heap->caps, hak_front_threads());
    hak_warm_pool_cool(&heap->warm);
}

static void called(struct heap *heap, unsigned c) {
    if (HAK_UNLIKELY(hak_cap_called(&heap->caps, c))) sweep(heap);
}

static void count_medium(struct heap *heap, unsigned c, size_t blocks) {
    if (c >= SMALL_CLASSES) heap->medium_bytes += blocks * hak_size_class[c].block_bytes;
}

/* What the thread freed, as it may take it again. */
static void *given(struct heap *heap, struct bin bin, unsigned c) {
    bool lines_are_shared = hak_size_class[c].block_bytes < LINE_BYTES && hak_front_threads() > 1;
    return HAK_UNLIKELY(lines_are_shared) ? hak_bin_keep_own(heap, c, *bin.give) : *bin.give;
}

/* What this thread freed becomes what it takes. A few blocks that go to and fro would come this way
 * at each malloc: a warm class gets more of its slab to them. */
static void swap_lists(struct heap *heap, struct bin bin, unsigned c) {
    int32_t cap = (int32_t)heap->caps.cap[c], few = cap - *bin.room;
    *bin.take = given(heap, bin, c);
    *bin.give = NULL;
    *bin.room = cap;
    if (*bin.take == NULL) return;
    if (HAK_LIKELY(few > cap / 4) || c >= SMALL_CLASSES || !hak_cap_is_warm(&heap->caps, c)) return;
    struct slab *slab = hak_warm_pool_peek(&heap->warm, c);
    if (slab == NULL) return;
    void *last = *bin.take;
    while (block_next(last) != NULL) last = block_next(last);
    hak_slab_take(slab, (unsigned)cap, (void **)last);
    hak_warm_pool_taken(&heap->warm, slab);
}

void *hak_front_refill(unsigned c) {
    struct front *front = &hak_front;
    struct heap *heap = front->heap;
    struct bin bin = bin_of(front, heap, c);
    count_add(&heap->refills, 1);
    called(heap, c);
    if (*bin.give != NULL) { /* 1. what this thread freed */
        swap_lists(heap, bin, c);
        if (HAK_LIKELY(*bin.take != NULL)) return list_pop(bin.take);
    }
    struct chain chain = hak_transfer_pop(c); /* 2. what others freed, whole */
    if (chain.head != NULL) {
        *bin.take = chain.head;
        count_medium(heap, c, chain.count);
        return list_pop(bin.take);
    }
    struct slab *slab = hak_warm_pool_get(&heap->warm, c); /* 3. a slab */
    if (slab == NULL) return NULL;
    /* Only a class that also overflows has its cap grown here: one that only allocates would
     * take pages ahead of need. */
    if (heap->caps.overflowed[c]) {
        heap->caps.overflowed[c] = false;
        hak_cap_grow(&heap->caps, c);
    }
    uint32_t want = heap->caps.cap[c];
    count_medium(heap, c, hak_slab_take(slab, want == 0 ? 1 : want, bin.take));
    hak_warm_pool_taken(&heap->warm, slab);
    return list_pop(bin.take);
}

void *hak_front_medium(unsigned c) {
    struct heap *heap = hak_front.heap;
    struct medium *m = &heap->medium[c - SMALL_CLASSES];
    void *block = HAK_LIKELY(m->take != NULL) ? list_pop(&m->take) : hak_front_refill(c);
    if (HAK_LIKELY(block != NULL)) heap->medium_bytes -= hak_size_class[c].block_bytes;
    return block;
}

/* The giving list is full: it becomes the taking one, and that one's blocks, the longest unused,
 * go back to their slabs. */
static void rotate(struct heap *heap, struct bin bin, unsigned c) {
    void *old = *bin.take;
    *bin.take = given(heap, bin, c);
    *bin.give = NULL;
    if (old != NULL) {
        size_t bytes = hak_bin_hand_over(heap, c, old);
        if (c >= SMALL_CLASSES) heap->medium_bytes -= bytes;
        heap->caps.overflowed[c] = true;
        hak_cap_grow(&heap->caps, c);
    }
    *bin.room = (int32_t)heap->caps.cap[c];
}

static void return_one(struct heap *heap, void *block, unsigned c) {
    block_set_next(block, NULL);
    hak_bin_return(heap, c, block);
}

/* The giving list is full. */
static HAK_NOINLINE void free_overflowing(struct heap *heap, void *block, unsigned c) {
    struct bin bin = bin_of(&hak_front, heap, c);
    called(heap, c);
    if (heap->caps.cap[c] == 0) { /* cold */
        *bin.room = 0;
        return_one(heap, block, c);
        return;
    }
    rotate(heap, bin, c);
    --*bin.room;
    if (c >= SMALL_CLASSES) heap->medium_bytes += hak_size_class[c].block_bytes;
    list_push(bin.give, block);
}

static void free_medium(struct heap *heap, void *block, unsigned c) {
    struct medium *m = &heap->medium[c - SMALL_CLASSES];
    size_t bytes = heap->medium_bytes + hak_size_class[c].block_bytes;
    if (HAK_UNLIKELY(bytes > heap->caps.medium_bytes) && !hak_cap_medium(&heap->caps, bytes)) {
        return_one(heap, block, c);
    } else if (HAK_UNLIKELY(--m->room < 0)) {
        free_overflowing(heap, block, c);
    } else {
        heap->medium_bytes = bytes;
        list_push(&m->give, block);
    }
}

void hak_front_free(void *block, unsigned c) {
    hak_check(((uintptr_t)block & (BLOCK_MIN - 1)) == 0, "invalid free", block,
              hak_size_class[c].block_bytes,
              "the address is not the start of a block; free what malloc returned");
    if (HAK_CHECKS && HAK_UNLIKELY(*block_cookie(block) == block_mark(block, hak_front.cookie))) {
        hak_bin_check(SLAB_DOUBLE_FREE, block, c);
    }
    /* The hot path counted when it found a small class's list full. */
    if (c >= SMALL_CLASSES) {
        free_medium(hak_front.heap, block, c);
    } else if (hak_front.room[c] < 0) {
        free_overflowing(hak_front.heap, block, c);
    } else { /* freed before the thread's heap was there */
        hak_front.room[c]--;
        list_push(&hak_front.give[c], block);
    }
}

void hak_front_free_aside(void *block) {
    unsigned c = word_class(registry_word(block));
    hak_bin_check(hak_slab_give_remote(block), block, c < CLASSES ? c : 0);
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
    struct heap *heap = hak_front.heap;
    if (heap == NULL) return;
    for (unsigned c = 0; c < CLASSES; c++) flush_class(heap, c);
    hak_caps_end(&heap->caps);
    hak_caps_start(&heap->caps);
    hak_warm_pool_trim(&heap->warm);
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
        bytes += list_bytes(*bin.take, c) + list_bytes(*bin.give, c);
    }
    return bytes;
}
