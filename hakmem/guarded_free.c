/* Freed guarded blocks: what they are held to, how they wait, and what they are held to when they
 * have waited. */
#include <string.h>

#include "hakmem/guard/quarantine.h"
#include "hakmem/guarded.h"
#include "hakmem/guarded_steps.h"
#include "hakmem/large/large.h"

#define ADVICE_SIZE "pass the size that the block was asked for with"
#define ADVICE_TWICE "two threads freed the block; look for two owners of one pointer"
/* Blocks that are asked for ahead of those that are compared. */
#define AHEAD_BLOCKS 8

/* ---- Back to the lists ---------------------------------------------------------------------- */

static size_t raw_bytes(const void *block, uint32_t word) {
    return word_is_large(word) ? hak_large_usable(block, word)
                               : hak_size_class[word_class(word)].block_bytes;
}

static void give_back(void *block) {
    uint32_t word = registry_word(block);
    bool large = word_is_large(word);
    /* What the kernel will not open again stays out for good. */
    if (large && !hak_guarded_protect(block, raw_bytes(block, word), true, false)) return;
    hak_raw_free(block, word);
}

/* One that was written to stays out for good, and one that is not in the quarantine is not ours. */
static HAK_COLD void report_unfit(const struct waiting *w) {
    struct guarded_block g;
    enum trailer_state state = trailer_read(w->block, w->bytes, &g);
    if (state == TRAILER_LIVE || state == TRAILER_LEFT) {
        hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", w->block, w->bytes, ADVICE_TWICE);
        return;
    }
    const char *at = state == TRAILER_WAITING ? hak_trailer_late_write(&g, guard_fill())
                                              : g.start + g.bytes - BLOCK_MIN;
    hak_guarded_report_at(HAK_ERROR_CORRUPTED_BLOCK, "corrupted free block", &g, at,
                          ADVICE_CORRUPTED);
}

HAK_INLINE bool may_leave(const struct waiting *w, unsigned char fill) {
    bool fit = trailer_is_filled(w->block, w->bytes, fill) &&
               trailer_turn(w->block, w->bytes, SEAL_WAITING, SEAL_LEFT);
    if (HAK_UNLIKELY(!fit)) report_unfit(w);
    return fit;
}

static void ask_for(const struct waiting *w) {
    /* The processor finds what lies between by itself. */
    const char *block = w->block;
    __builtin_prefetch(block + w->bytes - BLOCK_MIN);
    __builtin_prefetch(block);
}

/* Into the thread's list, or as hak_raw_free does. Entered. False: it is no slab's. */
HAK_INLINE bool back_to_list(struct lists *lists, void *block) {
    uint32_t word = registry_word(block), c = word_class(word);
    if (HAK_UNLIKELY(c >= CLASSES || word_is_checked(word))) return false;
    if (HAK_UNLIKELY(!list_push(lists, list_of_word(lists, word), block))) hak_front_free(block, c);
    return true;
}

/* Those that may leave, first of all; returns how many. */
HAK_INLINE unsigned sift(struct quarantine_turn *turn, unsigned char fill) {
    unsigned left = 0, outs = turn->outs;
    for (unsigned i = 0; i < outs; i++) {
        ask_for(&turn->out[i + AHEAD_BLOCKS < outs ? i + AHEAD_BLOCKS : i]);
        if (may_leave(&turn->out[i], fill)) turn->out[left++].block = turn->out[i].block;
    }
    return left;
}

static void let_out(struct quarantine_turn *turn) {
    /* A fill that the compiler knows is compared in fewer steps. */
    unsigned left = guard_is_debug() ? sift(turn, GUARD_FREED) : sift(turn, 0);
    /* Most go to the lists, in one slow path. */
    unsigned others = left;
    if (HAK_LIKELY(hak_front.heap != NULL) && front_enter()) {
        struct lists *lists = &hak_front.heap->lists;
        others = 0;
        for (unsigned i = 0; i < left; i++) {
            void *block = turn->out[i].block;
            if (HAK_UNLIKELY(!back_to_list(lists, block))) turn->out[others++].block = block;
        }
        front_leave();
    }
    for (unsigned i = 0; i < others; i++) give_back(turn->out[i].block);
}

/* ---- Waiting -------------------------------------------------------------------------------- */

/* The batch goes to the ring, and the ring shrinks to `keep` bytes. False: nothing left it. */
static bool shrink_to(size_t keep) {
    for (bool any = false;; any = true) {
        struct quarantine_turn turn;
        if (!front_enter()) return any;
        hak_quarantine_turn(&turn, NULL, keep);
        front_leave();
        if (turn.outs == 0) return any;
        let_out(&turn);
    }
}

bool hak_guarded_flush(void) { return shrink_to(0); }
void hak_guarded_idle(void) { shrink_to(hak_quarantine_bound()); }
size_t hak_guarded_waiting_bytes(void) { return hak_quarantine_bytes(); }

void hak_guarded_thread_ends(void) {
    if (!guard_is_on()) return;
    hak_guarded_idle();
    if (!front_enter()) return;
    hak_quarantine_end();
    front_leave();
}

void hak_guarded_fork_child(void) {
    if (!guard_is_on()) return;
    struct quarantine_turn turn;
    /* Their pages were copied one by one while those threads filled them: not compared. */
    while (hak_quarantine_fork_child(&turn)) {
        for (unsigned i = 0; i < turn.outs; i++) give_back(turn.out[i].block);
    }
}

/* The batch is full, there is none, or the block is big. False: it cannot wait. */
static HAK_NOINLINE bool wait_slowly(void *block, size_t bytes) {
    struct waiting one = {block, bytes};
    struct quarantine_turn turn;
    if (!front_enter()) return false;
    if (hak_front.heap != NULL) hak_quarantine_start();
    bool waits = hak_quarantine_turn(&turn, &one, hak_quarantine_bound());
    front_leave();
    let_out(&turn);
    if (turn.outs == QUARANTINE_OUTS) shrink_to(hak_quarantine_bound());
    return waits;
}

/* A call that comes in inside a slow path, or after its thread's end, takes no lock. */
HAK_INLINE bool wait_in_quarantine(void *block, size_t bytes) {
    if (HAK_LIKELY(hak_front.heap != NULL) && front_enter()) {
        bool added = quarantine_add(block, bytes);
        front_leave();
        if (HAK_LIKELY(added)) return true;
    }
    return wait_slowly(block, bytes);
}

/* What it held goes: by its pages, where they are many. */
static void wipe(const struct guarded_block *g) {
    size_t page = hak_os_page_bytes();
    char *first = (char *)align_up((uintptr_t)g->start, page), *end = trailer_slack_end(g);
    size_t pages = g->large ? (size_t)(end - first) & ~(page - 1) : 0;
    if (pages < MEDIUM_MAX / 2 || !hak_os_purge(first, pages)) {
        trailer_fill(g->start, trailer_room(g), guard_fill());
        return;
    }
    memset(first + pages, 0, (size_t)(end - (first + pages)));
}

void hak_guarded_let_go(const struct guarded_block *g, const struct places *places) {
    /* A mapping that was made aside, for a small block, goes back at once: each is dear. */
    bool aside = g->large && g->bytes <= MEDIUM_MAX;
    bool waits = guard_accuses() && !aside && hak_quarantine_takes(g->bytes);
    if (g->freed != NULL && places != NULL) *g->freed = *places;
    trailer_turn(g->start, g->bytes, 0, SEAL_WAITING);
    if (HAK_LIKELY(waits)) {
        trailer_fill(g->start, trailer_room(g), guard_fill());
        if (HAK_LIKELY(wait_in_quarantine(g->start, g->bytes))) return;
    } else if (guard_accuses()) {
        wipe(g);
    }
    give_back(g->start);
}

/* ---- Freeing -------------------------------------------------------------------------------- */

static const char *const MISMATCHED[] = {
    [KIND_MALLOC] = "mismatched free",
    [KIND_NEW] = "mismatched operator delete",
    [KIND_NEW_ARRAY] = "mismatched operator delete[]",
};

static HAK_NOINLINE void free_slowly(void *block, enum block_kind kind) {
    FIND_PLACES(places)
    struct guarded_block g;
    if (block == NULL || !guarded_find(block, &hak_verb_free, &g)) return;
    if (!guarded_kind_fits(&g, kind, MISMATCHED[kind]) || !guarded_is_whole(&g)) return;
    hak_guarded_let_go(&g, places);
}

void hak_guarded_free(void *block, uint32_t word, enum block_kind kind) {
    /* The commonest reason: a small or medium block in safe mode that is right in all respects.
     * Whatever is not so is looked at again. */
    struct heap *heap = hak_front.heap;
    uint32_t c = word_class(word);
    if (HAK_UNLIKELY(load_relaxed(&hak_guard) != GUARD_SAFE || heap == NULL || c >= CLASSES ||
                     !list_begins_block(list_of_word(&heap->lists, word), block, word))) {
        free_slowly(block, kind);
        return;
    }
    size_t bytes = hak_size_class[c].block_bytes, room = bytes - sizeof(struct trailer);
    struct trailer *t = trailer_of(block, bytes);
    uint64_t known = t->word, seal = trailer_seal(t, known);
    struct guarded_block g;
    g.start = block;
    g.bytes = bytes;
    g.asked = known - ((uint64_t)kind << TRAILER_KIND);
    g.window = guarded_window(c, false);
    g.allocated = NULL;
    if (HAK_UNLIKELY(load_relaxed(&t->seal) != seal || known >> TRAILER_KIND != kind ||
                     word_is_checked(word) || !trailer_is_whole(&g) || !front_enter())) {
        free_slowly(block, kind);
        return;
    }
    bool waits = quarantine_add(block, bytes);
    if (HAK_LIKELY(waits)) {
        store_relaxed(&t->seal, seal ^ SEAL_WAITING);
        trailer_fill(block, room, 0);
    }
    front_leave();
    if (HAK_UNLIKELY(!waits)) free_slowly(block, kind);
}

void hak_guarded_free_sized(void *block, size_t size, enum block_kind kind,
                            const char *wrong_size) {
    FIND_PLACES(places)
    struct guarded_block g;
    if (block == NULL || !guarded_find(block, &hak_verb_free, &g)) return;
    if (HAK_UNLIKELY(size != g.asked) && guard_accuses()) {
        hak_misuse(HAK_ERROR_WRONG_SIZE, wrong_size, block, g.bytes, ADVICE_SIZE);
        return;
    }
    if (!guarded_kind_fits(&g, kind, MISMATCHED[kind]) || !guarded_is_whole(&g)) return;
    hak_guarded_let_go(&g, places);
}
