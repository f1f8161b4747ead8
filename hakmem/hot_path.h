/* malloc and free up to where they leave the hot path: no lock, no call.
 *
 *   malloc(n)  class of n -> pop from its loaded list                   else hak_malloc_slow
 *   free(p)    word of p -> list, not freed, room -> push on loaded     else hak_free_slow */
#ifndef HAKMEM_HOT_PATH_H_
#define HAKMEM_HOT_PATH_H_

#include "hakmem/guard/guard.h"
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
void hak_delete_sized(void *block, size_t size, enum block_kind kind);
void hak_delete_aligned(void *block, size_t alignment, enum block_kind kind);
void hak_delete_aligned_sized(void *block, size_t size, size_t alignment, enum block_kind kind);
/* As hak_free_slow, of operator delete; `size`: what it was told, or NO_SIZE. */
#define NO_SIZE SIZE_MAX
void hak_delete_slow(void *block, uint32_t word, enum block_kind kind, size_t size);
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

/* A block of the thread's list that lies right: of the class of the rounded size, if its blocks do.
 * NULL: there is none, or another class must serve. `align`: a power of two. */
HAK_INLINE void *hot_take_aligned(size_t align, size_t size) {
    if (HAK_UNLIKELY(align > SLAB_BYTES || size > MIDDLE_MAX)) return NULL;
    size_t rounded = align_up(size, align); /* to MIDDLE_MAX at most, a multiple of any `align` */
    size_t scaled =
        rounded <= SMALL_MAX ? scaled_class_of_small(rounded) : scaled_class_of_middle(rounded);
    bool right = (hak_size_class[scaled >> CLASS_SCALE].block_bytes & (align - 1)) == 0;
    return HAK_LIKELY(right) ? front_pop(scaled) : NULL;
}

HAK_INLINE void *hot_malloc(size_t size) {
    void *block = hot_take(size);
    return HAK_LIKELY(block != NULL) ? block : hak_malloc_slow(size);
}

HAK_INLINE void hot_free(void *block) {
    size_t word = registry_word(block);
    hak_second_argument(word);
    if (HAK_UNLIKELY(!front_push_of(block, word))) hak_free_slow(block, (uint32_t)word);
}

/* `word`: the block's. */
HAK_INLINE void hot_delete_of(void *block, size_t word, enum block_kind kind, size_t size) {
    hak_second_argument(word);
    if (HAK_UNLIKELY(!front_push_of(block, word)))
        hak_delete_slow(block, (uint32_t)word, kind, size);
}

HAK_INLINE void hot_delete(void *block, enum block_kind kind, size_t size) {
    hot_delete_of(block, registry_word(block), kind, size);
}

/* Sizes are compared by class, which is what new made of them. */
HAK_INLINE void hot_delete_sized(void *block, size_t size, enum block_kind kind) {
    size_t word = registry_word(block);
    bool known = false;
    if (HAK_LIKELY(size <= SMALL_MAX)) {
        size_t list = scaled_class_of_small(size) + (1u << WORD_SCALE);
        if (size <= LINE_BYTES - BLOCK_MIN) list += CLASSES << WORD_SCALE;
        known = word == list;
    } else if (size <= MIDDLE_MAX) {
        uint32_t list = scaled_class_of_middle(size) + (1u << WORD_SCALE);
        known = word_without_run((uint32_t)word) == list;
    }
    if (HAK_LIKELY(known)) {
        hot_delete_of(block, word, kind, size);
    } else {
        hak_delete_sized(block, size, kind);
    }
}

#endif
