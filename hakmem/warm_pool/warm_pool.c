#include "hakmem/warm_pool/warm_pool.h"

#include "hakmem/config/options.h"
#include "hakmem/shared_pool/shared_pool.h"

/* Misses at most this many requests apart grow the prefill; farther apart it ends. */
enum { PREFILL_WINDOW = 8 };

/* Empty slabs that all threads keep. Relaxed: it bounds, and orders nothing. */
static uint32_t empties_of_all;

/* Room for one more; counted then. */
static bool may_keep_empty(struct warm_pool *wp) {
    if (wp->empties >= wp->empties_max) return false;
    if (fetch_add_relaxed(&empties_of_all, 1u) < WARM_EMPTY_SLABS_OF_ALL) return true;
    fetch_sub_relaxed(&empties_of_all, 1u);
    return false;
}

static void forget_empties(struct warm_pool *wp) {
    fetch_sub_relaxed(&empties_of_all, wp->empties);
    wp->empties = 0;
}

void hak_warm_pool_init(struct warm_pool *wp) {
    list_init(&wp->owned);
    list_init(&wp->empty);
    wp->empties = wp->empties_max = wp->empties_low = wp->given_up = 0;
    wp->swings = (struct swings){.units = 0};
    for (unsigned c = 0; c < CLASSES; c++) {
        list_init(&wp->classes[c].slabs);
        wp->classes[c].count = wp->classes[c].owned = 0;
        wp->classes[c].prefill = 0;
    }
    /* Release: a thread that finds the stack open finds the rest too. */
    store_release(&wp->owner.pending, NULL);
}

/* Mostly free. */
static bool is_sparse(const struct slab *slab) { return slab->out <= slab->capacity / 4u; }

static void enlist(struct warm_pool *wp, struct slab *slab) {
    struct warm_class *wc = &wp->classes[slab->class_index];
    /* At the back: it gathers more free blocks before it is used. */
    list_push_back(&wc->slabs, &slab->listed);
    wc->count++;
}

static void unlist(struct warm_pool *wp, struct slab *slab) {
    list_remove(&slab->listed);
    wp->classes[slab->class_index].count--;
}

static void adopt(struct warm_pool *wp, struct slab *slab) {
    list_push_front(&wp->owned, &slab->owned);
    wp->classes[slab->class_index].owned++;
    enlist(wp, slab);
    swings_add(&wp->swings, slab->span);
}

/* Gives up a slab with blocks outside, which is not listed. */
static void orphan(struct warm_pool *wp, struct slab *slab) {
    wp->classes[slab->class_index].owned--;
    swings_subtract(&wp->swings, slab->span);
    hak_shared_pool_orphan(slab);
}

/* False: it is not empty after all, as was reported, and stays this thread's. */
static bool confirm_empty(struct warm_pool *wp, struct slab *slab) {
    if (HAK_LIKELY(hak_slab_end_list(slab))) return true;
    list_remove(&slab->listed);
    wp->classes[slab->class_index].owned++;
    if (slab_has_free(slab)) enlist(wp, slab);
    return false;
}

static void give_empty(struct warm_pool *wp, struct slab *slab) {
    if (HAK_UNLIKELY(!confirm_empty(wp, slab))) return;
    list_remove(&slab->owned);
    list_remove(&slab->listed);
    swings_subtract(&wp->swings, slab->span);
    hak_shared_pool_give_empty(slab);
}

/* An emptied slab that is in no list. */
static void keep_empty(struct warm_pool *wp, struct slab *slab) {
    wp->classes[slab->class_index].owned--;
    if (slab->span != 1) {
        give_empty(wp, slab);
        return;
    }
    if (!may_keep_empty(wp)) {
        wp->given_up++;
        give_empty(wp, slab);
        return;
    }
    list_push_front(&wp->empty, &slab->listed);
    wp->empties++;
}

static struct slab *take_kept(struct warm_pool *wp, unsigned c) {
    if (wp->empties == 0 || hak_size_class[c].span != 1) return NULL;
    struct slab *slab = list_entry(wp->empty.next, struct slab, listed);
    list_remove(&slab->listed);
    wp->empties--;
    fetch_sub_relaxed(&empties_of_all, 1u);
    if (wp->empties < wp->empties_low) wp->empties_low = wp->empties;
    if (slab->class_index != c) {
        if (HAK_UNLIKELY(!confirm_empty(wp, slab))) return NULL;
        list_remove(&slab->owned);
        hak_slab_uncarve(slab);
        hak_slab_carve(slab, c, &wp->owner);
        list_push_front(&wp->owned, &slab->owned);
    }
    wp->classes[c].owned++;
    enlist(wp, slab);
    return slab;
}

void hak_warm_pool_given(struct warm_pool *wp, struct slab *slab, unsigned out_before) {
    if (slab->out == out_before) return;
    bool listed = !list_empty(&slab->listed);
    if (slab->out == 0) {
        if (listed) unlist(wp, slab);
        keep_empty(wp, slab);
        return;
    }
    if (!listed) {
        enlist(wp, slab);
        listed = true;
    }
    /* Beyond the capacity, slabs that are mostly free go to where every thread finds them. The
     * fuller ones stay: giving them up and taking them back costs more than they hold. */
    struct warm_class *wc = &wp->classes[slab->class_index];
    if (wc->count > hak_options.warm_pool_size && is_sparse(slab) &&
        load_relaxed(&slab->pending) == 0) {
        unlist(wp, slab);
        orphan(wp, slab);
    }
}

void hak_warm_pool_taken(struct warm_pool *wp, struct slab *slab) {
    if (!slab_has_free(slab)) unlist(wp, slab);
}

void hak_warm_pool_collect(struct warm_pool *wp) {
    struct slab *slab = hak_slab_take_pending(&wp->owner);
    while (slab != NULL) {
        struct slab *next = slab->pending_next;
        if (load_relaxed(&slab->span) != 0 && load_relaxed(&slab->owner) == &wp->owner) {
            unsigned out_before = slab->out;
            hak_slab_clear_pending(slab);
            hak_slab_collect(slab);
            hak_warm_pool_given(wp, slab, out_before);
        } else {
            hak_slab_forward_pending(slab);
        }
        slab = next;
    }
}

struct slab *hak_warm_pool_peek(struct warm_pool *wp, unsigned c) {
    struct list *list = &wp->classes[c].slabs;
    return list_empty(list) ? NULL : list_entry(list->next, struct slab, listed);
}

/* Slabs taken ahead, while a class misses again and again: only partial ones, which cost
 * neither pages nor carving. */
static void prefill(struct warm_pool *wp, unsigned c) {
    struct warm_class *wc = &wp->classes[c];
    bool close = wc->requests - wc->last_miss <= PREFILL_WINDOW;
    wc->last_miss = wc->requests;
    if (!close) {
        wc->prefill = 0;
        return;
    }
    if (wc->prefill < hak_options.warm_pool_prefill) wc->prefill++;
    for (uint32_t i = 0; i < wc->prefill && wc->count < hak_options.warm_pool_size; i++) {
        struct slab *slab = hak_shared_pool_take_partial(c, &wp->owner);
        if (slab == NULL) return;
        adopt(wp, slab);
        count_add(&wc->prefilled, 1);
    }
}

struct slab *hak_warm_pool_get(struct warm_pool *wp, unsigned c) {
    struct warm_class *wc = &wp->classes[c];
    count_add(&wc->requests, 1);
    struct slab *slab = hak_warm_pool_peek(wp, c);
    if (slab == NULL) {
        hak_warm_pool_collect(wp);
        slab = hak_warm_pool_peek(wp, c);
    }
    if (slab == NULL) slab = take_kept(wp, c);
    if (slab != NULL) {
        count_add(&wc->hits, 1);
        return slab;
    }
    slab = hak_shared_pool_take(c, &wp->owner, wc->owned >= HUGE_CLASS_SLABS);
    if (slab == NULL) return NULL;
    count_add(&wc->misses, 1);
    if (slab->span == 1 && slab->out == 0 && wp->given_up != 0) { /* it should have been kept */
        wp->given_up--;
        if (wp->empties_max < WARM_EMPTY_SLABS) wp->empties_max++;
    }
    adopt(wp, slab);
    prefill(wp, c);
    return slab;
}

/* Keeps `count` empty slabs, those used last. */
static void trim_empties(struct warm_pool *wp, uint32_t count) {
    while (wp->empties > count) {
        wp->empties--;
        fetch_sub_relaxed(&empties_of_all, 1u);
        give_empty(wp, list_entry(wp->empty.prev, struct slab, listed));
    }
}

/* Gives up sparse slabs of class `c`, but not the first `keep` slabs of the class; `resting`: those
 * alone that are as they were when this was last asked. A slab that empties does so soon, and its
 * free list is not settled for nothing. */
static void orphan_sparse(struct warm_pool *wp, unsigned c, uint32_t keep, bool resting) {
    struct list *node = wp->classes[c].slabs.prev;
    while (wp->classes[c].count > keep && node != &wp->classes[c].slabs) {
        struct slab *slab = list_entry(node, struct slab, listed);
        node = node->prev;
        if (!is_sparse(slab)) continue;
        bool rests = slab->out == slab->out_seen;
        slab->out_seen = slab->out;
        if (resting && !rests) continue;
        unlist(wp, slab);
        orphan(wp, slab);
    }
}

void hak_warm_pool_cool(struct warm_pool *wp) {
    wp->empties_max -= wp->empties_low;
    trim_empties(wp, wp->empties - wp->empties_low);
    wp->empties_low = wp->empties;
    wp->given_up = 0;
    for (unsigned c = 0; c < CLASSES; c++) orphan_sparse(wp, c, 1, true);
}

void hak_warm_pool_trim(struct warm_pool *wp) {
    hak_warm_pool_collect(wp);
    trim_empties(wp, 0);
    wp->empties_max = wp->empties_low = 0;
    for (unsigned c = 0; c < CLASSES; c++) orphan_sparse(wp, c, 0, false);
    /* Notes about slabs that were just given up are handed on: this thread may not come back. */
    hak_warm_pool_collect(wp);
}

/* From here on nobody finds this owner open: pushers that come late follow the slab's owner. */
static void close_pending(struct warm_pool *wp) {
    struct slab *slab = hak_slab_close_pending(&wp->owner);
    while (slab != NULL && slab != PENDING_CLOSED) {
        struct slab *next = slab->pending_next;
        hak_slab_forward_pending(slab);
        slab = next;
    }
}

void hak_warm_pool_give_up(struct warm_pool *wp) {
    hak_warm_pool_trim(wp);
    while (!list_empty(&wp->owned)) {
        struct slab *slab = list_entry(wp->owned.next, struct slab, owned);
        if (!list_empty(&slab->listed)) unlist(wp, slab);
        orphan(wp, slab);
    }
    /* Notes about slabs that were just given up are handed on: this thread may not come back. */
    hak_warm_pool_collect(wp);
}

void hak_warm_pool_release(struct warm_pool *wp) {
    forget_empties(wp);
    while (!list_empty(&wp->owned)) {
        hak_shared_pool_orphan(list_entry(wp->owned.next, struct slab, owned));
    }
    close_pending(wp);
}

void hak_warm_pool_recount(const struct warm_pool *mine) {
    store_relaxed(&empties_of_all, mine == NULL ? 0 : mine->empties);
}

void hak_warm_pool_abandon(struct warm_pool *wp) {
    wp->empties = 0;
    hak_shared_pool_orphan_all(&wp->owner);
    hak_slab_close_pending(&wp->owner);
}
