/* Address -> slab word: "what is this?", for any pointer value, without a lock.
 *
 *   top[address >> 30] -> leaf (1 GiB): words[16384], one for each 64 KiB; records[512]
 *
 *   word = 0                        not ours
 *          (list + 1) << 5          a slab of one unit, whoever owns it: the list that free puts
 *                                   its blocks into, which names the class
 *          the same | WORD_RUN ...  a unit of a slab of more than one: with the place of the first
 *                                   block that begins in it, and how many do
 *          WORD_UNUSED              a slab of ours that holds no blocks now
 *          WORD_LARGE | id          the first 64 KiB of a large block
 *
 * Invariant: a word names a class only while its slab is carved for that class. */
#ifndef HAKMEM_REGISTRY_REGISTRY_H_
#define HAKMEM_REGISTRY_REGISTRY_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/config/config.h"
#include "hakmem/size_class/size_class.h"

#define LEAF_SHIFT 30
#define LEAF_WORDS ((size_t)1 << (LEAF_SHIFT - SLAB_SHIFT))
#define LEAF_RECORDS ((size_t)1 << (LEAF_SHIFT - SUPERSLAB_SHIFT))
#define TOP_ENTRIES ((size_t)1 << (ADDRESS_BITS - LEAF_SHIFT))

#define WORD_SCALE 5 /* words carry scaled classes (size_class.h) */
#define WORD_LARGE (1u << 31)
#define WORD_UNUSED (1u << 30)
#define WORD_RUN (1u << 28)
#define WORD_FIRST_SHIFT 16 /* 7 bits: of the first block, in RUN_GRAIN bytes from the unit */
#define WORD_COUNT_SHIFT 23 /* 4 bits: blocks that begin in the unit */
#define RUN_GRAIN 512
/* With a slab's word: no hot path takes it for one, and the slab's bits say what is free. */
#define WORD_CHECKED (1u << 29)

#ifndef __cplusplus
_Static_assert(2 * sizeof(struct size_class) == 1 << WORD_SCALE, "word_size_class halves words");
#endif

struct leaf {
    uint32_t words[LEAF_WORDS];
    void *records[LEAF_RECORDS]; /* superslab records */
};

#ifdef __cplusplus
extern "C" {
#endif
/* Biased: the address of the word of an address a in the entry's GiB is
 * top[a >> 30] + (a >> 16) * 4. 0: no leaf. Entries go from 0 to a leaf once. */
extern uintptr_t hak_registry_top[TOP_ENTRIES];

/* Makes sure that words for [base, base + bytes) can be set. False: out of memory. */
bool hak_registry_reserve(const void *base, size_t bytes);
/* Sets the words of `slabs` 64 KiB units from `base` (reserved before). */
void hak_registry_set(const void *base, size_t slabs, uint32_t word);
/* The record of the superslab around `address`; NULL when there is none. */
void *hak_registry_record(const void *address);
void hak_registry_set_record(const void *superslab, void *record);
#ifdef __cplusplus
}
#endif

/* Of the list that free puts a block of the class into. */
HAK_INLINE uint32_t word_of_class(unsigned c) {
    return ((c < LINE_CLASSES ? CLASSES + c : c) + 1) << WORD_SCALE;
}
/* The class of a slab's word; beyond the last one for every other word. */
HAK_INLINE uint32_t word_class(uint32_t word) {
    if (word >= WORD_UNUSED) return UINT32_MAX;
    uint32_t list = ((word & 0xffff) - (1u << WORD_SCALE)) >> WORD_SCALE;
    return list < CLASSES ? list : list - CLASSES;
}
/* The list's row of hak_size_class, of a slab's word: rows are half as long as words count. */
HAK_INLINE const struct size_class *word_size_class(uint32_t word) {
    const char *rows = (const char *)hak_size_class;
    return (const struct size_class *)(rows + (word & 0xffff) / 2 - sizeof(struct size_class));
}
HAK_INLINE bool word_is_checked(uint32_t word) { return (word & WORD_CHECKED) != 0; }
/* Of a unit of a run: where its first block begins, bytes, and how many begin. */
HAK_INLINE uint32_t word_first(uint32_t word) {
    return (word >> WORD_FIRST_SHIFT & 127) * RUN_GRAIN;
}
HAK_INLINE uint32_t word_count(uint32_t word) { return word >> WORD_COUNT_SHIFT & 15; }
/* What a slab's word is in all of its units. */
HAK_INLINE uint32_t word_without_run(uint32_t word) {
    return word & ~(WORD_CHECKED - (1u << WORD_FIRST_SHIFT));
}
HAK_INLINE bool word_is_large(uint32_t word) { return (word & WORD_LARGE) != 0; }
HAK_INLINE uint32_t word_large_id(uint32_t word) { return word & ~WORD_LARGE; }

/* The top's entry of any pointer value; 0: there is none. */
HAK_INLINE uintptr_t registry_entry(const void *address) {
    uintptr_t top = (uintptr_t)address >> LEAF_SHIFT;
    /* Relaxed: a leaf is zero-filled by the kernel before its address is stored. */
    return HAK_LIKELY(top < TOP_ENTRIES) ? load_relaxed(&hak_registry_top[top]) : 0;
}

HAK_INLINE uint32_t registry_entry_word(uintptr_t entry, const void *address) {
    uintptr_t a = (uintptr_t)address;
    /* Relaxed: what the word says about a block reached this thread together with its address. */
    return load_relaxed((uint32_t *)(entry + (a >> SLAB_SHIFT) * sizeof(uint32_t)));
}

/* The word for any pointer value; 0 when it is not ours. */
HAK_INLINE uint32_t registry_word(const void *address) {
    uintptr_t entry = registry_entry(address);
    return HAK_LIKELY(entry != 0) ? registry_entry_word(entry, address) : 0;
}

/* The record of the superslab around an address in it. */
HAK_INLINE void *registry_entry_record(uintptr_t entry, const void *address) {
    uintptr_t a = (uintptr_t)address, top = a >> LEAF_SHIFT;
    uintptr_t bias = (top << (LEAF_SHIFT - SLAB_SHIFT)) * sizeof(uint32_t);
    struct leaf *leaf = (struct leaf *)(entry + bias);
    /* Acquire pairs with hak_registry_set_record: the record's contents are seen. */
    return load_acquire(&leaf->records[(a >> SUPERSLAB_SHIFT) & (LEAF_RECORDS - 1)]);
}

#endif
