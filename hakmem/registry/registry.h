/* Address -> slab word: "whose is this?", for any pointer value, without a lock.
 *
 *   top[address >> 30] -> leaf (1 GiB): words[16384], one for each 64 KiB; records[512]
 *
 *   word = owner << 8 | class       a slab of that class; OWNER_ORPHAN is nobody's
 *          WORD_UNUSED              a slab of ours that holds no blocks now
 *          id << 8 | CLASS_LARGE    the first 64 KiB of a large block
 *          0                        not ours
 *
 * Invariant: a word names a class only while its slab is carved for that class. */
#ifndef HAKMEM_REGISTRY_REGISTRY_H_
#define HAKMEM_REGISTRY_REGISTRY_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/config/config.h"

#define LEAF_SHIFT 30
#define LEAF_WORDS ((size_t)1 << (LEAF_SHIFT - SLAB_SHIFT))
#define LEAF_RECORDS ((size_t)1 << (LEAF_SHIFT - SUPERSLAB_SHIFT))
#define TOP_ENTRIES ((size_t)1 << (ADDRESS_BITS - LEAF_SHIFT))

#define CLASS_LARGE 0xfeu
#define WORD_UNUSED 0xfdu
/* Owner of slabs that no thread holds. */
#define OWNER_ORPHAN 1u
/* First owner that a heap may have, and the last one plus one. */
#define OWNER_FIRST 2u
#define OWNER_END (1u << 23)
/* A tag that no word has: XORed with any word it gives no class. */
#define TAG_NONE (1u << 31)

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

/* The word for any pointer value; 0 when it is not ours. */
HAK_INLINE uint32_t registry_word(const void *address) {
    uintptr_t a = (uintptr_t)address;
    uintptr_t top = a >> LEAF_SHIFT;
    if (HAK_UNLIKELY(top >= TOP_ENTRIES)) return 0;
    /* Relaxed: a leaf is zero-filled by the kernel before its address is stored, and what the
     * word says about a block reached this thread together with the block's address. */
    uintptr_t biased = load_relaxed(&hak_registry_top[top]);
    if (HAK_UNLIKELY(biased == 0)) return 0;
    return load_relaxed((uint32_t *)(biased + (a >> SLAB_SHIFT) * sizeof(uint32_t)));
}

#endif
