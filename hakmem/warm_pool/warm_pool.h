/* This thread's slabs: those with free blocks, by class, and a few empty resident ones that any
 * class may take. One thread uses a warm pool at a time; only its pending stack is written by
 * others. Refuses: blocks in motion (tls_front), other threads' slabs. */
#ifndef HAKMEM_WARM_POOL_WARM_POOL_H_
#define HAKMEM_WARM_POOL_WARM_POOL_H_

#include "hakmem/base/base.h"
#include "hakmem/base/list.h"
#include "hakmem/slab/slab.h"
#include "hakmem/warm_pool/swings.h"

struct warm_class {
    struct list slabs; /* with free blocks; the one in use first */
    uint32_t count;
    uint32_t owned;    /* all of this thread with blocks outside */
    uint32_t prefill;  /* slabs to take ahead at the next miss: grows while misses follow closely */
    uint64_t requests; /* of slabs; hits + misses */
    uint64_t hits, misses, prefilled;
    uint64_t last_miss; /* `requests` at that time */
};

struct warm_pool {
    struct slab_owner owner;
    struct list owned; /* every slab of this thread, by `owned` */
    struct list empty; /* slabs without blocks outside, by `listed`; at most empties_max */
    uint32_t empties;
    uint32_t empties_max; /* to WARM_EMPTY_SLABS: one more for each that was given up too early */
    uint32_t empties_low; /* fewest of them since the last hak_warm_pool_cool */
    uint32_t given_up;    /* empty slabs given up since then and not wanted back yet */
    struct swings swings;
    struct warm_class classes[CLASSES];
};

#ifdef __cplusplus
extern "C" {
#endif
void hak_warm_pool_init(struct warm_pool *wp);
/* A slab of `c` with free blocks; it stays listed. NULL: out of memory. */
struct slab *hak_warm_pool_get(struct warm_pool *wp, unsigned c);
/* The slab of `c` in use, with free blocks; NULL when there is none. Not a request. */
struct slab *hak_warm_pool_peek(struct warm_pool *wp, unsigned c);
/* To be called when blocks were taken from `slab`: one without free blocks leaves its list. */
void hak_warm_pool_taken(struct warm_pool *wp, struct slab *slab);
/* To be called when blocks were given to `slab`, which had `out_before` blocks outside. The slab
 * may be gone afterwards. */
void hak_warm_pool_given(struct warm_pool *wp, struct slab *slab, unsigned out_before);
/* Takes in what other threads freed into this pool's slabs. */
void hak_warm_pool_collect(struct warm_pool *wp);
/* Gives up the empty slabs that were not needed since the last call, and all but one of a class
 * that are mostly free and were so, with as many blocks, at the last call: others may use them, or
 * their pages go. */
void hak_warm_pool_cool(struct warm_pool *wp);
/* Gives the empty slabs, and those that are mostly free, to the shared pool. */
void hak_warm_pool_trim(struct warm_pool *wp);
/* Gives every slab to the shared pool: the thread goes idle. */
void hak_warm_pool_give_up(struct warm_pool *wp);
/* The same for good: closes the pending stack too. */
void hak_warm_pool_release(struct warm_pool *wp);
/* The same after a fork, for a thread that stopped in mid-step: its lists are not trusted.
 * hak_shared_pool_repair must follow. */
void hak_warm_pool_abandon(struct warm_pool *wp);
/* After that: `mine`, or NULL, is the only one left. */
void hak_warm_pool_recount(const struct warm_pool *mine);
#ifdef __cplusplus
}
#endif

/* It has nothing to do for most slabs: they stay listed, with many blocks outside. */
HAK_INLINE bool warm_pool_stays(const struct slab *slab) {
    return slab->out > slab->capacity / 4u && !list_empty(&slab->listed);
}

#endif
