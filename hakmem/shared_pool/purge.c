#include <limits.h>

#include "hakmem/base/clock.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/stock.h"

/* The superslab whose pages go next; NULL when none must. A part of one with huge pages goes only
 * beyond `slack` more units: the rest may soon be free, too, and goes and comes back for less. */
static struct superslab *candidate(size_t keep, size_t slack, uint64_t now) {
    struct superslabs *all = &hak_pool.all;
    if (!list_empty(&all->cache)) {
        struct superslab *oldest = list_entry(all->cache.prev, struct superslab, by_run);
        size_t extra = hak_pool.policy.extra;
        size_t most_units = hak_options.superslab_max_memory_mb * MiB / SLAB_BYTES + extra;
        bool over =
            all->cached > hak_options.superslab_max_cached + extra / SLABS_PER_SUPERSLAB ||
            all->cached_resident > most_units ||
            (int64_t)(now - oldest->freed_ms) > (int64_t)hak_options.superslab_ttl_sec * 1000 ||
            hak_options.ss_lazy_zero;
        if (over || all->resident_free > keep) return oldest;
    }
    if (all->resident_free <= keep || all->resident_runs >> 1 == 0) return NULL;
    struct list *longest = &all->by_resident_run[log2_floor(all->resident_runs)];
    struct superslab *ss = list_entry(longest->prev, struct superslab, by_resident_run);
    return ss->huge && all->resident_free <= keep + slack ? NULL : ss;
}

/* Purges the longest resident unused run of `ss`. The lock is given up meanwhile: the run is
 * marked used so that nobody takes it. Returns units, 0 when the kernel did not purge. */
static unsigned purge_longest_run(struct superslab *ss) {
    struct superslabs *all = &hak_pool.all;
    uint32_t idle = ss->resident & ~ss->used;
    unsigned run = longest_run(idle);
    unsigned index = (unsigned)__builtin_ctz(run_starts(idle, run));
    uint32_t units = run_mask(index, run);
    hak_superslabs_set(all, ss, ss->used | units, ss->resident);
    ss->moving |= units;
    hak_pool.runs_moving++;
    bool split = units != UINT32_MAX && hak_huge_ends(ss);
    hak_pool_release();
    if (HAK_UNLIKELY(split)) hak_os_split_huge(ss->base, SUPERSLAB_BYTES);
    bool purged = hak_os_purge(ss->base + index * SLAB_BYTES, run * SLAB_BYTES);
    hak_pool_acquire();
    hak_pool.runs_moving--;
    ss->moving &= ~units;
    /* Where the kernel refuses (mlocked pages), the units stay resident: never taken for zero. */
    hak_superslabs_set(all, ss, ss->used & ~units, purged ? ss->resident & ~units : ss->resident);
    if (purged) {
        hak_pool.policy.purged += run;
        ss->parted = units != UINT32_MAX;
    }
    return purged ? run : 0;
}

/* Locked pages go with their address space only. Returns units, 0 when `ss` is in use. */
static unsigned unmap_locked(struct superslab *ss) {
    if (!ss->mapped || ss->used != 0) return 0;
    unsigned units = popcount(ss->resident);
    /* Address space that is not used yet may be locked, and then is resident, too. */
    hak_pool.all.region_bytes = SUPERSLAB_BYTES;
    return hak_superslabs_unmap(&hak_pool.all, ss) ? units : 0;
}

/* Purges down to `keep` units and to the cache's bounds, until `most` units are purged. */
static size_t purge_down(size_t keep, size_t slack, uint64_t now, size_t most) {
    size_t units = 0;
    while (units < most) {
        struct superslab *ss = candidate(keep, slack, now);
        if (ss == NULL) break;
        unsigned run = purge_longest_run(ss);
        if (run == 0) run = unmap_locked(ss);
        if (run == 0) break;
        units += run;
        hak_pool.policy.purged_ms = now;
    }
    return units;
}

/* Gives the address space of purged superslabs back, to threads' stacks and to large blocks. */
static size_t unmap_dropped(void) {
    size_t bytes = 0;
    struct list *dropped = &hak_pool.all.dropped;
    while (!list_empty(dropped)) {
        struct superslab *ss = list_entry(dropped->next, struct superslab, by_run);
        if (!hak_superslabs_unmap(&hak_pool.all, ss)) break;
        bytes += SUPERSLAB_BYTES;
    }
    return bytes;
}

/* More is resident than the policy keeps. */
static bool is_above_bound(uint64_t now) {
    return hak_options.purge && candidate(hak_purge_bound(), hak_purge_slack(), now) != NULL;
}

void hak_purge_to_bound(uint64_t now) {
    if (HAK_UNLIKELY(is_above_bound(now)) && hak_giving_begin()) {
        purge_down(hak_purge_bound(), hak_purge_slack(), now, SIZE_MAX);
        hak_giving_end();
    }
    if (HAK_UNLIKELY(hak_pool.policy.scarce)) unmap_dropped();
}

void hak_shared_pool_tick(uint64_t now) {
    hak_pool_acquire();
    hak_orphans_collect();
    hak_pool.ticks++;
    hak_purge_tick(now);
    if (HAK_LIKELY(hak_options.purge) && hak_giving_begin()) {
        purge_down(hak_purge_bound(), 0, now, PURGE_TICK_UNITS);
        hak_sparse_purge(SPARSE_TICK_SLABS);
        hak_giving_end();
    }
    hak_pool_release();
}

void hak_shared_pool_settle(void) {
    uint64_t now = clock_ms();
    hak_pool_acquire();
    hak_purge_to_bound(now);
    hak_pool_release();
}

size_t hak_shared_pool_trim(size_t keep) {
    hak_pool_acquire();
    hak_orphans_collect();
    hak_orphans_end_fresh();
    hak_pool_empty_stock();
    size_t units = purge_down(keep / SLAB_BYTES, 0, clock_ms(), SIZE_MAX);
    hak_pool.ticks += SPARSE_TICKS; /* whatever is sparse now */
    hak_sparse_purge(UINT_MAX);
    hak_pool_release();
    return units * SLAB_BYTES;
}

size_t hak_shared_pool_release_address_space(void) {
    size_t bytes = 0;
    uint64_t now = clock_ms();
    struct superslabs *all = &hak_pool.all;
    hak_pool_acquire();
    hak_orphans_collect();
    hak_orphans_end_fresh();
    store_relaxed(&hak_pool.policy.scarce, true);
    hak_pool_empty_stock();
    hak_pool.policy.scarce_ms = now;
    all->region_bytes = SUPERSLAB_BYTES;
    purge_down(0, 0, now, SIZE_MAX);
    bytes += unmap_dropped();
    /* The rest of the region too: nothing was cut from it yet. */
    size_t rest = (size_t)(all->region_end - all->region);
    if (rest != 0 && hak_os_release(all->region, rest)) {
        all->region = all->region_end = NULL;
        bytes += rest;
    }
    hak_pool_release();
    return bytes;
}
