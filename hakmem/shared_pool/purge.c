#include <limits.h>

#include "hakmem/base/clock.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/stock.h"

uint64_t (*hak_pool_worked_ms)(void) = clock_worked_ms;

#define BASE_UNITS (RESIDENT_FREE_BYTES / SLAB_BYTES)

/* A second is over; or several, in which nobody looked. Work counts, not time: a burst lasts longer
 * where the processors have other work too. */
static void seconds_pass(struct purge_policy *p, uint64_t seconds, uint64_t worked_ms) {
    unsigned n = seconds < 31 ? (unsigned)seconds : 31;
    uint64_t worked = worked_ms - p->worked_ms, most = seconds * REFAULT_MS;
    p->worked_ms = worked_ms;
    /* What lay unused all the time beyond the base is not needed: half of it goes. */
    size_t unused = p->lowest > BASE_UNITS ? (p->lowest - BASE_UNITS) / 2 : 0;
    p->extra -= unused < p->extra ? unused : p->extra;
    p->busy_ms = p->backed_off ? p->busy_ms + (worked < most ? worked : most) : p->busy_ms >> n;
    p->backed_off = false;
    p->lowest = hak_pool.all.resident_free;
    p->purged = p->refaulted = 0;
    p->quiet = load_relaxed(&p->wanted) ? 0 : p->quiet + n;
    store_relaxed(&p->wanted, false);
}

/* More is kept from now on by what was wanted back. A burst and then silence must not leave much
 * behind, as nobody may ever come to look: four times as much only where it goes on for seconds. */
static void back_off(struct purge_policy *p) {
    uint64_t busy = (p->busy_ms + REFAULT_MS / 2) / REFAULT_MS;
    unsigned on = busy < 2 ? 0 : busy < 9 ? (unsigned)busy - 1 : 8;
    size_t most = RESIDENT_EXTRA_BYTES / SLAB_BYTES << 2 * on;
    if (p->extra < most)
        p->extra += p->refaulted < most - p->extra ? p->refaulted : most - p->extra;
    p->backed_off = true;
    p->purged = p->refaulted = 0;
}

void hak_purge_tick(uint64_t now) {
    struct purge_policy *p = &hak_pool.policy;
    /* Nobody came for a while: what comes now does not go on, it begins. */
    if ((int64_t)(now - p->ticked_ms) > PAUSE_MS) p->busy_ms = 0;
    if ((int64_t)(now - p->ticked_ms) > 0) p->ticked_ms = now;
    /* A superslab's worth of purges, and a tenth wanted back: that is not worth waiting for the
     * second to end. */
    if (p->purged >= SLABS_PER_SUPERSLAB && p->refaulted * 10 > p->purged) back_off(p);
    /* Threads read the clock before they come in: one may be late. */
    if ((int64_t)(now - p->second_ms) < REFAULT_MS) return;
    seconds_pass(p, (now - p->second_ms) / REFAULT_MS, hak_pool_worked_ms());
    p->second_ms = now;
    if (p->scarce && (int64_t)(now - p->scarce_ms) > SCARCE_MS) {
        store_relaxed(&p->scarce, false);
        hak_pool.all.region_bytes = REGION_FIRST_BYTES;
    }
}

void hak_purge_taken(void) {
    size_t here = hak_pool.all.resident_free;
    if (here < hak_pool.policy.lowest) hak_pool.policy.lowest = here;
}

void hak_purge_refault(unsigned span) {
    struct purge_policy *p = &hak_pool.policy;
    if (p->purged_ms != 0 && clock_ms() - p->purged_ms < REFAULT_MS) p->refaulted += span;
}

/* Units of empty slabs that may keep their pages. */
static size_t resident_bound(void) {
    const struct purge_policy *p = &hak_pool.policy;
    if (p->scarce) return 0;
    size_t units = BASE_UNITS + p->extra, least = RESIDENT_QUIET_BYTES / SLAB_BYTES;
    /* What nobody wants halves from second to second. */
    unsigned halvings = p->quiet > RESIDENT_QUIET ? p->quiet - RESIDENT_QUIET : 0;
    units = halvings < 32 ? units >> halvings : 0;
    if (units < least) units = least;
    size_t stocked = hak_stock_count();
    return units > stocked ? units - stocked : 0;
}

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
    ss->purging |= units;
    hak_pool.runs_purging++;
    bool split = units != UINT32_MAX && hak_huge_ends(ss);
    hak_pool_release();
    if (HAK_UNLIKELY(split)) hak_os_split_huge(ss->base, SUPERSLAB_BYTES);
    bool purged = hak_os_purge(ss->base + index * SLAB_BYTES, run * SLAB_BYTES);
    hak_pool_acquire();
    hak_pool.runs_purging--;
    ss->purging &= ~units;
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

/* Parts of huge pages wait for the tick, within bounds: of a heap that shrinks most superslabs are
 * soon free as a whole, and huge pages come back for a tenth of what small ones cost. */
static size_t slack(void) {
    size_t least = RESIDENT_SLACK_BYTES / SLAB_BYTES;
    size_t share = hak_pool.all.used / RESIDENT_SLACK_SHARE;
    return hak_pool.policy.scarce ? 0 : share > least ? share : least;
}

/* More is resident than the policy keeps. */
static bool is_above_bound(uint64_t now) {
    return hak_options.purge && candidate(resident_bound(), slack(), now) != NULL;
}

void hak_purge_to_bound(uint64_t now) {
    if (HAK_UNLIKELY(is_above_bound(now)) && hak_giving_begin()) {
        purge_down(resident_bound(), slack(), now, SIZE_MAX);
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
        purge_down(resident_bound(), 0, now, PURGE_TICK_UNITS);
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
