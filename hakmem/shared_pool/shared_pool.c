#include "hakmem/shared_pool/shared_pool.h"

#include "hakmem/base/clock.h"
#include "hakmem/base/lock.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/stock.h"
#include "hakmem/shared_pool/superslab.h"

static struct {
    struct lock lock; /* guards everything here, all superslab records and all orphans */
    bool ready;
    struct slab_owner orphans; /* owns the slabs that no thread owns */
    struct list partial[CLASSES];
    uint32_t partials[CLASSES]; /* in these lists; read without the lock too */
    struct superslabs all;
    uint64_t stage[STAGE_COUNT]; /* added to without the lock too */
    /* Purge policy. */
    uint64_t epoch_ms;  /* start of the second in progress */
    size_t peak_used;   /* units, most in the last seconds */
    size_t purged;      /* units purged in this second */
    size_t refaulted;   /* of these: wanted again */
    unsigned backoff;   /* doublings of the resident bound */
    uint64_t purged_ms; /* when a purge was last done */
    bool scarce;        /* address space ran out: empty superslabs are unmapped */
    uint64_t scarce_ms; /* when it last did */
} pool;

#define BACKOFF_MAX 4

static void acquire(void) {
    lock_acquire(&pool.lock);
    if (HAK_LIKELY(pool.ready)) return;
    for (unsigned c = 0; c < CLASSES; c++) list_init(&pool.partial[c]);
    hak_superslabs_init(&pool.all);
    pool.ready = true;
}

static void release(void) { lock_release(&pool.lock); }

void hak_shared_pool_lock(void) { acquire(); }
void hak_shared_pool_unlock(void) { release(); }

/* ---- Units in and out of superslabs (lock held) --------------------------------------------- */

static void return_units(struct superslab *ss, uint32_t units) {
    hak_superslabs_set(&pool.all, ss, ss->used & ~units, ss->resident);
}

/* Ends a slab's use. A late pusher must find an owner whose stack stays open, and the last thread's
 * may be closed by then: the orphans' never is. The slab is out of use before it is theirs. */
static void end_use(struct slab *slab) {
    list_remove(&slab->owned);
    list_remove(&slab->listed);
    hak_slab_uncarve(slab);
    store_release(&slab->owner, &pool.orphans);
}

static void uncarve_orphan(struct slab *slab) {
    uint32_t units = run_mask(slab->index, slab->span);
    store_relaxed(&slab->orphan, false);
    end_use(slab);
    return_units(slab_superslab(slab), units);
}

static void empty_stock(void) {
    for (struct slab *slab = hak_stock_pop(); slab != NULL; slab = hak_stock_pop()) {
        return_units(slab_superslab(slab), run_mask(slab->index, 1));
    }
}

/* For the orphans' stack and lists, without the lock: a slab that is missed now is found later. */
static bool may_have_orphans(unsigned c) {
    return load_relaxed(&pool.orphans.pending) != NULL || load_relaxed(&pool.partials[c]) != 0;
}

static void list_partial(struct slab *slab, bool first) {
    struct list *list = &pool.partial[slab->class_index];
    if (first) {
        list_push_front(list, &slab->listed);
    } else {
        list_push_back(list, &slab->listed);
    }
    count_add(&pool.partials[slab->class_index], 1);
}

static void unlist_partial(struct slab *slab) {
    if (list_empty(&slab->listed)) return;
    list_remove(&slab->listed);
    count_add(&pool.partials[slab->class_index], -1);
}

/* An orphan whose remote bits may have changed: empty ones end, others are listed if they have
 * free blocks. Slabs of superslabs in use beyond a quarter go first, so the others empty. */
static void place_orphan(struct slab *slab) {
    hak_slab_collect(slab);
    unlist_partial(slab);
    if (slab->out == 0) {
        uncarve_orphan(slab);
        return;
    }
    if (!slab_has_free(slab)) return;
    list_partial(slab, popcount(slab_superslab(slab)->used) > SLABS_PER_SUPERSLAB / 4);
}

/* The slab is the pool's from now on; it is in no list. */
static void make_orphan(struct slab *slab) {
    hak_slab_set_owner(slab, &pool.orphans);
    store_relaxed(&slab->orphan, true);
    place_orphan(slab);
}

static void collect_orphans(void) {
    struct slab *slab = hak_slab_take_pending(&pool.orphans);
    while (slab != NULL) {
        struct slab *next = slab->pending_next;
        if (slab->orphan) {
            hak_slab_clear_pending(slab);
            place_orphan(slab);
        } else {
            hak_slab_forward_pending(slab);
        }
        slab = next;
    }
}

/* ---- Purging -------------------------------------------------------------------------------- */

static void tick(uint64_t now) {
    /* A superslab's worth of purges, and a tenth wanted back: more is kept from now on, without
     * waiting for the second to end. */
    if (pool.purged >= SLABS_PER_SUPERSLAB && pool.refaulted * 10 > pool.purged) {
        if (pool.backoff < BACKOFF_MAX) pool.backoff++;
        pool.purged = pool.refaulted = 0;
    }
    if (pool.all.used > pool.peak_used) pool.peak_used = pool.all.used;
    if (now - pool.epoch_ms < REFAULT_MS) return;
    pool.epoch_ms = now;
    if (pool.scarce && now - pool.scarce_ms > SCARCE_MS) {
        store_relaxed(&pool.scarce, false);
        pool.all.region_bytes = REGION_FIRST_BYTES;
    }
    pool.peak_used = pool.all.used > pool.peak_used / 2 ? pool.all.used : pool.peak_used / 2;
    if (pool.backoff > 0 && pool.refaulted * 10 <= pool.purged) pool.backoff--;
    pool.purged = pool.refaulted = 0;
}

/* Units of empty slabs that may keep their pages. */
static size_t resident_bound(void) {
    size_t bytes = pool.peak_used * SLAB_BYTES / 4;
    if (bytes < RESIDENT_FREE_MIN) bytes = RESIDENT_FREE_MIN;
    if (bytes > RESIDENT_FREE_MAX) bytes = RESIDENT_FREE_MAX;
    bytes <<= pool.backoff;
    if (bytes > RESIDENT_FREE_BACKOFF) bytes = RESIDENT_FREE_BACKOFF;
    return bytes / SLAB_BYTES;
}

/* The superslab whose pages go next; NULL when none must. */
static struct superslab *purge_candidate(size_t keep, uint64_t now) {
    struct superslabs *all = &pool.all;
    if (!list_empty(&all->cache)) {
        struct superslab *oldest = list_entry(all->cache.prev, struct superslab, by_run);
        bool over =
            all->cached > hak_options.superslab_max_cached ||
            all->cached_resident * SLAB_BYTES >
                (hak_options.superslab_max_memory_mb * MiB << pool.backoff) ||
            (int64_t)(now - oldest->freed_ms) > (int64_t)hak_options.superslab_ttl_sec * 1000 ||
            hak_options.ss_lazy_zero;
        if (over || all->resident_free > keep) return oldest;
    }
    if (all->resident_free <= keep || all->resident_runs >> 1 == 0) return NULL;
    unsigned bucket = log2_floor(all->resident_runs);
    return list_entry(all->by_resident_run[bucket].prev, struct superslab, by_resident_run);
}

/* Purges the longest resident unused run of `ss`. The lock is given up meanwhile: the run is
 * marked used so that nobody takes it. Returns units, 0 when the kernel did not purge. */
static unsigned purge_longest_run(struct superslab *ss) {
    uint32_t idle = ss->resident & ~ss->used;
    unsigned run = longest_run(idle);
    unsigned index = (unsigned)__builtin_ctz(run_starts(idle, run));
    uint32_t units = run_mask(index, run);
    hak_superslabs_set(&pool.all, ss, ss->used | units, ss->resident);
    release();
    bool purged = hak_os_purge(ss->base + index * SLAB_BYTES, run * SLAB_BYTES);
    acquire();
    /* Where the kernel refuses (mlocked pages), the units stay resident: never taken for zero. */
    hak_superslabs_set(&pool.all, ss, ss->used & ~units,
                       purged ? ss->resident & ~units : ss->resident);
    if (purged) pool.purged += run;
    return purged ? run : 0;
}

/* Locked pages go with their address space only. Returns units, 0 when `ss` is in use. */
static unsigned unmap_locked(struct superslab *ss) {
    if (!ss->mapped || ss->used != 0) return 0;
    unsigned units = popcount(ss->resident);
    /* Address space that is not used yet may be locked, and then is resident, too. */
    pool.all.region_bytes = SUPERSLAB_BYTES;
    return hak_superslabs_unmap(&pool.all, ss) ? units : 0;
}

/* Purges down to `keep` units and to the cache's bounds. */
static size_t purge_down(size_t keep) {
    size_t units = 0;
    uint64_t now = clock_ms();
    for (;;) {
        struct superslab *ss = purge_candidate(keep, now);
        if (ss == NULL) return units;
        unsigned run = purge_longest_run(ss);
        if (run == 0) run = unmap_locked(ss);
        if (run == 0) return units;
        units += run;
        pool.purged_ms = now;
    }
}

/* Gives the address space of purged superslabs back, to threads' stacks and to large blocks. */
static size_t unmap_dropped(void) {
    size_t bytes = 0;
    while (!list_empty(&pool.all.dropped)) {
        struct superslab *ss = list_entry(pool.all.dropped.next, struct superslab, by_run);
        if (!hak_superslabs_unmap(&pool.all, ss)) break;
        bytes += SUPERSLAB_BYTES;
    }
    return bytes;
}

/* ---- Stages --------------------------------------------------------------------------------- */

static struct slab *take_partial(unsigned c, struct slab_owner *owner) {
    collect_orphans();
    struct list *list = &pool.partial[c];
    if (list_empty(list)) return NULL;
    struct slab *slab = list_entry(list->next, struct slab, listed);
    unlist_partial(slab);
    store_relaxed(&slab->orphan, false);
    hak_slab_set_owner(slab, owner);
    return slab;
}

static struct slab *carve_from(struct superslab *ss, uint32_t candidates, unsigned c,
                               struct slab_owner *owner) {
    unsigned span = hak_size_class[c].span;
    uint32_t starts = run_starts(candidates, span);
    hak_assert(starts != 0);
    unsigned index = (unsigned)__builtin_ctz(starts);
    uint32_t units = run_mask(index, span);
    hak_superslabs_set(&pool.all, ss, ss->used | units, ss->resident | units);
    struct slab *slab = &ss->slabs[index];
    hak_slab_carve(slab, c, owner);
    return slab;
}

static struct slab *take_empty(unsigned c, struct slab_owner *owner, enum pool_stage *stage) {
    struct superslabs *all = &pool.all;
    unsigned span = hak_size_class[c].span;
    struct superslab *ss = hak_superslabs_find(all, span, true);
    *stage = STAGE_RESIDENT;
    if (ss != NULL) return carve_from(ss, ss->resident & ~ss->used, c, owner);
    /* Pages that are there are worth more than a fuller superslab: the cache comes before the
     * purged stage while it has any. */
    if (!list_empty(&all->cache)) {
        *stage = STAGE_CACHED;
        ss = list_entry(all->cache.next, struct superslab, by_run);
        uint32_t resident = ss->resident & ~ss->used;
        return carve_from(ss, run_starts(resident, span) ? resident : ~ss->used, c, owner);
    }
    if (pool.purged_ms != 0 && clock_ms() - pool.purged_ms < REFAULT_MS) pool.refaulted += span;
    ss = hak_superslabs_find(all, span, false);
    *stage = STAGE_PURGED;
    if (ss != NULL) return carve_from(ss, ~ss->used, c, owner);
    *stage = STAGE_CACHED;
    if (!list_empty(&all->dropped)) {
        ss = list_entry(all->dropped.next, struct superslab, by_run);
        return carve_from(ss, ~ss->used, c, owner);
    }
    *stage = STAGE_MAPPED;
    ss = hak_superslabs_map(all);
    if (ss == NULL) return NULL;
    if (hak_options.ss_prefault && hak_os_populate(ss->base, SUPERSLAB_BYTES)) {
        hak_superslabs_set(all, ss, 0, UINT32_MAX);
    }
    return carve_from(ss, ~ss->used, c, owner);
}

struct slab *hak_shared_pool_take_partial(unsigned c, struct slab_owner *owner) {
    if (!may_have_orphans(c)) return NULL;
    acquire();
    struct slab *slab = take_partial(c, owner);
    release();
    if (slab != NULL) fetch_add_relaxed(&pool.stage[STAGE_PARTIAL], 1u);
    return slab;
}

/* An empty slab from the stock, without the lock. */
static struct slab *take_stocked(unsigned c, struct slab_owner *owner) {
    if (hak_size_class[c].span != 1) return NULL;
    struct slab *slab = hak_stock_pop();
    if (slab == NULL) return NULL;
    hak_slab_carve(slab, c, owner);
    fetch_add_relaxed(&pool.stage[STAGE_RESIDENT], 1u);
    return slab;
}

struct slab *hak_shared_pool_take(unsigned c, struct slab_owner *owner) {
    struct slab *slab = hak_shared_pool_take_partial(c, owner);
    if (slab == NULL) slab = take_stocked(c, owner);
    if (slab != NULL) return slab;
    acquire();
    enum pool_stage stage;
    slab = take_empty(c, owner, &stage);
    if (pool.all.used > pool.peak_used) pool.peak_used = pool.all.used;
    release();
    if (slab != NULL) fetch_add_relaxed(&pool.stage[stage], 1u);
    return slab;
}

void hak_shared_pool_give_empty(struct slab *slab) {
    uint32_t units = run_mask(slab->index, slab->span);
    /* Where pages or address space are to go back at once, nothing is stocked. */
    bool stock = slab->span == 1 && !load_relaxed(&pool.scarce) && !hak_options.ss_lazy_zero;
    end_use(slab);
    if (stock && hak_stock_push(slab)) return;
    acquire();
    return_units(slab_superslab(slab), units);
    tick(clock_ms());
    purge_down(pool.scarce ? 0 : resident_bound());
    if (HAK_UNLIKELY(pool.scarce)) unmap_dropped();
    release();
}

void hak_shared_pool_freed_into(struct slab *slab) {
    if (HAK_LIKELY(!load_relaxed(&slab->orphan))) return;
    /* Counted beside others that free: one of them counts all of its blocks, the last one. */
    if (hak_slab_count_free(slab) != load_relaxed(&slab->capacity)) return;
    acquire();
    collect_orphans();
    if (slab->orphan) place_orphan(slab); /* its note may lie on an earlier owner's stack */
    tick(clock_ms());
    purge_down(pool.scarce ? 0 : resident_bound());
    release();
}

void hak_shared_pool_orphan(struct slab *slab) {
    acquire();
    list_remove(&slab->owned);
    list_remove(&slab->listed);
    make_orphan(slab);
    release();
}

void hak_shared_pool_orphan_all(struct slab_owner *owner) {
    acquire();
    for (struct superslab *ss = pool.all.all; ss != NULL; ss = ss->next) {
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            struct slab *slab = &ss->slabs[i];
            if (slab->span == 0 || slab->owner != owner) continue;
            /* The lists it was in are the stopped owner's and may be torn: forget them. */
            list_init(&slab->owned);
            list_init(&slab->listed);
            /* Counted from the bits; remote ones count as out until they are collected. */
            slab->out = slab->capacity;
            slab->low = 0;
            uint64_t *bits = ss->free_bits[i];
            for (unsigned w = 0; w < (slab->capacity + 63u) / 64; w++) {
                slab->out = (uint16_t)(slab->out - popcount(bits[w]));
            }
            make_orphan(slab);
        }
    }
    release();
}

static void repair_superslab(struct superslab *ss) {
    uint32_t used = 0;
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        struct slab *slab = &ss->slabs[i];
        /* Read first: a store would copy the page that the parent shares. */
        if (slab->pending != 0) slab->pending = 0;
        if (slab->stocked) slab->stocked = false;
        if (slab->span != 0) used |= run_mask(i, slab->span);
    }
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        char *base = ss->base + i * SLAB_BYTES;
        bool free = (used >> i & 1) == 0;
        if (free && registry_word(base) != WORD_UNUSED) hak_registry_set(base, 1, WORD_UNUSED);
    }
    if (used != ss->used) hak_superslabs_set(&pool.all, ss, used, ss->resident);
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        struct slab *slab = &ss->slabs[i];
        uint64_t any = 0;
        for (unsigned w = 0; w < (slab->capacity + 63u) / 64; w++) any |= ss->remote_bits[i][w];
        if (any == 0) continue;
        slab->pending = 1;
        hak_slab_push_pending(slab);
    }
}

void hak_shared_pool_repair(struct slab_owner *mine) {
    acquire();
    store_relaxed(&pool.orphans.pending, NULL);
    hak_stock_forget();
    if (mine != NULL) store_relaxed(&mine->pending, NULL);
    for (struct superslab *ss = pool.all.all; ss != NULL; ss = ss->next) {
        if (ss->mapped) repair_superslab(ss);
    }
    release();
}

bool hak_shared_pool_prewarm(unsigned c, unsigned count) {
    acquire();
    bool ok = true;
    unsigned span = hak_size_class[c].span;
    for (unsigned n = 0; n < count && ok; n++) {
        struct superslab *ss = hak_superslabs_map(&pool.all);
        ok = ss != NULL;
        if (!ok) break;
        hak_os_populate(ss->base, SUPERSLAB_BYTES);
        for (unsigned i = 0; i + span <= SLABS_PER_SUPERSLAB; i += span) {
            struct slab *slab = carve_from(ss, ~ss->used, c, &pool.orphans);
            store_relaxed(&slab->orphan, true);
            list_partial(slab, false);
        }
    }
    release();
    return ok;
}

size_t hak_shared_pool_trim(size_t keep) {
    acquire();
    collect_orphans();
    empty_stock();
    size_t units = purge_down(keep / SLAB_BYTES);
    release();
    return units * SLAB_BYTES;
}

size_t hak_shared_pool_release_address_space(void) {
    size_t bytes = 0;
    acquire();
    collect_orphans();
    store_relaxed(&pool.scarce, true);
    empty_stock();
    pool.scarce_ms = clock_ms();
    pool.all.region_bytes = SUPERSLAB_BYTES;
    purge_down(0);
    bytes += unmap_dropped();
    /* The rest of the region too: nothing was cut from it yet. */
    size_t rest = (size_t)(pool.all.region_end - pool.all.region);
    if (rest != 0 && hak_os_unmap(pool.all.region, rest)) {
        pool.all.region = pool.all.region_end = NULL;
        bytes += rest;
    }
    release();
    return bytes;
}

bool hak_shared_pool_agrees(void) {
    acquire();
    collect_orphans();
    bool agrees = hak_superslabs_agree(&pool.all);
    release();
    return agrees;
}

void hak_shared_pool_stats(struct shared_pool_stats *out) {
    *out = (struct shared_pool_stats){{0}, 0, 0, 0, 0, 0, 0, 0};
    acquire();
    for (unsigned i = 0; i < STAGE_COUNT; i++) out->stage[i] = load_relaxed(&pool.stage[i]);
    out->resident_free_bytes = (pool.all.resident_free + hak_stock_count()) * SLAB_BYTES;
    out->superslabs = pool.all.mapped;
    for (struct superslab *ss = pool.all.all; ss != NULL; ss = ss->next) {
        if (!ss->mapped) continue;
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
    release();
}
