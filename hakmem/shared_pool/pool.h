/* What everyone shares, and the steps of the layer's files on it. Internal to the layer.
 *
 *   shared_pool.c  the stages: who asks for a slab, who gives an empty one
 *   orphans.c      slabs with blocks outside that no thread owns
 *   policy.c       how much of what is empty stays resident
 *   purge.c        which pages of empty slabs go back, and when
 *   sparse.c       empty pages of slabs with few blocks
 *   huge.c         huge pages where a heap grows
 *   prewarm.c      pages that are there before they are needed
 *   repair.c       a forked child
 *   superslab.c    records, masks, buckets */
#ifndef HAKMEM_SHARED_POOL_POOL_H_
#define HAKMEM_SHARED_POOL_POOL_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/lock.h"
#include "hakmem/os_backend/numa.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/shared_pool/superslab.h"

/* What the purge policy has seen. */
struct purge_policy {
    uint64_t second_ms; /* start of the second in progress */
    size_t purged;      /* units purged in this second */
    size_t refaulted;   /* of these: wanted again */
    size_t extra;       /* units that are kept beyond the base, as purged ones were wanted back */
    size_t beside;      /* the same, where a share of what is in use bounds it */
    bool backed_off;    /* in this second */
    uint64_t busy_ms;   /* that the process worked in seconds, nearly in a row, that were so */
    uint64_t worked_ms; /* clock_worked_ms when the second began */
    size_t lowest;      /* fewest resident unused units in this second */
    uint64_t purged_ms; /* when a purge was last done */
    uint64_t ticked_ms; /* when hak_purge_tick was last called */
    bool wanted;        /* an empty slab was, in this second; set without the lock too */
    unsigned quiet;     /* seconds in a row in which none was */
    bool scarce;        /* address space ran out: empty superslabs are unmapped */
    uint64_t scarce_ms; /* when it last did */
};

/* Where huge pages are slow small ones serve meanwhile. */
struct huge_pace {
    bool trying;      /* one is on its way: until it is there, others take small ones */
    unsigned left;    /* superslabs, to the next try */
    unsigned next;    /* pause, if that is slow too; 0: the first */
    unsigned trusted; /* huge superslabs, to the next look at what programs touch */
};

struct pool {
    struct lock lock; /* guards everything here, all superslab records and all orphans */
    bool ready;
    struct slab_owner orphans; /* owns the slabs that no thread owns */
    struct slab_owner purger;  /* owns the one whose pages are being purged */
    bool purging;              /* there is one */
    uint32_t runs_moving;      /* runs of unused units whose pages are on their way */
    struct list sparse;        /* orphans that may lose pages, by `owned`, the longest first */
    uint32_t ticks;            /* hak_shared_pool_tick, so far */
    struct list partial[CLASSES];
    uint32_t partials[CLASSES]; /* in these lists; read without the lock too */
    uint32_t fresh;             /* of these: prewarmed, and nobody's yet */
    struct superslabs all;
    uint64_t stage[STAGE_COUNT]; /* added to without the lock too */
    struct purge_policy policy;
    struct huge_pace huge;
};

extern struct pool hak_pool;
extern uint64_t (*hak_pool_worked_ms)(void); /* clock_worked_ms; tests have another */
extern uint64_t (*hak_huge_clock)(void);     /* clock_thread_ns; the same */

#ifdef __cplusplus
extern "C" {
#endif
void hak_pool_acquire(void);
void hak_pool_release(void);

/* ---- With the lock held ---- */

/* A slab of `c` from the lowest run of `candidates`, units that no slab uses. NULL: units that are
 * not resident yet do not fit the budget. */
struct slab *hak_pool_carve(struct superslab *ss, uint32_t candidates, unsigned c,
                            struct slab_owner *owner);
/* Makes a run of unused units resident. False: the budget or the kernel refuses. */
bool hak_pool_populate(struct superslab *ss, uint32_t units);
/* The class needs slabs. True: a superslab was taken for it, whose slabs are orphans now. */
bool hak_prewarm_lazy(unsigned c);
/* `c` needed pages: those of the units from `from` on come too, as far as it grew lately. */
void hak_prewarm_adaptive(struct superslab *ss, unsigned c, unsigned from);
/* Of a superslab without pages, for whose first slab, of class `c`, it is taken: huge pages or
 * not; huge ones come at once, and the lock is given up meanwhile. `grows`: as of
 * hak_shared_pool_take. */
void hak_huge_choose(struct superslab *ss, unsigned c, bool grows);
/* Some of its pages are to go: true when hak_os_split_huge must come first, without the lock. */
bool hak_huge_ends(struct superslab *ss);
/* Units that no slab uses any more. */
void hak_pool_return_units(struct superslab *ss, uint32_t units);
/* Ends a slab's use; without the lock too, by whoever has the slab. */
void hak_pool_end_use(struct slab *slab);
/* The stocked slabs go back to their superslabs. */
void hak_pool_empty_stock(void);

/* Looks at orphans that others freed into: empty ones end, those with free blocks are listed. */
void hak_orphans_collect(void);
/* The slab is the pool's from now on; it is in no list. */
void hak_orphans_add(struct slab *slab);
/* Takes an orphan out of every list. */
void hak_orphans_remove(struct slab *slab);
/* A slab of `c` with free blocks, `owner`'s from now on; NULL: none. */
struct slab *hak_orphans_take(unsigned c, struct slab_owner *owner);
/* Lists a fresh slab, of which no block was ever out, as an orphan. */
void hak_orphans_add_fresh(struct slab *slab);
/* Ends those that nobody took yet: their pages are anyone's then. */
void hak_orphans_end_fresh(void);

/* An orphan with few blocks outside: its pages may go when it is still one some time later. */
void hak_sparse_add(struct slab *slab);
/* Purges empty pages of orphans that have been sparse for a while, of so many at most. The lock is
 * given up meanwhile. */
void hak_sparse_purge(unsigned slabs);

/* Time passes: the bound follows what was used, wanted, and wanted back. */
void hak_purge_tick(uint64_t now);
/* `span` units whose pages are gone, or never came, are about to be used. */
void hak_purge_refault(unsigned span);
/* Resident units may have been taken. */
void hak_purge_taken(void);
/* Units of empty slabs that may keep their pages. */
size_t hak_purge_bound(void);
/* So many more may wait for the tick where they are parts of huge pages: of a heap that shrinks
 * most superslabs are soon free as a whole, and huge pages come back for a tenth of what small ones
 * cost. */
size_t hak_purge_slack(void);
/* Purges down to what the policy keeps. */
void hak_purge_to_bound(uint64_t now);
#ifdef __cplusplus
}
#endif

/* The memory node whose slabs the thread prefers. */
HAK_INLINE int hak_pool_node(void) {
    return HAK_LIKELY(hak_numa_nodes() == 1) ? NODE_ANY : (int)hak_numa_node();
}

/* An empty slab is taken for use; without the lock too. */
HAK_INLINE void purge_wanted(void) {
    bool *wanted = &hak_pool.policy.wanted;
    if (HAK_UNLIKELY(!load_relaxed(wanted))) store_relaxed(wanted, true);
}

#endif
