#include "hakmem/shared_pool/shared_pool.h"

#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/stock.h"

struct pool hak_pool;

void hak_pool_acquire(void) {
    lock_acquire(&hak_pool.lock);
    if (HAK_LIKELY(hak_pool.ready)) return;
    for (unsigned c = 0; c < CLASSES; c++) list_init(&hak_pool.partial[c]);
    list_init(&hak_pool.sparse);
    hak_superslabs_init(&hak_pool.all);
    hak_pool.ready = true;
}

void hak_pool_release(void) { lock_release(&hak_pool.lock); }

void hak_shared_pool_lock(void) { hak_pool_acquire(); }
void hak_shared_pool_unlock(void) { hak_pool_release(); }

/* ---- Units in and out of superslabs --------------------------------------------------------- */

void hak_pool_return_units(struct superslab *ss, uint32_t units) {
    hak_superslabs_set(&hak_pool.all, ss, ss->used & ~units, ss->resident);
}

void hak_pool_empty_stock(void) {
    for (struct slab *slab = hak_stock_pop(); slab != NULL; slab = hak_stock_pop()) {
        hak_pool_return_units(slab_superslab(slab), run_mask(slab->index, 1));
    }
}

/* Ends a slab's use. A late pusher must find an owner whose stack stays open, and the last thread's
 * may be closed by then: the orphans' never is. The slab is out of use before it is theirs. */
void hak_pool_end_use(struct slab *slab) {
    list_remove(&slab->owned);
    list_remove(&slab->listed);
    hak_slab_uncarve(slab);
    store_release(&slab->owner, &hak_pool.orphans);
}

/* ---- Stages --------------------------------------------------------------------------------- */

struct slab *hak_pool_carve(struct superslab *ss, uint32_t candidates, unsigned c,
                            struct slab_owner *owner) {
    unsigned span = hak_size_class[c].span;
    uint32_t starts = run_starts(candidates, span);
    hak_assert(starts != 0);
    unsigned index = (unsigned)__builtin_ctz(starts);
    uint32_t units = run_mask(index, span);
    unsigned fresh = popcount(units & ~ss->resident);
    if (fresh != 0 && !hak_budget_take(fresh * SLAB_BYTES)) return NULL;
    hak_superslabs_set(&hak_pool.all, ss, ss->used | units, ss->resident | units);
    struct slab *slab = &ss->slabs[index];
    hak_slab_carve(slab, c, owner);
    return slab;
}

/* Pages that are touched for the first time: where its class grows, those behind it come along. */
static struct slab *carve_fresh(struct superslab *ss, unsigned c, struct slab_owner *owner) {
    struct slab *slab = hak_pool_carve(ss, ~ss->used, c, owner);
    if (slab != NULL) hak_prewarm_adaptive(ss, c, slab->index + slab->span);
    return slab;
}

/* By stages, of one memory node or of any. */
static struct slab *take_empty(unsigned c, struct slab_owner *owner, int node, bool grows,
                               enum pool_stage *stage) {
    struct superslabs *all = &hak_pool.all;
    unsigned span = hak_size_class[c].span;
    struct superslab *ss = hak_superslabs_find(all, span, true, node);
    *stage = STAGE_RESIDENT;
    if (ss != NULL) return hak_pool_carve(ss, ss->resident & ~ss->used, c, owner);
    /* Pages that are there are worth more than a fuller superslab: the cache comes before the
     * purged stage while it has any. */
    ss = hak_superslabs_first(&all->cache, node);
    *stage = STAGE_CACHED;
    if (ss != NULL) {
        uint32_t resident = ss->resident & ~ss->used;
        return hak_pool_carve(ss, run_starts(resident, span) ? resident : ~ss->used, c, owner);
    }
    hak_purge_refault(span);
    ss = hak_superslabs_find(all, span, false, node);
    *stage = STAGE_PURGED;
    if (ss != NULL) return carve_fresh(ss, c, owner);
    *stage = STAGE_CACHED;
    ss = hak_superslabs_first(&all->dropped, node);
    if (ss == NULL) {
        *stage = STAGE_MAPPED;
        ss = hak_superslabs_map(all, node);
        if (ss == NULL) return NULL;
        if (hak_options.ss_prefault) hak_pool_populate(ss, UINT32_MAX);
    }
    hak_huge_choose(ss, c, grows);
    return carve_fresh(ss, c, owner);
}

/* Of the thread's own memory node, if there are several; of any where that has no more. */
static struct slab *take_near(unsigned c, struct slab_owner *owner, bool grows,
                              enum pool_stage *stage) {
    int node = hak_pool_node();
    struct slab *slab = take_empty(c, owner, node, grows, stage);
    if (slab == NULL && node != NODE_ANY) slab = take_empty(c, owner, NODE_ANY, grows, stage);
    return slab;
}

/* An empty slab from the stock, without the lock. */
static struct slab *take_stocked(unsigned c, struct slab_owner *owner) {
    if (hak_size_class[c].span != 1) return NULL;
    struct slab *slab = hak_stock_pop();
    if (slab == NULL) return NULL;
    purge_wanted();
    hak_slab_carve(slab, c, owner);
    fetch_add_relaxed(&hak_pool.stage[STAGE_RESIDENT], 1u);
    return slab;
}

struct slab *hak_shared_pool_take(unsigned c, struct slab_owner *owner, bool grows) {
    struct slab *slab = hak_shared_pool_take_partial(c, owner);
    if (slab == NULL) slab = take_stocked(c, owner);
    if (slab != NULL) return slab;
    purge_wanted();
    hak_pool_acquire();
    enum pool_stage stage = STAGE_PARTIAL;
    slab = hak_prewarm_lazy(c) ? hak_orphans_take(c, owner) : take_near(c, owner, grows, &stage);
    hak_purge_taken();
    hak_pool_release();
    if (slab == NULL) return NULL;
    /* An orphan that came just now may be listed before those that were made. */
    if (HAK_UNLIKELY(slab->checked)) hak_slab_restore_marks(slab, owner->cookie);
    fetch_add_relaxed(&hak_pool.stage[stage], 1u);
    return slab;
}

void hak_shared_pool_give_empty(struct slab *slab) {
    uint32_t units = run_mask(slab->index, slab->span);
    /* Where pages or address space are to go back at once, or to stay with their memory node,
     * nothing is stocked. */
    bool scarce = load_relaxed(&hak_pool.policy.scarce);
    bool stock = slab->span == 1 && !scarce && !hak_options.ss_lazy_zero && hak_numa_nodes() == 1;
    hak_pool_end_use(slab);
    if (stock && hak_stock_push(slab)) return;
    uint64_t now = clock_ms();
    hak_pool_acquire();
    hak_pool_return_units(slab_superslab(slab), units);
    hak_purge_tick(now);
    hak_purge_to_bound(now);
    hak_pool_release();
}

bool hak_shared_pool_agrees(void) {
    hak_pool_acquire();
    hak_orphans_collect();
    bool agrees = hak_superslabs_agree(&hak_pool.all);
    hak_pool_release();
    return agrees;
}

size_t hak_shared_pool_resident_bytes(void) {
    size_t units = 0;
    hak_pool_acquire();
    for (struct superslab *ss = hak_pool.all.all; ss != NULL; ss = ss->next) {
        units += popcount(ss->resident);
    }
    hak_pool_release();
    return units * SLAB_BYTES;
}

void hak_shared_pool_stats(struct shared_pool_stats *out) {
    *out = (struct shared_pool_stats){{0}, 0, 0, 0, 0, 0, 0, 0, 0};
    hak_pool_acquire();
    for (unsigned i = 0; i < STAGE_COUNT; i++) out->stage[i] = load_relaxed(&hak_pool.stage[i]);
    out->resident_free_bytes = (hak_pool.all.resident_free + hak_stock_count()) * SLAB_BYTES;
    out->superslabs = hak_pool.all.mapped;
    for (struct superslab *ss = hak_pool.all.all; ss != NULL; ss = ss->next) {
        if (!ss->mapped) continue;
        out->resident_bytes += popcount(ss->resident) * SLAB_BYTES;
        unsigned used = popcount(ss->used);
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            if (load_relaxed(&ss->slabs[i].stocked)) used--;
        }
        if (used == 0) {
            out->free++;
        } else if (used > SLABS_PER_SUPERSLAB / 4) {
            out->hot++;
        } else {
            out->draining++;
        }
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            struct slab *slab = &ss->slabs[i];
            if (load_relaxed(&slab->span) == 0) continue;
            /* Owners count on while this reads: exact when they rest. */
            uint64_t here = hak_slab_count_free(slab);
            uint64_t bytes = hak_size_class[load_relaxed(&slab->class_index)].block_bytes;
            out->live_bytes += (load_relaxed(&slab->capacity) - here) * bytes;
            out->free_bytes += here * bytes;
        }
    }
    hak_pool_release();
}
