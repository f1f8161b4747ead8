#include "hakmem/large/cache.h"

#include <string.h>

#include "hakmem/base/clock.h"
#include "hakmem/base/lock.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/base/watch.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/large/freed.h"
#include "hakmem/large/kept.h"
#include "hakmem/large/sizes.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

static struct {
    struct lock lock;                   /* guards what is not said to be read without it */
    struct list parked;                 /* oldest first */
    struct list parked_of[LARGE_SIZES]; /* newest first */
    uint32_t parked_count;              /* read without the lock too */
    uint64_t parked_bytes;
    uint32_t tick_turn; /* of the last tick */
    uint64_t tick_ms;   /* of the last tick; read without the lock too, as is the next */
    uint64_t purged_ms; /* when a mapping last lost its pages; without the lock, as is the next */
    uint64_t missed_ms; /* when pages were last wanted soon after that */
    uint64_t
        parked_max; /* for parked_bytes; set by the first tick, which is before the first put */
} cache;

static struct kept *const kept = &hak_large_kept;

static struct large *of_listed(struct list *l) { return list_entry(l, struct large, listed); }

static void acquire(void) {
    lock_acquire(&cache.lock);
    if (HAK_LIKELY(cache.parked.next != NULL)) return;
    list_init(&cache.parked);
    for (unsigned i = 0; i < LARGE_SIZES; i++) list_init(&cache.parked_of[i]);
}

static void release(void) { lock_release(&cache.lock); }

/* ---- Sizes ---------------------------------------------------------------------------------- */

size_t hak_large_round_any(size_t bytes) {
    size_t page = hak_os_page_bytes();
    bytes = align_up(bytes == 0 ? 1 : bytes, page);
    if (bytes > LARGE_CACHED_MAX) return bytes;
    size_t step = large_step(bytes);
    return align_up(bytes, step > page ? step : page);
}

/* What a parked mapping keeps at either end: most programs write there, and two faults cost more
 * than the rest of a malloc and free. */
static size_t end_bytes(void) { return align_up(LARGE_END_BYTES, hak_os_page_bytes()); }

/* ---- Without the lock ----------------------------------------------------------------------- */

struct large *hak_large_cache_take_kept(size_t bytes, size_t align) {
    struct large_wanted w = large_wanted_of(bytes, align);
    return hak_large_kept_take(&w);
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t eager_room(void) { return hak_options.large_cache_mb * MiB; }

/* Of a room, or of what is live if that is more; of none nothing. */
static uint64_t room_beside(uint64_t room, uint64_t live) {
    return room == 0 ? 0 : larger(room, live);
}

bool hak_large_cache_keep(struct large *r, bool anyway) {
    /* Relaxed: where all that is kept had room, free or not, what is free has. */
    return (anyway || load_relaxed(&kept->bytes) <= eager_room()) && hak_large_kept_give(r);
}

bool hak_large_cache_waits(void) {
    return load_relaxed(&kept->count) + load_relaxed(&cache.parked_count) != 0;
}

size_t hak_large_cache_drop(struct large *r) {
    char *base = load_relaxed(&r->base);
    size_t bytes = load_relaxed(&r->bytes);
    /* The word goes before the range does: whoever maps it next sets it anew. */
    if (registry_word(base) == (WORD_LARGE | r->id)) hak_registry_set(base, 1, 0);
    large_note_freed(base);
    store_relaxed(&r->base, NULL);
    large_set_bytes(r, 0);
    hak_large_record_free(r);
    hak_os_discard(base, bytes);
    return bytes;
}

/* ---- Under the lock ------------------------------------------------------------------------- */

static void enlist_parked(struct large *r) {
    list_push_back(&cache.parked, &r->listed);
    list_push_front(&cache.parked_of[large_size_of(r->bytes)], &r->by_size);
    store_relaxed(&cache.parked_count, cache.parked_count + 1);
    cache.parked_bytes += r->bytes;
    large_set(r, LARGE_PARKED);
}

static void delist_parked(struct large *r, enum large_kind kind) {
    list_remove(&r->listed);
    list_remove(&r->by_size);
    store_relaxed(&cache.parked_count, cache.parked_count - 1);
    cache.parked_bytes -= r->bytes;
    large_set(r, kind);
}

/* Takes a kept mapping's room; when it is free, it goes to `out`. Returns the bytes that go. */
static size_t evict(struct large *r, struct list *out) {
    size_t bytes = load_relaxed(&r->bytes);
    if (large_change(r, LARGE_KEPT, LARGE_NONE)) {
        hak_large_kept_remove(r, bytes);
        list_push_back(out, &r->listed);
        return bytes;
    }
    if (large_change(r, LARGE_LIVE_KEPT, LARGE_LIVE)) hak_large_kept_remove(r, bytes);
    return 0;
}

/* Evicts what was freed longest ago until no more is free, of `*free` bytes, and kept, than that.
 * False: the rest was freed just now. What others take and free meanwhile is seen by the next
 * free. */
static bool keep_at_most(uint64_t bytes, uint32_t entries, uint64_t *free, struct list *out) {
    for (unsigned n = 0; n <= LARGE_KEPT_ENTRIES; n++) {
        bool fits_in = *free <= bytes;
        if (fits_in && kept->count <= entries) return true;
        struct large *oldest = hak_large_kept_oldest(!fits_in);
        if (oldest == NULL) return false;
        size_t gone = evict(oldest, out);
        *free -= gone < *free ? gone : *free;
    }
    return false;
}

/* Of all mappings, and of those that change hands, `r` but for itself; `free`: of the kept ones. */
static uint64_t live_bytes(const struct large *r, uint64_t free) {
    uint64_t not_live = free + cache.parked_bytes + r->bytes;
    uint64_t all = load_relaxed(&hak_large_mapped);
    return all > not_live ? all - not_live : 0;
}

/* Whatever is freed now would have been wanted, had it its pages. */
static bool misses(void) { return clock_ms() - load_relaxed(&cache.missed_ms) <= LARGE_EAGER_MS; }

/* Makes it kept if there is room, or others that were not freed just now have it. */
static bool admit(struct large *r, struct list *out) {
    uint64_t free = hak_large_kept_free_bytes(), live = live_bytes(r, free);
    uint64_t room = hak_options.large_cache_calm_mb * MiB;
    bool trial = !r->eager && misses() && free + r->bytes <= live;
    if (r->eager || trial) {
        room = room_beside(eager_room(), live);
    } else { /* something else goes on: what came and went fast keeps a share */
        uint64_t share = room_beside(eager_room() / LARGE_CALM_SHARE, live);
        keep_at_most(share, LARGE_KEPT_ENTRIES, &free, out);
    }
    if (r->bytes > room) return false;
    if (!keep_at_most(room - r->bytes, LARGE_KEPT_ENTRIES - 1, &free, out)) return false;
    r->eager = r->eager || trial;
    /* On trial it is the first to go. */
    hak_large_kept_add(r, trial ? kept->turn - LARGE_RECENT_TURNS - 1 : kept->turn);
    return true;
}

/* Purges a mapping but for the ends of what the program knew of. False: the kernel refused. */
static bool purge(struct large *r) {
    size_t end = end_bytes();
    r->asked = align_up(r->asked, hak_os_page_bytes());
    r->dirty = align_up(r->dirty, hak_os_page_bytes());
    if (r->dirty > r->asked) {
        /* In one call, and the far end goes too: the next owner's will hardly be there. */
        size_t near_end = r->asked < end ? r->asked : end;
        if (!hak_os_purge(r->base + near_end, r->dirty - near_end)) return false;
        r->dirty = near_end;
        return true;
    }
    return r->asked <= 2 * end || hak_os_purge(r->base + end, r->asked - 2 * end);
}

/* Purges a mapping and parks it; what is too much then goes. */
static void park(struct large *r) {
    store_relaxed(&cache.purged_ms, clock_ms());
    if (r->bytes > load_relaxed(&cache.parked_max) || !purge(r)) {
        hak_large_cache_drop(r);
        return;
    }
    r->parked_ms = clock_ms();
    acquire();
    enlist_parked(r);
    for (;;) {
        bool over =
            cache.parked_count > LARGE_PARKED_ENTRIES || cache.parked_bytes > cache.parked_max;
        struct large *oldest = of_listed(cache.parked.next);
        if (over) delist_parked(oldest, LARGE_NONE);
        release();
        if (!over) return;
        hak_large_cache_drop(oldest);
        acquire();
    }
}

/* A list of the caller's, emptied into `done`. */
static void park_all(struct list *out) {
    while (!list_empty(out)) {
        struct large *r = of_listed(out->next);
        list_remove(&r->listed);
        park(r);
    }
}

static size_t drop_all(struct list *out) {
    size_t bytes = 0;
    while (!list_empty(out)) {
        struct large *r = of_listed(out->next);
        list_remove(&r->listed);
        bytes += hak_large_cache_drop(r);
    }
    return bytes;
}

/* The newest parked one of the smallest size. */
static struct large *find_parked(const struct large_wanted *w) {
    for (unsigned size = w->size; size < w->end; size++) {
        struct list *parked = &cache.parked_of[size];
        for (struct list *l = parked->next; l != parked; l = l->next) {
            struct large *r = list_entry(l, struct large, by_size);
            if (large_fits(r, w)) return r;
        }
    }
    return NULL;
}

static struct large *take_parked(const struct large_wanted *w) {
    struct large *found = find_parked(w);
    if (found == NULL) return NULL;
    delist_parked(found, LARGE_LIVE);
    found->eager = clock_ms() - found->parked_ms <= LARGE_EAGER_MS;
    if (found->eager) store_relaxed(&cache.missed_ms, clock_ms());
    return found;
}

struct large *hak_large_cache_take(size_t bytes, size_t align, bool near, bool *purged) {
    *purged = false;
    if (bytes > LARGE_CACHED_MAX || !hak_large_cache_waits()) return NULL;
    struct large_wanted w = large_wanted_of(bytes, align);
    acquire();
    struct large *found = hak_large_kept_take_lost(&w);
    if (found == NULL) found = hak_large_kept_take_part(&w);
    if (found == NULL && near) found = hak_large_kept_take_near(&w);
    if (found == NULL) {
        found = take_parked(&w);
        *purged = found != NULL;
    }
    release();
    return found;
}

void hak_large_cache_missed(void) {
    uint64_t now = clock_ms();
    bool soon = now - load_relaxed(&cache.purged_ms) <= LARGE_EAGER_MS;
    if (soon) store_relaxed(&cache.missed_ms, now);
}

void hak_large_cache_clear_ends(struct large *r) {
    size_t end = end_bytes();
    watch_show(r->base, r->dirty);
    if (r->dirty <= 2 * end) {
        memset(r->base, 0, r->dirty);
        return;
    }
    memset(r->base, 0, end);
    memset(r->base + r->dirty - end, 0, end);
}

void hak_large_cache_put(struct large *r) {
    hak_large_cache_tick(clock_ms());
    /* Nothing is cached while a thread reclaims. */
    if (r->huge || !large_is_cacheable(r->bytes) || !hak_giving_begin()) {
        hak_large_cache_drop(r);
        return;
    }
    struct list out;
    list_init(&out);
    acquire();
    store_relaxed(&kept->turn, kept->turn + 1);
    bool admitted = admit(r, &out);
    release();
    park_all(&out);
    if (!admitted) park(r);
    hak_giving_end();
}

void hak_large_cache_leave(struct large *r) {
    if (large_kind(load_acquire(&r->state)) != LARGE_LIVE_KEPT) return;
    acquire();
    if (large_change(r, LARGE_LIVE_KEPT, LARGE_LIVE)) hak_large_kept_remove(r, r->bytes);
    release();
}

static void tick(uint64_t now) {
    struct list idle, old;
    list_init(&idle);
    list_init(&old);
    acquire();
    /* Two ticks in a row would find everything idle at the second. */
    if ((int64_t)(now - cache.tick_ms) < LARGE_TICK_MS) {
        release();
        return;
    }
    store_relaxed(&cache.tick_ms, now);
    uint64_t most = hak_options.large_cache_mapped_mb * MiB;
    uint64_t share = hak_os_address_space_limit() / LARGE_SPACE_SHARE;
    store_relaxed(&cache.parked_max, most < share ? most : share);
    uint64_t idle_bytes = 0;
    for (uint32_t i = kept->count; i-- > 0;) { /* one that goes leaves its place to the last */
        struct large *r = kept->all[i];
        if ((int32_t)(load_relaxed(&r->turn) - cache.tick_turn) >= 0) continue;
        if (idle_bytes >= LARGE_TICK_BYTES) break;
        idle_bytes += r->bytes;
        evict(r, &idle);
    }
    /* What is left was not freed since the last tick, and is still so at the next. */
    store_relaxed(&kept->turn, kept->turn + 1);
    cache.tick_turn = kept->turn;
    uint64_t ttl_ms = hak_options.large_cache_ttl_sec * 1000;
    while (!list_empty(&cache.parked)) {
        struct large *oldest = of_listed(cache.parked.next);
        if ((int64_t)(now - oldest->parked_ms) <= (int64_t)ttl_ms) break;
        delist_parked(oldest, LARGE_NONE);
        list_push_back(&old, &oldest->listed);
    }
    release();
    park_all(&idle);
    drop_all(&old);
}

void hak_large_cache_tick(uint64_t now) {
    if ((int64_t)(now - load_relaxed(&cache.tick_ms)) < LARGE_TICK_MS) return;
    if (!hak_giving_begin()) return;
    tick(now);
    hak_giving_end();
}

size_t hak_large_cache_trim(size_t keep_bytes) {
    struct list out;
    list_init(&out);
    acquire();
    while (!list_empty(&cache.parked)) {
        struct large *r = of_listed(cache.parked.next);
        delist_parked(r, LARGE_NONE);
        list_push_back(&out, &r->listed);
    }
    uint64_t left = hak_large_kept_free_bytes();
    for (uint32_t i = kept->count; i-- > 0 && left > keep_bytes;) {
        struct large *r = kept->all[i];
        if (!large_change(r, LARGE_KEPT, LARGE_NONE)) continue;
        /* Others free meanwhile: what was not counted must not wrap the count. */
        left -= r->bytes < left ? r->bytes : left;
        hak_large_kept_remove(r, r->bytes);
        list_push_back(&out, &r->listed);
    }
    release();
    return drop_all(&out);
}

static bool kept_agrees(void) {
    uint64_t bytes = 0;
    bool placed = true;
    for (uint32_t i = 0; i < kept->count; i++) {
        bytes += kept->all[i]->bytes;
        placed = placed && kept->all[i]->place == i;
    }
    return placed && bytes == kept->bytes;
}

static bool parked_agrees(void) {
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (struct list *l = cache.parked.next; l != &cache.parked; l = l->next) {
        count++;
        bytes += of_listed(l)->bytes;
    }
    return count == cache.parked_count && bytes == cache.parked_bytes;
}

bool hak_large_cache_agrees(void) {
    acquire();
    bool agrees = kept_agrees() && parked_agrees();
    release();
    return agrees;
}

void hak_large_cache_lock(void) { acquire(); }
void hak_large_cache_unlock(void) { release(); }
