#include "hakmem/large/cache.h"

#include <string.h>

#include "hakmem/base/clock.h"
#include "hakmem/base/lock.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/base/watch.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/large/freed.h"
#include "hakmem/large/sizes.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

static struct {
    struct lock lock;                     /* guards what is not said to be read without it */
    struct list kept, parked;             /* oldest first */
    struct list parked_of[LARGE_SIZES];   /* newest first */
    uint32_t newest_kept_of[LARGE_SIZES]; /* a hint: number of a record; without the lock */
    uint32_t kept_count;                  /* read without the lock too, as is the next */
    uint32_t parked_count;
    uint64_t kept_bytes; /* of live ones too; read without the lock too */
    uint64_t parked_bytes;
    uint32_t turn;      /* counts puts and ticks: read without the lock too */
    uint32_t tick_turn; /* of the last tick */
    uint64_t tick_ms;   /* of the last tick; read without the lock too, as is the next */
    uint64_t
        parked_max; /* for parked_bytes; set by the first tick, which is before the first put */
} cache;

static void acquire(void) {
    lock_acquire(&cache.lock);
    if (HAK_LIKELY(cache.kept.next != NULL)) return;
    list_init(&cache.kept);
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

static bool make_live(struct large *r, const struct large_wanted *w) {
    /* Read first: what is read after it is of the same life, or the cas fails. */
    uint32_t state = load_acquire(&r->state);
    return large_kind(state) == LARGE_KEPT && large_fits(r, w) &&
           cas_acq_rel(&r->state, &state, large_state(state, LARGE_LIVE_KEPT));
}

static struct large *take_kept_of(unsigned size, const struct large_wanted *w) {
    uint32_t *newest = &cache.newest_kept_of[size];
    uint32_t id = load_relaxed(newest);
    for (unsigned n = 0; id != 0 && n < LARGE_HINTS; n++) {
        struct large *r = large_record(id);
        uint32_t older = load_relaxed(&r->older);
        if (make_live(r, w)) {
            store_relaxed(newest, older);
            return r;
        }
        id = older;
    }
    return NULL;
}

struct large *hak_large_cache_take_kept(size_t bytes, size_t align) {
    struct large_wanted w = large_wanted_of(bytes, align);
    struct large *r = NULL;
    for (unsigned size = w.size; size < w.end && r == NULL; size++) r = take_kept_of(size, &w);
    return r;
}

/* Frees a kept mapping. False: it is in no such state. */
static bool keep(struct large *r) {
    uint32_t state = load_acquire(&r->state);
    if (large_kind(state) != LARGE_LIVE_KEPT) return false;
    uint32_t *newest = &cache.newest_kept_of[large_size_of(load_relaxed(&r->bytes))];
    store_relaxed(&r->turn, load_relaxed(&cache.turn));
    store_relaxed(&r->older, load_relaxed(newest));
    if (!cas_acq_rel(&r->state, &state, large_state(state, LARGE_KEPT))) return false;
    store_relaxed(newest, r->id);
    return true;
}

static uint64_t eager_room(void) { return hak_options.large_cache_mb * MiB; }

bool hak_large_cache_keep(struct large *r, bool anyway) {
    /* Relaxed: where all that is kept had room, free or not, what is free has. */
    return (anyway || load_relaxed(&cache.kept_bytes) <= eager_room()) && keep(r);
}

bool hak_large_cache_waits(void) {
    return load_relaxed(&cache.kept_count) + load_relaxed(&cache.parked_count) != 0;
}

size_t hak_large_cache_drop(struct large *r) {
    char *base = load_relaxed(&r->base);
    size_t bytes = load_relaxed(&r->bytes);
    /* The word goes before the range does: whoever maps it next sets it anew. */
    if (registry_word(base) == (WORD_LARGE | r->id)) hak_registry_set(base, 1, 0);
    large_note_freed(base);
    store_relaxed(&r->base, NULL);
    store_relaxed(&r->bytes, (size_t)0);
    hak_large_record_free(r);
    hak_os_discard(base, bytes);
    return bytes;
}

/* ---- Under the lock ------------------------------------------------------------------------- */

static void enlist_kept(struct large *r) {
    list_push_back(&cache.kept, &r->listed);
    store_relaxed(&cache.kept_count, cache.kept_count + 1);
    store_relaxed(&cache.kept_bytes, cache.kept_bytes + r->bytes);
}

/* `bytes`: read before it was made live or nobody's, as a live one's may change. */
static void delist_kept(struct large *r, size_t bytes) {
    list_remove(&r->listed);
    store_relaxed(&cache.kept_count, cache.kept_count - 1);
    store_relaxed(&cache.kept_bytes, cache.kept_bytes - bytes);
}

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

static struct large *of_listed(struct list *l) { return list_entry(l, struct large, listed); }

/* Takes a kept mapping's room; when it is free, it goes to `out`. */
static void evict(struct large *r, struct list *out) {
    size_t bytes = load_relaxed(&r->bytes);
    if (large_change(r, LARGE_KEPT, LARGE_NONE)) {
        delist_kept(r, bytes);
        list_push_back(out, &r->listed);
    } else if (large_change(r, LARGE_LIVE_KEPT, LARGE_LIVE)) {
        delist_kept(r, bytes);
    }
}

static bool is_free(struct large *r) { return large_kind(load_relaxed(&r->state)) == LARGE_KEPT; }

/* Of the kept mappings. Others may take and free some meanwhile. */
static uint64_t free_bytes(void) {
    uint64_t bytes = 0;
    if (cache.kept_bytes == 0) return 0;
    for (struct list *l = cache.kept.next; l != &cache.kept; l = l->next) {
        if (is_free(of_listed(l))) bytes += of_listed(l)->bytes;
    }
    return bytes;
}

/* The kept mapping whose last free is longest ago, of those that are free, or of all; NULL: none,
 * or all were freed just now. */
static struct large *least_recent(bool free_only) {
    struct large *least = NULL;
    uint32_t most_turns = LARGE_RECENT_TURNS;
    for (struct list *l = cache.kept.next; l != &cache.kept; l = l->next) {
        uint32_t turns = cache.turn - load_relaxed(&of_listed(l)->turn);
        if (turns <= most_turns || (free_only && !is_free(of_listed(l)))) continue;
        most_turns = turns;
        least = of_listed(l);
    }
    return least;
}

/* Evicts what was freed longest ago until no more is free, and kept, than that. False: the rest was
 * freed just now. */
static bool keep_at_most(uint64_t bytes, uint32_t entries, struct list *out) {
    for (unsigned n = 0; n <= LARGE_CACHE_ENTRIES; n++) {
        bool fits_in = free_bytes() <= bytes;
        if (fits_in && cache.kept_count <= entries) return true;
        struct large *least = least_recent(!fits_in);
        if (least == NULL) return false;
        evict(least, out);
    }
    return false;
}

/* Room for what comes and goes fast: as much as is live of it, `least` at least. */
static uint64_t room_beside_live(uint64_t least) {
    uint64_t live = cache.kept_bytes - free_bytes();
    return live > least ? live : least;
}

/* Makes it kept if there is room, or others that were not freed just now have it. */
static bool admit(struct large *r, struct list *out) {
    uint64_t room = hak_options.large_cache_calm_mb * MiB;
    if (r->eager) {
        room = room_beside_live(eager_room());
    } else { /* something else goes on: what came and went fast keeps a share */
        keep_at_most(room_beside_live(eager_room() / LARGE_CALM_SHARE), LARGE_CACHE_ENTRIES, out);
    }
    if (r->bytes > room) return false;
    if (!keep_at_most(room - r->bytes, LARGE_CACHE_ENTRIES - 1, out)) return false;
    enlist_kept(r);
    /* Its first free as a kept one. */
    large_set(r, LARGE_LIVE_KEPT);
    keep(r);
    return true;
}

/* Purges a mapping but for the ends of what the program knew of. False: the kernel refused. */
static bool purge(struct large *r) {
    size_t end = end_bytes();
    r->asked = align_up(r->asked, hak_os_page_bytes());
    r->dirty = align_up(r->dirty, hak_os_page_bytes());
    if (r->dirty > r->asked) {
        /* In one call, and the far end goes too: the next owner's will hardly be there. */
        size_t kept = r->asked < end ? r->asked : end;
        if (!hak_os_purge(r->base + kept, r->dirty - kept)) return false;
        r->dirty = kept;
        return true;
    }
    return r->asked <= 2 * end || hak_os_purge(r->base + end, r->asked - 2 * end);
}

/* Purges a mapping and parks it; what is too much then goes. */
static void park(struct large *r) {
    if (r->bytes > load_relaxed(&cache.parked_max) || !purge(r)) {
        hak_large_cache_drop(r);
        return;
    }
    r->parked_ms = clock_ms();
    acquire();
    enlist_parked(r);
    for (;;) {
        bool over =
            cache.parked_count > LARGE_CACHE_ENTRIES || cache.parked_bytes > cache.parked_max;
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

/* A kept one that the hints have lost. */
static struct large *take_lost(const struct large_wanted *w) {
    for (struct list *l = cache.kept.next; l != &cache.kept; l = l->next) {
        if (make_live(of_listed(l), w)) return of_listed(l);
    }
    return NULL;
}

static size_t distance(size_t a, size_t b) { return a < b ? b - a : a - b; }

/* The kept one of the nearest size, within a third, whose pages are worth moving. */
static struct large *take_near(const struct large_wanted *w) {
    size_t least_off = w->least / 3;
    struct large *nearest = NULL;
    for (struct list *l = cache.kept.next; l != &cache.kept; l = l->next) {
        struct large *r = of_listed(l);
        size_t off = distance(load_relaxed(&r->bytes), w->least);
        if (off > least_off || !is_free(r)) continue;
        least_off = off;
        nearest = r;
    }
    if (nearest == NULL) return NULL;
    /* Relaxed: another thread may take it, and asks for other bytes; then the last step fails. */
    char *base = load_relaxed(&nearest->base);
    if (!hak_os_has_middle(base, load_relaxed(&nearest->asked))) return NULL;
    return large_change(nearest, LARGE_KEPT, LARGE_LIVE_KEPT) ? nearest : NULL;
}

static struct large *take_parked(const struct large_wanted *w) {
    struct large *found = find_parked(w);
    if (found == NULL) return NULL;
    delist_parked(found, LARGE_LIVE);
    found->eager = clock_ms() - found->parked_ms <= LARGE_EAGER_MS;
    return found;
}

struct large *hak_large_cache_take(size_t bytes, size_t align, bool near, bool *purged) {
    *purged = false;
    if (bytes > LARGE_CACHED_MAX || !hak_large_cache_waits()) return NULL;
    struct large_wanted w = large_wanted_of(bytes, align);
    acquire();
    struct large *found = take_lost(&w);
    if (found == NULL && near) found = take_near(&w);
    if (found == NULL) {
        found = take_parked(&w);
        *purged = found != NULL;
    }
    release();
    return found;
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
    store_relaxed(&cache.turn, cache.turn + 1);
    bool kept = admit(r, &out);
    release();
    park_all(&out);
    if (!kept) park(r);
    hak_giving_end();
}

void hak_large_cache_leave(struct large *r) {
    if (large_kind(load_acquire(&r->state)) != LARGE_LIVE_KEPT) return;
    acquire();
    if (large_change(r, LARGE_LIVE_KEPT, LARGE_LIVE)) delist_kept(r, r->bytes);
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
    for (struct list *l = cache.kept.next, *next; l != &cache.kept; l = next) {
        next = l->next;
        struct large *r = of_listed(l);
        if ((int32_t)(load_relaxed(&r->turn) - cache.tick_turn) >= 0) continue;
        if (idle_bytes >= LARGE_TICK_BYTES) break;
        idle_bytes += r->bytes;
        evict(r, &idle);
    }
    /* What is left was not freed since the last tick, and is still so at the next. */
    store_relaxed(&cache.turn, cache.turn + 1);
    cache.tick_turn = cache.turn;
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
    uint64_t left = free_bytes();
    for (struct list *l = cache.kept.next, *next; l != &cache.kept && left > keep_bytes; l = next) {
        next = l->next;
        struct large *r = of_listed(l);
        if (!large_change(r, LARGE_KEPT, LARGE_NONE)) continue;
        /* Others free meanwhile: what was not counted must not wrap the count. */
        left -= r->bytes < left ? r->bytes : left;
        delist_kept(r, r->bytes);
        list_push_back(&out, &r->listed);
    }
    release();
    return drop_all(&out);
}

static bool list_agrees(const struct list *list, uint32_t count, uint64_t bytes) {
    for (struct list *l = list->next; l != list; l = l->next) {
        count--;
        bytes -= of_listed(l)->bytes;
    }
    return count == 0 && bytes == 0;
}

bool hak_large_cache_agrees(void) {
    acquire();
    bool agrees = list_agrees(&cache.kept, cache.kept_count, cache.kept_bytes) &&
                  list_agrees(&cache.parked, cache.parked_count, cache.parked_bytes);
    release();
    return agrees;
}

void hak_large_cache_lock(void) { acquire(); }
void hak_large_cache_unlock(void) { release(); }
