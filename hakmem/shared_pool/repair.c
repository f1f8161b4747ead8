/* A forked child: slabs of threads that are gone, and what they left in mid-step. */
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/stock.h"

void hak_shared_pool_orphan_all(struct slab_owner *owner) {
    hak_pool_acquire();
    for (struct superslab *ss = hak_pool.all.all; ss != NULL; ss = ss->next) {
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            struct slab *slab = &ss->slabs[i];
            if (slab->span == 0 || slab->owner != owner) continue;
            /* The lists it was in are the stopped owner's and may be torn: forget them. */
            list_init(&slab->owned);
            list_init(&slab->listed);
            hak_slab_settle_forked(slab);
            /* Counted from the bits; remote ones count as out until they are collected. */
            slab->out = slab->capacity;
            slab->low = 0;
            for (unsigned w = 0; w < (slab->capacity + 63u) / 64; w++) {
                slab->out = (uint16_t)(slab->out - popcount(*superslab_free_word(ss, i, w)));
            }
            /* Its words may be half changed. */
            if (slab->checked) hak_slab_set_checked(slab);
            hak_orphans_add(slab);
        }
    }
    hak_pool_release();
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
    if (ss->moving != 0) ss->moving = 0;
    if (used != ss->used) hak_superslabs_set(&hak_pool.all, ss, used, ss->resident);
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        struct slab *slab = &ss->slabs[i];
        uint64_t any = 0;
        for (unsigned w = 0; w < (slab->capacity + 63u) / 64; w++) {
            any |= *superslab_remote_word(ss, i, w);
        }
        if (any == 0) continue;
        slab->pending = 1;
        hak_slab_push_pending(slab);
    }
}

bool hak_shared_pool_is_purging(void) { return hak_pool.purging || hak_pool.runs_moving != 0; }

void hak_shared_pool_repair(struct slab_owner *mine) {
    /* The slab whose pages another thread was purging. */
    if (hak_pool.purging) hak_shared_pool_orphan_all(&hak_pool.purger);
    hak_pool_acquire();
    hak_slab_forked();
    hak_pool.purging = false;
    hak_pool.runs_moving = 0;
    hak_pool.huge.trying = false;
    store_relaxed(&hak_pool.purger.pending, NULL);
    store_relaxed(&hak_pool.orphans.pending, NULL);
    hak_stock_forget();
    if (mine != NULL) store_relaxed(&mine->pending, NULL);
    for (struct superslab *ss = hak_pool.all.all; ss != NULL; ss = ss->next) {
        if (ss->mapped) repair_superslab(ss);
    }
    hak_pool_release();
}
