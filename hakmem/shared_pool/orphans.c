#include "hakmem/base/clock.h"
#include "hakmem/shared_pool/pool.h"

/* Ends the use of an orphan. */
static void end_use(struct slab *slab) {
    uint32_t units = run_mask(slab->index, slab->span);
    store_relaxed(&slab->orphan, false);
    hak_pool_end_use(slab);
    hak_pool_return_units(slab_superslab(slab), units);
}

static void list_partial(struct slab *slab, bool first) {
    struct list *list = &hak_pool.partial[slab->class_index];
    if (first) {
        list_push_front(list, &slab->listed);
    } else {
        list_push_back(list, &slab->listed);
    }
    count_add(&hak_pool.partials[slab->class_index], 1);
}

static void unlist_partial(struct slab *slab) {
    if (list_empty(&slab->listed)) return;
    list_remove(&slab->listed);
    count_add(&hak_pool.partials[slab->class_index], -1);
}

/* An orphan whose remote bits may have changed: empty ones end, others are listed if they have
 * free blocks. Slabs of superslabs in use beyond a quarter go first, so the others empty. */
static void place(struct slab *slab) {
    hak_slab_collect(slab);
    unlist_partial(slab);
    if (slab->out == 0) {
        end_use(slab);
        return;
    }
    if (!slab_has_free(slab)) return;
    /* Those whose pages are there first, too. */
    bool hot = popcount(slab_superslab(slab)->used) > SLABS_PER_SUPERSLAB / 4;
    list_partial(slab, hot && !slab->checked);
    hak_sparse_add(slab);
}

void hak_orphans_remove(struct slab *slab) {
    unlist_partial(slab);
    list_remove(&slab->owned);
    store_relaxed(&slab->orphan, false);
}

void hak_orphans_add(struct slab *slab) {
    hak_slab_set_owner(slab, &hak_pool.orphans);
    store_relaxed(&slab->orphan, true);
    place(slab);
}

void hak_orphans_add_fresh(struct slab *slab) {
    store_relaxed(&slab->orphan, true);
    list_partial(slab, false);
    hak_pool.fresh++;
}

void hak_orphans_end_fresh(void) {
    if (HAK_LIKELY(hak_pool.fresh == 0)) return;
    for (unsigned c = 0; c < CLASSES; c++) {
        struct list *all = &hak_pool.partial[c];
        for (struct list *l = all->next, *next; l != all; l = next) {
            struct slab *slab = list_entry(l, struct slab, listed);
            next = l->next;
            if (slab->out != 0) continue;
            unlist_partial(slab);
            end_use(slab);
        }
    }
    hak_pool.fresh = 0;
}

static void collect_from(struct slab_owner *owner) {
    struct slab *slab = hak_slab_take_pending(owner);
    while (slab != NULL) {
        struct slab *next = slab->pending_next;
        if (slab->orphan) {
            hak_slab_clear_pending(slab);
            place(slab);
        } else {
            hak_slab_forward_pending(slab);
        }
        slab = next;
    }
}

void hak_orphans_collect(void) {
    collect_from(&hak_pool.orphans);
    collect_from(&hak_pool.purger); /* of slabs that are orphans again */
}

struct slab *hak_orphans_take(unsigned c, struct slab_owner *owner) {
    hak_orphans_collect();
    struct list *list = &hak_pool.partial[c];
    if (list_empty(list)) return NULL;
    struct slab *slab = list_entry(list->next, struct slab, listed);
    hak_orphans_remove(slab);
    if (HAK_UNLIKELY(hak_pool.fresh != 0) && slab->out == 0) hak_pool.fresh--;
    slab->purged_out = UINT16_MAX;
    hak_slab_set_owner(slab, owner);
    return slab;
}

/* For the orphans' stack and lists, without the lock: a slab that is missed now is found later. */
static bool may_have(unsigned c) {
    return load_relaxed(&hak_pool.orphans.pending) != NULL ||
           load_relaxed(&hak_pool.partials[c]) != 0;
}

uint32_t hak_shared_pool_partials(unsigned c) { return load_relaxed(&hak_pool.partials[c]); }

struct slab *hak_shared_pool_take_partial(unsigned c, struct slab_owner *owner) {
    if (!may_have(c)) return NULL;
    hak_pool_acquire();
    struct slab *slab = hak_orphans_take(c, owner);
    hak_pool_release();
    if (slab == NULL) return NULL;
    if (HAK_UNLIKELY(slab->checked)) hak_slab_restore_marks(slab, owner->cookie);
    fetch_add_relaxed(&hak_pool.stage[STAGE_PARTIAL], 1u);
    return slab;
}

void hak_shared_pool_freed_into(struct slab *slab) {
    if (HAK_LIKELY(!load_relaxed(&slab->orphan))) return;
    /* Counted beside others that free: one of them counts all of its blocks, the last one. */
    if (!hak_slab_has_all(slab)) return;
    uint64_t now = clock_ms();
    hak_pool_acquire();
    hak_orphans_collect();
    if (slab->orphan) place(slab); /* its note may lie on an earlier owner's stack */
    hak_purge_tick(now);
    hak_purge_to_bound(now);
    hak_pool_release();
}

bool hak_shared_pool_is_orphan(const struct slab *slab) {
    return load_relaxed(&slab->owner) == &hak_pool.orphans;
}

void hak_shared_pool_orphan(struct slab *slab) {
    hak_slab_settle(slab);
    hak_pool_acquire();
    list_remove(&slab->owned);
    list_remove(&slab->listed);
    hak_orphans_add(slab);
    hak_pool_release();
}
