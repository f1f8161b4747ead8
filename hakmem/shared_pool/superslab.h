/* Superslab records and their buckets, under the shared pool's lock. Internal to the layer. */
#ifndef HAKMEM_SHARED_POOL_SUPERSLAB_H_
#define HAKMEM_SHARED_POOL_SUPERSLAB_H_

#include "hakmem/slab/slab.h"

#define NODE_ANY (-1)

struct superslabs {
    struct list by_run[SLABS_PER_SUPERSLAB + 1];
    struct list by_resident_run[SLABS_PER_SUPERSLAB + 1];
    uint64_t runs;          /* bit n: by_run[n] is not empty */
    uint64_t resident_runs; /* bit n: by_resident_run[n] is not empty */
    struct list cache;      /* FREE with pages, newest first */
    struct list dropped;    /* FREE, purged */
    struct list unmapped;   /* records without address space */
    struct superslab *all;  /* every record */
    char *region, *region_end;
    size_t region_bytes;    /* of the next region */
    size_t mapped;          /* superslabs with address space */
    size_t used;            /* units in use */
    size_t resident_free;   /* units with pages that are not in use */
    size_t cached;          /* superslabs in the cache */
    size_t cached_resident; /* their units with pages */
};

#ifdef __cplusplus
extern "C" {
#endif
void hak_superslabs_init(struct superslabs *all);
/* A superslab with `span` unused units in a row (resident ones if asked) of memory node `node`;
 * NULL: none. O(1) for NODE_ANY. */
struct superslab *hak_superslabs_find(struct superslabs *all, unsigned span, bool resident,
                                      int node);
/* The first superslab of the cache or the dropped ones that is of `node`; NULL: none. */
struct superslab *hak_superslabs_first(const struct list *list, int node);
/* Maps one whose pages prefer `node`; on return it is dropped (FREE, no pages). NULL: out of
 * memory. */
struct superslab *hak_superslabs_map(struct superslabs *all, int node);
/* Changes the masks and moves the superslab to the list where it then belongs. Units that become
 * resident are in the budget already; those that no longer are leave it here. */
void hak_superslabs_set(struct superslabs *all, struct superslab *ss, uint32_t used,
                        uint32_t resident);
/* Unmaps a FREE superslab. */
bool hak_superslabs_unmap(struct superslabs *all, struct superslab *ss);
/* Every count agrees with what it counts, and every slab with itself. Quiescent, but for purges. */
bool hak_superslabs_agree(const struct superslabs *all);
#ifdef __cplusplus
}
#endif

/* The bits [index, index + span). */
HAK_INLINE uint32_t run_mask(unsigned index, unsigned span) {
    return (uint32_t)((((uint64_t)1 << span) - 1) << index);
}

/* Bits that start a run of `span` ones. */
HAK_INLINE uint32_t run_starts(uint32_t mask, unsigned span) {
    for (unsigned have = 1; have < span;) {
        unsigned step = span - have < have ? span - have : have;
        mask &= mask >> step;
        have += step;
    }
    return mask;
}

/* Runs of 2, 4, 8 and 16 ones are found by doubling; the longest run is put together of them. */
HAK_INLINE unsigned longest_run(uint32_t ones) {
    uint32_t twos = ones & ones >> 1, fours = twos & twos >> 2, eights = fours & fours >> 4;
    uint32_t sixteens = eights & eights >> 8, here = UINT32_MAX, longer;
    unsigned n = 0;
    if (ones == UINT32_MAX) return 32;
    if ((longer = here & sixteens) != 0) here = longer, n = 16;
    if ((longer = here & eights >> n) != 0) here = longer, n += 8;
    if ((longer = here & fours >> n) != 0) here = longer, n += 4;
    if ((longer = here & twos >> n) != 0) here = longer, n += 2;
    return (here & ones >> n) != 0 ? n + 1 : n;
}

#endif
