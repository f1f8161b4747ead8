/* malloc and free up to where they leave the hot path: no lock, no call, no count.
 *
 *   malloc(n)  class of n -> pop from take[class]                       else hak_malloc_slow
 *   free(p)    word of p -> class, not freed, room -> push on give      else hak_free_slow */
#ifndef HAKMEM_HOT_PATH_H_
#define HAKMEM_HOT_PATH_H_

#include "hakmem/tls_front/tls_front.h"

#ifdef __cplusplus
extern "C" {
#endif
/* Any size, when the hot path has no block for it. NULL and ENOMEM. */
void *hak_malloc_slow(size_t size);
/* Any pointer that the hot path refused, and its word. */
void hak_free_slow(void *block, uint32_t word);
/* As hak_malloc_slow, at a multiple of `align`, a power of two. */
void *hak_aligned_slow(size_t align, size_t size);

/* operator delete with a size, an alignment, both: reports what cannot be the block's. */
void hak_delete_sized(void *block, size_t size);
void hak_delete_aligned(void *block, size_t alignment);
void hak_delete_aligned_sized(void *block, size_t size, size_t alignment);
#ifdef __cplusplus
}
#endif

/* A block of the thread's list; NULL: there is none, or no list for the size. */
HAK_INLINE void *hot_take(size_t size) {
    if (HAK_LIKELY(size <= SMALL_MAX)) return front_pop(scaled_class_of_small(size));
    if (HAK_LIKELY(size <= MIDDLE_MAX)) return front_pop(scaled_class_of_middle(size));
    if (HAK_LIKELY(size <= MEDIUM_MAX)) return front_pop(scaled_class_of_big(size));
    return NULL;
}

HAK_INLINE void *hot_malloc(size_t size) {
    void *block = hot_take(size);
    return HAK_LIKELY(block != NULL) ? block : hak_malloc_slow(size);
}

HAK_INLINE void hot_free(void *block) {
    uint32_t word = registry_word(block);
    if (HAK_UNLIKELY(!front_push_of(block, word))) hak_free_slow(block, word);
}

/* Sizes of small blocks are compared by class, which is what new made of them. */
HAK_INLINE void hot_delete_sized(void *block, size_t size) {
    bool known =
        size <= SMALL_MAX && registry_word(block) == word_of_class(0) + scaled_class_of_small(size);
    if (HAK_LIKELY(known)) {
        hot_free(block);
    } else {
        hak_delete_sized(block, size);
    }
}

#endif
