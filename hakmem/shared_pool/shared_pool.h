/* Everyone's slabs and superslabs: staged acquisition, tiers, the LRU cache, purging.
 *
 * Stages, each O(1), in order: partial, resident, cached while it has pages, purged, cached without
 * pages, mapped (enum pool_stage).
 * A superslab with used slabs is in two buckets: by its longest unused run, and by its longest
 * unused run whose pages are there. The smallest bucket that fits serves, so fuller superslabs
 * fill first and the emptier ones (DRAINING) empty.
 *
 *      mapped --> HOT / DRAINING --> FREE: LRU cache (pages kept) --> dropped (purged)
 *                      ^------------------------'----------------------'
 *
 * Resident slabs of one unit go from thread to thread through a stock that takes no lock (stock.h).
 * One lock guards all the rest and every orphan slab. It is never held while pages are purged. It
 * is held while address space is mapped: mapping touches no page, and two threads that need a
 * superslab at once should share one. */
#ifndef HAKMEM_SHARED_POOL_SHARED_POOL_H_
#define HAKMEM_SHARED_POOL_SHARED_POOL_H_

#include "hakmem/base/base.h"
#include "hakmem/slab/slab.h"

enum pool_stage {
    STAGE_PARTIAL,
    STAGE_RESIDENT,
    STAGE_PURGED,
    STAGE_CACHED,
    STAGE_MAPPED,
    STAGE_COUNT
};

struct shared_pool_stats {
    uint64_t stage[STAGE_COUNT];
    uint64_t superslabs, hot, draining, free;
    uint64_t live_bytes;          /* blocks out of slabs */
    uint64_t free_bytes;          /* blocks in slabs that are carved */
    uint64_t resident_free_bytes; /* empty slabs whose pages are kept */
    uint64_t resident_bytes;      /* these and the slabs in use */
};

#ifdef __cplusplus
extern "C" {
#endif

/* A slab of class `c` with free blocks, owned by `owner`. NULL: out of memory. `grows`: the owner
 * has several of the class, which are full; the slab will be, too. */
struct slab *hak_shared_pool_take(unsigned c, struct slab_owner *owner, bool grows);
/* The same from the partial stage only: never maps, never carves. */
struct slab *hak_shared_pool_take_partial(unsigned c, struct slab_owner *owner);
/* Slabs of class `c` in the partial stage. A glance, without the lock. */
uint32_t hak_shared_pool_partials(unsigned c);
/* Takes back a slab without blocks outside. It must be in no list. */
void hak_shared_pool_give_empty(struct slab *slab);
/* To be called after blocks were given to a slab by hak_slab_give_remote*: an orphan that is empty
 * then is taken back at once, as nobody may ever look for it. */
void hak_shared_pool_freed_into(struct slab *slab);
/* No thread owns the slab: the one that did has ended, or gave it up. A glance, for messages. */
bool hak_shared_pool_is_orphan(const struct slab *slab);
/* Takes back a slab with blocks outside: it becomes an orphan that any thread may adopt. */
void hak_shared_pool_orphan(struct slab *slab);
/* Orphans every slab of `owner`, found by walking all superslabs and counted from their bits: for
 * owners that stopped in mid-step (the other threads, in a forked child). */
void hak_shared_pool_orphan_all(struct slab_owner *owner);
/* In a forked child: some other thread, which need have no heap, was purging, or had a
 * huge page come. */
bool hak_shared_pool_is_purging(void);
/* In a forked child, after the dead threads' slabs were orphaned: puts right what they left in
 * mid-step. Units that are carved for no slab are free again; pending stacks are made anew. `mine`
 * is the only living owner, or NULL. */
void hak_shared_pool_repair(struct slab_owner *mine);
/* Fills the partial stage with `count` superslabs' worth of resident slabs of class `c`. What
 * nobody took of them goes back by hak_shared_pool_trim and hak_shared_pool_release_address_space,
 * as all that is free. */
bool hak_shared_pool_prewarm(unsigned c, unsigned count);
/* The same, a superslab at a time, when the class first needs slabs. */
void hak_shared_pool_prewarm_lazily(unsigned c, unsigned count);
/* From now on, when the class needs pages, more are made resident behind them: as much again at
 * each need within a second or two, `count` superslabs' worth a second at most. 0: no longer. */
void hak_shared_pool_prewarm_adaptively(unsigned c, unsigned count);
/* Time passes, in a program that may not come here for long: what nobody wants any more goes back.
 * `now`: clock_ms. */
void hak_shared_pool_tick(uint64_t now);
/* A thread's use falls, and is expected to rise by so many units again: when they are empty so many
 * more keep their pages. */
void hak_shared_pool_expect(size_t units);
/* Purges down to what is kept: what frees left to a thread that reclaimed. */
void hak_shared_pool_settle(void);
/* Empties the stock, and purges empty slabs down to `keep` resident bytes. Returns the bytes that
 * went back. */
size_t hak_shared_pool_trim(size_t keep);
/* Unmaps the empty superslabs: for when address space has run out. For SCARCE_MS from
 * then on they are unmapped as they empty. Returns bytes. */
size_t hak_shared_pool_release_address_space(void);
/* Every count agrees with what it counts, and every slab with itself. Only while no thread is in
 * the allocator; but threads may be at hak_shared_pool_tick and hak_shared_pool_trim. */
bool hak_shared_pool_agrees(void);
/* Of slabs in use and of empty ones that keep their pages. */
size_t hak_shared_pool_resident_bytes(void);
void hak_shared_pool_stats(struct shared_pool_stats *out);
/* Around fork: no superslab is in mid-change in between. */
void hak_shared_pool_lock(void);
void hak_shared_pool_unlock(void);

#ifdef __cplusplus
}
#endif

#endif
