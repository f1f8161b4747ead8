/* Size classes: which block size serves a request.
 *   16 B steps to 128 B               classes  0.. 7
 *   8 a doubling to 8 KiB             classes  8..55   (at most 12.5 % waste)
 *   4 a doubling to 32 KiB            classes 56..63   (at most 25 %)
 *   8 a doubling to 64 KiB            classes 64..71
 *   4 a doubling to 1 MiB             classes 72..87
 * Up to 64 KiB no block of a class that fits is more than a page longer than was asked for: nothing
 * is lost where pages are huge. A table serves small sizes (to 1 KiB), another middle ones (to
 * 64 KiB), arithmetic the rest.
 * A power of two at most 64 KiB is a class, and its blocks are aligned to their size. */
#ifndef HAKMEM_SIZE_CLASS_SIZE_CLASS_H_
#define HAKMEM_SIZE_CLASS_SIZE_CLASS_H_

#include "hakmem/base/base.h"
#include "hakmem/config/config.h"

#define SMALL_CLASSES 32
#define CLASSES 88
/* Blocks of the classes below this one are smaller than LINE_BYTES. */
#define LINE_CLASSES 3
/* Lists of a thread: one of each class, and for those classes one more, which free puts blocks
 * into. */
#define LISTS (CLASSES + LINE_CLASSES)
#define CLASS_SCALE 5
#define SMALL_MAX ((size_t)1024)
#define MIDDLE_MAX (64 * KiB) /* the second table reaches so far */
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
/* Indexed by list, and so by class. Exact for every offset in a slab:
 * off * reciprocal >> 40 == off / bytes. */
extern const struct size_class hak_size_class[LISTS];
/* Classes times 8, indexed by the size itself: so the hot path need not round it up first, and the
 * processor's addressing does what is left to scale. */
extern const uint8_t hak_class_small[SMALL_MAX + 1];
/* Indexed by (size + 127) / 128, SMALL_MAX < size <= MIDDLE_MAX. */
extern const uint16_t hak_scaled_class_middle[MIDDLE_MAX / 128 + 1];
#ifdef __cplusplus
}
#endif

/* A scaled class is class << CLASS_SCALE: the offset of the class among things of 32 bytes, as a
 * thread's lists are. */
HAK_INLINE size_t scaled_class_of_small(size_t size) {
    return (size_t)hak_class_small[size] << (CLASS_SCALE - 3);
}

HAK_INLINE uint32_t scaled_class_of_middle(size_t size) {
    return hak_scaled_class_middle[(size + 127) >> 7];
}

/* MIDDLE_MAX < size <= MEDIUM_MAX: 4 classes a doubling. */
HAK_INLINE unsigned size_class_of_big(size_t size) {
    size_t last = size - 1;
    unsigned doubling = log2_floor(last);
    return 72 + (doubling - 16) * 4 + ((last >> (doubling - 2)) & 3);
}

HAK_INLINE uint32_t scaled_class_of_big(size_t size) {
    return size_class_of_big(size) << CLASS_SCALE;
}

/* size <= MEDIUM_MAX. */
HAK_INLINE unsigned size_class_of(size_t size) {
    if (size <= SMALL_MAX) return (unsigned)(scaled_class_of_small(size) >> CLASS_SCALE);
    if (size <= MIDDLE_MAX) return scaled_class_of_middle(size) >> CLASS_SCALE;
    return size_class_of_big(size);
}

/* The block's index in its slab, for an offset from the slab's start. */
HAK_INLINE uint32_t size_class_index(unsigned c, size_t offset) {
    return (uint32_t)((offset * hak_size_class[c].reciprocal) >> 40);
}

#endif
