/* Size classes: which block size serves a request.
 *   16 B steps to 128 B               classes  0.. 7
 *   8 a doubling to 8 KiB             classes  8..55   (at most 12.5 % waste)
 *   4 a doubling to 1 MiB             classes 56..83   (at most 25 %)
 * Small classes (to 1 KiB) have their lists in thread-local storage; medium ones in the heap.
 * A power of two at most 64 KiB is a class, and its blocks are aligned to their size. */
#ifndef HAKMEM_SIZE_CLASS_SIZE_CLASS_H_
#define HAKMEM_SIZE_CLASS_SIZE_CLASS_H_

#include "hakmem/base/base.h"
#include "hakmem/config/config.h"

#define SMALL_CLASSES 32
#define CLASSES 84
#define MEDIUM_CLASSES (CLASSES - SMALL_CLASSES)
#define SMALL_MAX ((size_t)1024)
#define MEDIUM_MAX (1 * MiB)

struct size_class {
    uint32_t block_bytes;
    uint16_t capacity;   /* blocks in a slab of this class */
    uint16_t span;       /* slabs (64 KiB each) in a run that is one slab of this class */
    uint64_t reciprocal; /* ceil(2^40 / block_bytes): offset / block_bytes without a division */
};

#ifdef __cplusplus
extern "C" {
#endif
/* Indexed by class. Exact for every offset in a slab: off * reciprocal >> 40 == off / bytes. */
extern const struct size_class hak_size_class[CLASSES];
/* Indexed by (size + 15) / 16, size <= SMALL_MAX. */
extern const uint8_t hak_size_class_small[SMALL_MAX / 16 + 1];
#ifdef __cplusplus
}
#endif

HAK_INLINE unsigned size_class_of_small(size_t size) {
    return hak_size_class_small[(size + 15) >> 4];
}

/* SMALL_MAX < size <= MEDIUM_MAX. */
HAK_INLINE unsigned size_class_of_medium(size_t size) {
    size_t last = size - 1;
    unsigned doubling = log2_floor(last);
    if (size <= 8 * KiB) return 32 + (doubling - 10) * 8 + ((last >> (doubling - 3)) & 7);
    return 56 + (doubling - 13) * 4 + ((last >> (doubling - 2)) & 3);
}

/* size <= MEDIUM_MAX. */
HAK_INLINE unsigned size_class_of(size_t size) {
    return size <= SMALL_MAX ? size_class_of_small(size) : size_class_of_medium(size);
}

/* The block's index in its slab, for an offset from the slab's start. */
HAK_INLINE uint32_t size_class_index(unsigned c, size_t offset) {
    return (uint32_t)((offset * hak_size_class[c].reciprocal) >> 40);
}

#endif
