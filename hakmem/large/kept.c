#include "hakmem/large/kept.h"

#include "hakmem/large/freed.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

struct kept hak_large_kept;

static struct kept *const kept = &hak_large_kept;

/* ---- Without the lock ----------------------------------------------------------------------- */

static bool make_live(struct large *r, const struct large_wanted *w) {
    /* Read first: what is read after it is of the same life, or the cas fails. */
    uint32_t state = load_acquire(&r->state);
    return large_kind(state) == LARGE_KEPT && large_fits(r, w) &&
           cas_acq_rel(&r->state, &state, large_state(state, LARGE_LIVE_KEPT));
}

static struct large *take_of(unsigned size, const struct large_wanted *w) {
    uint32_t *newest = &kept->newest_of[size];
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

struct large *hak_large_kept_take(const struct large_wanted *w) {
    struct large *r = NULL;
    for (unsigned size = w->size; size < w->end && r == NULL; size++) r = take_of(size, w);
    return r;
}

/* A mapping in `state`, as of `turn`. False: another thread was first. */
static bool make_free(struct large *r, uint32_t state, uint32_t turn) {
    uint32_t *newest = &kept->newest_of[large_size_of(load_relaxed(&r->bytes))];
    store_relaxed(&r->turn, turn);
    store_relaxed(&r->older, load_relaxed(newest));
    if (!cas_acq_rel(&r->state, &state, large_state(state, LARGE_KEPT))) return false;
    store_relaxed(newest, r->id);
    return true;
}

bool hak_large_kept_give(struct large *r) {
    uint32_t state = load_acquire(&r->state);
    return large_kind(state) == LARGE_LIVE_KEPT && make_free(r, state, load_relaxed(&kept->turn));
}

/* ---- Under the lock ------------------------------------------------------------------------- */

void hak_large_kept_add(struct large *r, uint32_t turn) {
    r->place = kept->count;
    kept->all[kept->count] = r;
    store_relaxed(&kept->count, kept->count + 1);
    store_relaxed(&kept->bytes, kept->bytes + r->bytes);
    make_free(r, load_relaxed(&r->state), turn);
}

void hak_large_kept_remove(struct large *r, size_t bytes) {
    uint32_t last = kept->count - 1;
    kept->all[r->place] = kept->all[last];
    kept->all[r->place]->place = r->place;
    store_relaxed(&kept->count, last);
    store_relaxed(&kept->bytes, kept->bytes - bytes);
}

uint64_t hak_large_kept_free_bytes(void) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < kept->count; i++) {
        struct large *r = kept->all[i];
        if (large_is_free(r)) bytes += r->bytes;
    }
    return bytes;
}

struct large *hak_large_kept_oldest(bool free_only) {
    struct large *oldest = NULL;
    uint32_t most_turns = LARGE_RECENT_TURNS;
    for (uint32_t i = 0; i < kept->count; i++) {
        struct large *r = kept->all[i];
        uint32_t turns = kept->turn - load_relaxed(&r->turn);
        if (turns <= most_turns || (free_only && !large_is_free(r))) continue;
        most_turns = turns;
        oldest = r;
    }
    return oldest;
}

struct large *hak_large_kept_take_lost(const struct large_wanted *w) {
    for (uint32_t i = 0; i < kept->count; i++) {
        if (make_live(kept->all[i], w)) return kept->all[i];
    }
    return NULL;
}

static size_t distance(size_t a, size_t b) { return a < b ? b - a : a - b; }

struct large *hak_large_kept_take_near(const struct large_wanted *w) {
    size_t least_off = w->least / 3;
    struct large *nearest = NULL;
    for (uint32_t i = 0; i < kept->count; i++) {
        struct large *r = kept->all[i];
        size_t off = distance(load_relaxed(&r->bytes), w->least);
        if (off > least_off || !large_is_free(r)) continue;
        least_off = off;
        nearest = r;
    }
    if (nearest == NULL) return NULL;
    /* Relaxed: another thread may take it, and asks for other bytes; then the last step fails. */
    char *base = load_relaxed(&nearest->base);
    if (!hak_os_has_middle(base, load_relaxed(&nearest->asked))) return NULL;
    return large_change(nearest, LARGE_KEPT, LARGE_LIVE_KEPT) ? nearest : NULL;
}

/* ---- Parts ---------------------------------------------------------------------------------- */

/* The free one that begins where `r` ends and was cut from the same mapping; NULL: none does. The
 * kernel would not resize what lies in two. */
static struct large *right_of(const struct large *r) {
    const char *end = load_relaxed(&r->base) + load_relaxed(&r->bytes);
    uint32_t word = registry_word(end);
    struct large *right = word_is_large(word) ? large_record(word_large_id(word)) : NULL;
    if (right == NULL || !large_is_free(right)) return NULL;
    return load_relaxed(&right->base) == end && right->origin == r->origin ? right : NULL;
}

/* Of `r` and as many to the right of it as it takes; less than `least`: they do not make it up. */
static size_t row_bytes(const struct large *r, size_t least) {
    size_t bytes = 0;
    for (; r != NULL && bytes < least; r = right_of(r)) bytes += load_relaxed(&r->bytes);
    return bytes;
}

/* Where the least row begins that is enough; NULL: none is. */
static struct large *find_row(size_t least) {
    struct large *best = NULL;
    size_t best_bytes = LARGE_CACHED_MAX + 1;
    for (uint32_t i = 0; i < kept->count; i++) {
        struct large *r = kept->all[i];
        if (!large_is_free(r)) continue;
        size_t bytes = row_bytes(r, least);
        if (bytes < least || bytes >= best_bytes) continue;
        best_bytes = bytes;
        best = r;
    }
    return best;
}

/* `r`, which is the caller's alone, takes over the one to the right of it. False: that was taken
 * meanwhile. */
static bool merge(struct large *r) {
    struct large *right = right_of(r);
    if (right == NULL || !large_change(right, LARGE_KEPT, LARGE_NONE)) return false;
    size_t bytes = right->bytes;
    hak_large_kept_remove(right, bytes);
    if (right->dirty != 0) r->dirty = r->bytes + right->dirty;
    hak_registry_set(right->base, 1, 0);
    large_note_freed(right->base);
    store_relaxed(&right->base, NULL);
    large_set_bytes(right, 0);
    hak_large_record_free(right);
    large_set_bytes(r, r->bytes + bytes);
    store_relaxed(&kept->bytes, kept->bytes + bytes);
    return true;
}

/* What lies behind `bytes` of `r`, which is the caller's alone, is free apart. False: out of
 * memory, or of places. */
static bool split(struct large *r, size_t bytes) {
    char *base = r->base + bytes;
    if (kept->count == LARGE_KEPT_ENTRIES || !hak_registry_reserve(base, 1)) return false;
    struct large *rest = hak_large_record_take();
    if (rest == NULL) return false;
    store_relaxed(&rest->base, base);
    large_set_bytes(rest, r->bytes - bytes);
    rest->dirty = r->dirty > bytes ? r->dirty - bytes : 0;
    store_relaxed(&rest->asked, rest->dirty);
    rest->origin = r->origin;
    rest->huge = false;
    rest->eager = r->eager;
    if (r->dirty > bytes) r->dirty = bytes;
    large_set_bytes(r, bytes);
    store_relaxed(&kept->bytes, kept->bytes - rest->bytes);
    large_begin(rest, LARGE_NONE);
    hak_registry_set(base, 1, WORD_LARGE | rest->id);
    hak_large_kept_add(rest, load_relaxed(&r->turn));
    return true;
}

struct large *hak_large_kept_take_part(const struct large_wanted *w) {
    if (w->align > SLAB_BYTES || w->least % SLAB_BYTES != 0) return NULL;
    struct large *r = find_row(w->least);
    if (r == NULL || !large_change(r, LARGE_KEPT, LARGE_NONE)) return NULL;
    while (r->bytes < w->least && merge(r)) {
    }
    bool fits = r->bytes >= w->least && (r->bytes <= w->most || split(r, w->least));
    /* Another life: whoever looks at the last one still has its bytes. */
    large_begin(r, fits ? LARGE_LIVE_KEPT : LARGE_NONE);
    if (fits) return r;
    make_free(r, load_relaxed(&r->state), load_relaxed(&r->turn));
    return NULL;
}
