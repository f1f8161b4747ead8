#include "hakmem/tls_front/tls_front.h"

#include "hakmem/base/clock.h"
#include "hakmem/base/misuse.h"
#include "hakmem/base/reclaim.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/bin.h"
#include "hakmem/tls_front/cap.h"
#include "hakmem/tls_front/heaps.h"

#define NONE \
    { .loaded = LIST_END, .previous = LIST_END }
const struct lists hak_lists_none = {.none = NONE, .of = {[0 ... LISTS - 1] = NONE}};
void (*hak_front_on_tick)(uint64_t now);
__thread struct front hak_front = {.lists = (struct lists *)(uintptr_t)&hak_lists_none};

/* Of list `i`; it is empty. */
static void load(struct heap *heap, unsigned i, struct chain chain) {
    struct list_pair *list = &heap->lists.of[i];
    list->loaded = chain.count == 0 ? LIST_END : chain.head;
    list_set_room(list, &heap->use[i], list->cap - (int32_t)chain.count);
}

/* The list is empty then. */
static struct chain unload(struct heap *heap, unsigned i) {
    struct list_pair *list = &heap->lists.of[i];
    int32_t count = list->cap - list_room(list, &heap->use[i]);
    struct chain chain = {list->loaded, (uint32_t)count};
    load(heap, i, (struct chain){NULL, 0});
    return chain;
}

static void flush_previous(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    void *previous = list->previous;
    list->previous = LIST_END;
    hak_bin_return(heap, c, previous);
}

/* Gives back all that the thread holds of class `c`; the class is cold then. */
static void flush_class(struct heap *heap, unsigned c) {
    flush_previous(heap, c);
    hak_bin_return(heap, c, unload(heap, c).head);
    if (c < LINE_CLASSES) hak_bin_return(heap, c, unload(heap, CLASSES + c).head);
    hak_cap_cool(heap, c);
}

/* Classes that rest give back what they hold, so that what a thread keeps follows what it does. */
static void sweep(struct heap *heap) {
    for (unsigned c = 0; c < CLASSES; c++) {
        if (hak_cap_rests(heap, c)) {
            flush_class(heap, c);
        } else if (hak_cap_calms(heap, c)) {
            flush_previous(heap, c);
        }
    }
    hak_caps_yield(heap, hak_front_threads());
    hak_warm_pool_collect(&heap->warm);
    hak_warm_pool_cool(&heap->warm);
}

/* Chains in transit that nobody came for go back. */
static void return_idle_chains(struct heap *heap) {
    if (!hak_giving_begin()) return;
    for (unsigned c = 0; c < CLASSES; c++) {
        struct chain chain = hak_transfer_pop_idle(c);
        for (; chain.count != 0; chain = hak_transfer_pop_idle(c)) {
            hak_bin_return(heap, c, chain.head);
        }
    }
    hak_giving_end();
}

bool hak_front_claim_tick(uint64_t now) {
    /* Of all threads; relaxed: who wins does the work. */
    static uint64_t next_tick_ms;
    uint64_t due = load_relaxed(&next_tick_ms);
    return (int64_t)(now - due) >= 0 && cas_acq_rel(&next_tick_ms, &due, now + TICK_MS);
}

/* This thread's sweep, and what is to be done for all threads, where their time has come.
 * `counts`: the slow calls since the last look bring the sweep nearer. */
static HAK_COLD void look_at_clock(struct heap *heap, bool counts) {
    static uint32_t ticks;
    uint64_t now = clock_ms();
    heap->caps.until_look = FRONT_LOOK_CALLS;
    heap->caps.looks += counts;
    if (heap->caps.looks >= FRONT_SWEEP_LOOKS || now - heap->caps.swept_ms >= FRONT_SWEEP_MS) {
        hak_caps_swept(heap, now);
        sweep(heap);
    }
    if (!hak_front_claim_tick(now)) return;
    if (fetch_add_relaxed(&ticks, 1u) % TICKS_IDLE == 0) return_idle_chains(heap);
    hak_front_tend_some();
    hak_shared_pool_tick(now);
    void (*on_tick)(uint64_t) = load_relaxed(&hak_front_on_tick);
    if (on_tick != NULL) on_tick(now);
}

/* NULL: the list is empty, or its first block was written to: then the list is dropped. */
static void *pop(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    void *block = list->loaded;
    if (HAK_UNLIKELY(block == LIST_END)) return NULL;
    if (HAK_UNLIKELY(HAK_CHECKS && !block_is_marked(block, heap->lists.cookie))) {
        unload(heap, c);
        hak_bin_check(SLAB_CORRUPTED, block, c);
        return NULL;
    }
    list->loaded = block_next(block);
    list->popped++;
    block_write_mark(block, 0);
    return block;
}

/* What is this thread's of the list. While lists hold nothing else, one in FRONT_OWN_SKIPPED + 1 is
 * looked at. */
static struct chain sort(struct heap *heap, unsigned c, struct chain chain) {
    uint8_t *own = &heap->own_lists[c];
    if (*own >= FRONT_OWN_LISTS && *own < FRONT_OWN_LISTS + FRONT_OWN_SKIPPED) {
        ++*own;
        return chain;
    }
    struct chain kept = hak_bin_keep_own(heap, c, chain.head);
    if (kept.count != chain.count) {
        *own = 0;
    } else {
        *own = *own < FRONT_OWN_LISTS ? (uint8_t)(*own + 1) : FRONT_OWN_LISTS;
    }
    return kept;
}

/* Of a class whose blocks share lines: what was freed is loaded, as far as this thread may take
 * it. */
static void load_sorted(struct heap *heap, unsigned c) {
    struct chain chain = unload(heap, CLASSES + c);
    if (hak_front_threads() > 1) chain = sort(heap, c, chain);
    load(heap, c, chain);
}

static unsigned take_from(struct heap *heap, struct slab *slab, unsigned want, void **head) {
    uint64_t cookie = heap->lists.cookie, random = load_relaxed(&heap->random);
    if (HAK_LIKELY(random == 0)) return hak_slab_take(slab, want, head, cookie);
    unsigned taken = hak_slab_take_random(slab, want, head, cookie, &random);
    store_relaxed(&heap->random, random);
    return taken;
}

/* A few blocks that share lines and go to and fro would be sorted at each malloc: a warm class gets
 * more to them, of the slab in use. */
static void top_up(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    struct list_use *use = &heap->use[c];
    int32_t room = list_room(list, use);
    if (use->cold > 0 || room < list->cap - list->cap / 4) return;
    struct slab *slab = hak_warm_pool_peek(&heap->warm, c);
    if (slab == NULL) return;
    uint64_t cookie = heap->lists.cookie;
    void *last = list->loaded, *more = LIST_END;
    for (; !HAK_CHECKS || block_is_marked(last, cookie); last = block_next(last)) {
        if (block_next(last) != LIST_END) continue;
        room -= (int32_t)take_from(heap, slab, (unsigned)room, &more);
        list_set_room(list, use, room);
        hak_warm_pool_taken(&heap->warm, slab);
        block_link(last, more, cookie);
        return;
    }
}

/* Loads what this thread freed last. False: there is nothing. */
static bool load_freed(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    if (c < LINE_CLASSES) {
        if (list_freed(&heap->lists, c)->loaded == LIST_END) return false;
        load_sorted(heap, c);
        if (list->loaded != LIST_END) top_up(heap, c);
        return true;
    }
    if (list->previous == LIST_END) return false;
    load(heap, c, (struct chain){list->previous, heap->use[c].previous});
    list->previous = LIST_END;
    hak_cap_swing(heap, c);
    return true;
}

static HAK_NOINLINE void *refill(struct heap *heap, unsigned c) {
    void *block = NULL;
    count_add(&heap->refills, 1);
    if (cap_called(heap, c)) look_at_clock(heap, true);
    if (load_freed(heap, c)) { /* 1. what this thread freed */
        block = pop(heap, c);
        if (HAK_LIKELY(block != NULL)) return block;
    }
    hak_cap_flow(heap, c, FLOW_IN);
    load(heap, c, hak_transfer_pop(c)); /* 2. what others freed, whole */
    block = pop(heap, c);
    while (block == NULL) { /* 3. a slab: another one if all that it had was written to */
        struct slab *slab = hak_warm_pool_get(&heap->warm, c);
        if (slab == NULL) return NULL;
        struct chain chain = {LIST_END, 0};
        chain.count = take_from(heap, slab, hak_cap_batch(heap, c), &chain.head);
        hak_warm_pool_taken(&heap->warm, slab);
        load(heap, c, chain);
        block = pop(heap, c);
    }
    return block;
}

void *hak_front_take(unsigned c) {
    /* The list is not empty where the hot path did not look, and where a signal handler came
     * before this path was entered. */
    struct heap *heap = hak_front.heap;
    void *block = pop(heap, c);
    return block != NULL ? block : refill(heap, c);
}

/* Gives the chains of class `c` in transit back to their slabs. */
static void drain_transfer(struct heap *heap, unsigned c) {
    struct chain chain = hak_transfer_pop(c);
    for (; chain.count != 0; chain = hak_transfer_pop(c)) hak_bin_return(heap, c, chain.head);
}

/* Most of what just went back left its slab nearly empty, and there are several such slabs: one or
 * two are what a few blocks that come and go need. */
static bool drains(const struct heap *heap, unsigned c) {
    return heap->returned.sparse * 2 > heap->returned.blocks &&
           heap->warm.classes[c].count + hak_shared_pool_partials(c) >= FRONT_DRAIN_SLABS;
}

/* The list that free puts blocks into is full. The caller's to give back: what was put aside
 * before, the longest unused; but in a run of frees the full one, whose blocks are in the cache
 * still, as what was put aside is not. */
static struct chain put_aside(struct heap *heap, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    bool in_a_run = heap->use[c].last == FLOW_OUT;
    if (c < LINE_CLASSES) {
        if (in_a_run && list->loaded != LIST_END) return unload(heap, CLASSES + c);
        struct chain unused = unload(heap, c);
        load_sorted(heap, c);
        return unused;
    }
    if (in_a_run && list->previous != LIST_END) return unload(heap, c);
    struct chain unused = {list->previous, heap->use[c].previous}, full = unload(heap, c);
    list->previous = full.head;
    heap->use[c].previous = (uint16_t)full.count;
    return unused;
}

/* Makes room: what is unused goes to others or back to its slabs. */
static void rotate(struct heap *heap, unsigned c) {
    struct chain unused = put_aside(heap, c);
    if (unused.head == LIST_END) return;
    heap->returned.blocks = heap->returned.sparse = 0;
    bool handed_over = hak_bin_hand_over(heap, c, unused);
    if (drains(heap, c)) {
        hak_cap_drain(heap, c);
        if (!hak_giving_begin()) return;
        drain_transfer(heap, c);
        hak_giving_end();
    } else {
        hak_cap_flow(heap, c, handed_over ? FLOW_OVER : FLOW_OUT);
    }
}

/* For a big class that became warm: those that were so before give up their room. */
static void make_big_room(struct heap *heap) {
    for (unsigned big = CLASSES - 1; cap_is_big(big); big--) {
        if (heap->lists.of[big].cap != 0) flush_class(heap, big);
    }
}

/* Of a cold class nothing stays: neither what is freed nor what was taken ahead. */
static void free_cold(struct heap *heap, void *block, unsigned c) {
    struct list_pair *list = &heap->lists.of[c];
    hak_cap_flow(heap, c, FLOW_OUT);
    if (list->loaded != LIST_END) hak_bin_return(heap, c, unload(heap, c).head);
    heap->use[c].batch = 1;
    block_link(block, LIST_END, heap->lists.cookie);
    /* Other threads' blocks make a class warm too: each costs an atomic operation here. */
    if (!hak_bin_return_one(heap, c, block) && heap->use[c].cold > 0) heap->use[c].cold--;
    if (heap->use[c].frees < FRONT_COLD_FREES) heap->use[c].frees++;
}

/* The second word is the mark of a free block whose link was written to since: less cookie and
 * address it names what the link did. What a program writes there does not: it knows no cookie. */
static bool was_linked(const struct heap *heap, const void *block, const struct slab *slab) {
    uint64_t sum = block_read_mark(block) - heap->lists.cookie;
    const void *next = (const void *)(uintptr_t)(sum - (uintptr_t)block);
    const struct slab *of_next = hak_slab_of(next);
    unsigned w;
    uint64_t bit;
    if (next == LIST_END) return true;
    return of_next != NULL &&
           load_relaxed(&of_next->class_index) == load_relaxed(&slab->class_index) &&
           hak_slab_find(of_next, next, &w, &bit) == SLAB_OK;
}

/* In a list, or in its slab. The mark tells, or the slab's bits, or what is left of the mark where
 * the link was written to. */
static bool is_free(const struct heap *heap, const void *block) {
    if (!HAK_CHECKS || HAK_LIKELY(!block_may_be_marked(block))) return false;
    if (block_is_marked(block, heap->lists.cookie)) return true;
    struct slab *slab = hak_slab_of(block);
    unsigned w;
    uint64_t bit;
    return slab != NULL && hak_slab_find(slab, block, &w, &bit) == SLAB_OK &&
           (hak_slab_has(slab, w, bit) || was_linked(heap, block, slab));
}

void hak_front_free(void *block, unsigned c) {
    struct heap *heap = hak_front.heap;
    struct list_pair *list = &heap->lists.of[c], *freed = list_freed(&heap->lists, c);
    struct list_use *use = &heap->use[freed - heap->lists.of];
    if (HAK_UNLIKELY(!list_begins_block(list, block, registry_word(block)))) {
        hak_bin_check(SLAB_INTERIOR, block, c);
        return;
    }
    if (HAK_UNLIKELY(is_free(heap, block))) {
        hak_bin_check(SLAB_DOUBLE_FREE, block, c);
        return;
    }
    if (freed->room <= 0) {
        if (freed->room < 0) freed->room++; /* the hot path counted it */
        list_set_room(freed, use, list_room(freed, use));
        /* A long run of frees of a cold class is no long time. */
        if (cap_called(heap, c)) look_at_clock(heap, heap->use[c].cold == 0);
        if (list->cap == 0) {
            if (cap_wants_room(heap, c)) make_big_room(heap);
            free_cold(heap, block, c);
            return;
        }
        if (freed->room <= list_little_room(list)) {
            rotate(heap, c);
        } else {
            hak_cap_swing(heap, c);
        }
    }
    freed->room--;
    block_link(block, freed->loaded, heap->lists.cookie);
    freed->loaded = block;
}

void hak_front_free_aside(void *block) {
    unsigned c = word_class(registry_word(block));
    if (!hak_front_mark(block)) return;
    hak_bin_check(hak_slab_give_remote(block), block, c < CLASSES ? c : 0);
}

void hak_front_free_checked(void *block) {
    struct slab *slab = hak_slab_of(block);
    hak_front_free_aside(block);
    if (slab != NULL) hak_shared_pool_freed_into(slab);
}

void hak_front_drain_transfer(void) {
    struct heap *heap = hak_front.heap;
    if (heap == NULL) return;
    for (unsigned c = 0; c < CLASSES; c++) drain_transfer(heap, c);
}

void hak_heap_flush_lists(struct heap *heap) {
    for (unsigned c = 0; c < CLASSES; c++) {
        if (!cap_is_unused(heap, c)) flush_class(heap, c);
    }
}

/* A short list of what the thread had in use serves the next one as it is. */
static void leave_chain(struct heap *heap, unsigned c, struct chain chain) {
    size_t bytes = (size_t)chain.count * hak_size_class[c].block_bytes;
    if (chain.head == LIST_END) return;
    if (bytes > FRONT_LEFT_BYTES || !hak_transfer_push(c, chain)) {
        hak_bin_return(heap, c, chain.head);
    }
}

void hak_heap_leave_lists(struct heap *heap) {
    for (unsigned c = LINE_CLASSES; c < CLASSES; c++) {
        if (cap_is_unused(heap, c) || heap->use[c].cold > 0) continue;
        struct chain previous = {heap->lists.of[c].previous, heap->use[c].previous};
        heap->lists.of[c].previous = LIST_END;
        leave_chain(heap, c, unload(heap, c));
        leave_chain(heap, c, previous);
    }
}

void hak_front_flush(void) {
    struct heap *heap = hak_front.heap;
    if (heap == NULL) return;
    hak_heap_flush_lists(heap);
    hak_warm_pool_trim(&heap->warm);
}

void hak_front_give_up(void) {
    struct heap *heap = hak_front.heap;
    if (heap == NULL) return;
    hak_heap_flush_lists(heap);
    hak_warm_pool_give_up(&heap->warm);
}

static uint64_t list_bytes(void *head, unsigned c) {
    uint64_t bytes = 0;
    for (; head != LIST_END; head = block_next(head)) {
        if (HAK_CHECKS && !block_is_marked(head, hak_front.heap->lists.cookie)) break;
        bytes += hak_size_class[c].block_bytes;
    }
    return bytes;
}

uint64_t hak_front_bytes(void) {
    uint64_t bytes = 0;
    struct heap *heap = hak_front.heap;
    if (heap == NULL) return 0;
    for (unsigned c = 0; c < CLASSES; c++) {
        const struct list_pair *list = &heap->lists.of[c], *freed = list_freed(&heap->lists, c);
        bytes += list_bytes(list->loaded, c) + list_bytes(list->previous, c);
        if (freed != list) bytes += list_bytes(freed->loaded, c);
    }
    return bytes;
}
