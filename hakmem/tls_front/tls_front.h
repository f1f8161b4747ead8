/* The thread's own blocks: for each size class a loaded list, and a full one put aside.
 *
 *      malloc <-- loaded <-- free          what was freed last goes out first
 *                  |  ^
 *             full v  | empty              whole, without a look at the blocks
 *                 previous --> others, or back to the slabs, when loaded is full again
 *
 * (Bonwick, Adams, "Magazines and Vmem"; their names.) A program that crosses the border between
 * full and empty to and fro pays for it once in a list's length. Free counts its blocks down from
 * `room`, malloc its own up in `popped`; when the room has run out free takes the others in. So a
 * thread comes by the slow path now and then, whatever it does, and looks at the clock there.
 * A free block in a list: first word = link, second word = its mark, which covers the address and
 * the link (slab.h). No block goes out, and no link is followed, unless the mark is right: so a
 * block that was written to, or that is in a list twice, stops the program before it is given.
 *
 * A block goes to the list of whoever frees it, whoever owns its slab; what a thread frees beyond
 * its need is handed over whole. Blocks that share a cache line (LINE_BYTES) are the exception:
 * free puts them into a list of their own, and they are sorted before they are loaded, so that two
 * threads do not write one line; now and then only, while its lists hold a thread's own alone.
 *
 * The hot path is not guarded against signal handlers; in signals mode it finds no lists. Every
 * slow path is guarded (front_enter): a handler that comes in between finds no lists, and is served
 * aside, without a lock. */
#ifndef HAKMEM_TLS_FRONT_TLS_FRONT_H_
#define HAKMEM_TLS_FRONT_TLS_FRONT_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/base/door.h"
#include "hakmem/registry/registry.h"
#include "hakmem/size_class/size_class.h"
#include "hakmem/transfer/transfer.h"
#include "hakmem/warm_pool/warm_pool.h"

/* A class's lists, and how much they may hold (cap.h). */
struct list_pair {
    void *loaded;
    void *previous;
    int32_t room; /* blocks that free puts into loaded before it looks closer; -1: does */
    uint32_t divisor, limit; /* tell where blocks begin: starts_block */
    uint16_t cap;            /* blocks that a list may hold; 0: the class is cold */
    uint16_t popped;         /* by malloc since free looked: so much more room there is */
};

/* How a class's lists were used. Of the second pairs: excess. */
struct list_use {
    uint32_t seen;     /* what the last sweep saw */
    uint16_t previous; /* blocks in the previous list */
    uint16_t excess;   /* of the loaded list above its cap: it was loaded so, or the cap shrank */
    uint16_t batch;    /* blocks that a cold class takes from its slab next time */
    uint8_t cold;      /* turns of the flow to come before the class is warm */
    bool warming;      /* cap may grow at a slow call */
    bool swinging;     /* cap may grow when lists turn over, or malloc made room */
    uint8_t rested;    /* sweeps that found the class as the one before had left it */
    uint8_t last;      /* how blocks last went past the lists: enum flow */
    uint8_t frees;     /* of the cold class, since blocks last came in, or the last sweep */
};

/* In from behind the lists, out to slabs, over to other threads. */
enum flow { FLOW_NONE, FLOW_IN, FLOW_OUT, FLOW_OVER };

/* A thread's lists: all that the hot path touches. A registry word is the offset of its pair from
 * `none`, which stands for all that has no class and begins no block. */
struct lists {
    uint64_t end; /* of the words that have a pair; 0 in hak_lists_none */
    uint64_t cookie;
    struct list_pair none;
    struct list_pair of[LISTS]; /* from CLASSES on: what free takes of classes that share lines */
};

#define FRONT_ENDED 2

/* Thread-local. */
struct front {
    struct lists *lists; /* what the hot path sees: the heap's, or hak_lists_none in a slow path,
                          * without a heap, and while they are hidden */
    struct heap *heap;   /* NULL until the thread has one, and after its end */
    uint32_t busy;       /* 1 in a slow path; FRONT_ENDED once the thread has ended */
    uint32_t asides;     /* frees without a heap, to FRONT_ASIDE_FREES */
};

/* The sums of a thread's caps (cap.h). */
struct caps {
    size_t bytes;                /* at most FRONT_THREAD_BYTES */
    size_t big_bytes;            /* of these: of big classes, which share FRONT_BIG_BYTES */
    size_t charged;              /* of `bytes`: counted against the bound of all threads */
    uint32_t until_look;         /* slow calls, to the next look at the clock */
    uint32_t looks;              /* since the last sweep */
    uint32_t pressure;           /* of the common bound, when this thread last looked */
    uint64_t swept_ms;           /* when it swept */
    uint64_t began_ms, ended_ms; /* the heap's last thread */
    uint8_t left[CLASSES];       /* turns that it brought each class from cold */
    bool busy; /* it came to its last sweep by looks, in less than FRONT_BUSY_MS */
};

/* What a thread has. Made at its first slow path, recycled after its end. */
struct heap {
    struct lists lists;
    struct lists *hot; /* what the hot path sees between slow paths; others write it */
    struct caps caps;
    struct list_use use[LISTS];
    struct warm_pool warm;
    uint64_t refills;
    uint8_t
        own_lists[LINE_CLASSES]; /* in a row without another thread's block, then skipped ones */
    uint64_t random; /* where its blocks come from, random_next's state; 0: lowest first */
    struct {
        size_t blocks; /* that went back to slabs since this was set to 0 */
        size_t sparse; /* of these: to slabs that stayed sparse */
    } returned;
    int32_t process, thread; /* whose it is, as the kernel counts them */
    /* Busy: its thread is in a slow path, and a forked child's copy may be torn. A guest uses the
     * warm pool, never the lists. */
    struct door door;
    uint64_t refills_seen; /* by tend.c when it last looked */
    uint64_t seen_ms;      /* when it saw that they grew */
    bool in_use;           /* a thread has it */
    struct heap *next_all, *next_free;
};

#ifdef __cplusplus
extern "C" {
#endif

extern __thread struct front hak_front __attribute__((tls_model("initial-exec")));

/* Lists that are empty and take nothing: every call that meets them takes the slow path. */
extern const struct lists hak_lists_none;

/* Makes the calling thread's heap. False: out of memory, or the thread has ended. */
bool hak_front_start(void);
/* What a thread calls in a slow path, not oftener than each TICK_MS milliseconds in all threads.
 * `now`: clock_ms. */
extern void (*hak_front_on_tick)(uint64_t now);
/* A tick is due, and the caller's to do; TICK_MS later there is another. */
bool hak_front_claim_tick(uint64_t now);
/* Hides the lists of all threads from the hot path, or shows them: of others from the end of their
 * next slow path on. In a slow path it does nothing. */
void hak_front_hide(bool hide);
/* From now on threads take the blocks of a slab from a random one on. */
void hak_front_randomise(void);
/* A block of class `c`, from the list or what stands behind it. NULL: out of memory. Entered. */
void *hak_front_take(unsigned c);
/* The block carries the mark of a free one. */
bool hak_front_is_marked(const void *block);
/* Frees a block of class `c`, for every reason the hot path left: the list is full, there was no
 * heap, misaligned, freed twice. Entered. */
void hak_front_free(void *block, unsigned c);
/* Frees a block of a class that is cold, in a run of frees of it, into this thread's own slab: for
 * half of what hak_front_free takes. `word`: of a slab, not checked. False: it is none such, or
 * more is due. */
bool hak_front_free_on(void *block, uint32_t word);
/* Frees a block of a slab whose word is checked. Entered. */
void hak_front_free_checked(void *block);
/* Frees a slab's block without lists or locks: from signal handlers, and in threads that have
 * ended. */
void hak_front_free_aside(void *block);
/* Gives the chains in transit back to their slabs. Entered. */
void hak_front_drain_transfer(void);
/* Gives back what the thread holds; the heap stays. Entered. */
void hak_front_flush(void);
/* The same, and gives up slabs in use too: the thread goes idle. Entered. */
void hak_front_give_up(void);
/* Ends the thread's heap. Later calls are served aside. */
void hak_front_end(void);
/* Looks after the next `most` heaps: those that their threads left behind end; of those whose
 * threads sleep, or of all, what others freed into their slabs is taken in. Entered. */
void hak_front_tend(unsigned most, bool all);
/* A few of them: at a tick. */
void hak_front_tend_some(void);
/* Gives back what can be had: of every heap, of the chains in transit, of this thread. Entered. */
void hak_front_give_back(void);

/* Bytes in the caller's lists. Entered. */
uint64_t hak_front_bytes(void);
struct front_stats {
    uint64_t threads, refills, hits, misses, prefilled;
};
/* Sums over all threads, living and ended; `c` < CLASSES: of that class only. */
void hak_front_stats(struct front_stats *out, unsigned c);

/* Around fork. `child`: gives the other threads' slabs to whoever wants them; true: there were
 * others. */
void hak_front_lock(void);
void hak_front_unlock(void);
bool hak_front_fork_child(void);

#ifdef __cplusplus
}
#endif

/* Begins a slow path. False: this thread is in one already (a signal handler), or has ended. A
 * handler that comes from here on finds no lists, and is served aside. */
HAK_INLINE bool front_enter(void) {
    if (HAK_UNLIKELY(hak_front.busy)) return false;
    hak_front.busy = 1;
    signal_fence();
    hak_front.lists = (struct lists *)(uintptr_t)&hak_lists_none;
    if (HAK_LIKELY(hak_front.heap != NULL)) door_enter(&hak_front.heap->door);
    signal_fence();
    return true;
}

HAK_INLINE void front_leave(void) {
    signal_fence();
    if (HAK_LIKELY(hak_front.heap != NULL)) {
        door_leave(&hak_front.heap->door);
        hak_front.lists = load_relaxed(&hak_front.heap->hot);
    }
    signal_fence();
    hak_front.busy = 0;
}

#ifndef __cplusplus
_Static_assert(sizeof(struct list_pair) == 1 << CLASS_SCALE && CLASS_SCALE == WORD_SCALE,
               "size tables and registry words hold offsets of these");
#endif

HAK_INLINE struct list_pair *list_at(struct lists *lists, size_t scaled_class) {
    return (struct list_pair *)((char *)lists->of + scaled_class);
}

/* What the cap leaves of room now, 0 or less: the list is full. */
HAK_INLINE int32_t list_room(const struct list_pair *list, const struct list_use *use) {
    return list->room + list->popped - use->excess;
}

HAK_INLINE void list_set_room(struct list_pair *list, struct list_use *use, int32_t room) {
    list->room = room < 0 ? 0 : room;
    list->popped = 0;
    use->excess = (uint16_t)(list->room - room);
}

/* What a slow call for the list counts towards the next look at the clock: the longer the list, the
 * more blocks went by since the last one. */
HAK_INLINE uint32_t list_weight(const struct list_pair *list) {
    return 1 + list->cap / FRONT_LOOK_BLOCKS;
}

/* Where free puts blocks of class `c`. */
HAK_INLINE struct list_pair *list_freed(struct lists *lists, unsigned c) {
    return &lists->of[c < LINE_CLASSES ? CLASSES + c : c];
}

/* Of an address in a slab of one unit: a block begins there. Its offset n is a multiple of the
 * block size d, and not that of the rest behind the last block. With c = ceil(2^32 / d) as divisor,
 * n * c is k * e modulo 2^32 for n = k * d, where e = c * d - 2^32, and c or more for all else
 * (Lemire, Kaser, Kurz, "Faster remainder by direct computation"); so the limit is what k =
 * capacity gives, or c where that is 0. */
HAK_INLINE bool starts_block(const struct list_pair *list, const void *block) {
    return (uint32_t)((uint16_t)(uintptr_t)block * list->divisor) < list->limit;
}

/* Takes a block; NULL: the list is empty, or its first block was written to. */
HAK_INLINE void *front_pop_of(struct lists *lists, size_t scaled_class) {
    struct list_pair *list = list_at(lists, scaled_class);
    void *block = list->loaded;
    hak_returned(block);
    if (!HAK_CHECKS && HAK_UNLIKELY(block == LIST_END)) return NULL;
    void *next = block_next(block);
    if (HAK_CHECKS &&
        HAK_UNLIKELY(block_read_mark(block) != block_mark(block, next, lists->cookie)))
        return NULL;
    __builtin_prefetch(next, 1); /* the next malloc looks at its mark */
    list->loaded = next;
    list->popped++;
    if (HAK_CHECKS) block_write_mark(block, 0);
    return block;
}

HAK_INLINE void *front_pop(size_t scaled_class) {
    return front_pop_of(hak_front.lists, scaled_class);
}

/* The commonest refill: the list that was put aside is loaded, and its first block taken. NULL:
 * there is none, or more is due (a cap may grow, a look at the clock), or the caller is in a slow
 * path. */
HAK_INLINE void *front_reload(uint32_t scaled_class) {
    struct lists *lists = hak_front.lists;
    if (HAK_UNLIKELY(scaled_class >= lists->end)) return NULL;
    struct list_pair *list = list_at(lists, scaled_class);
    struct heap *heap = hak_front.heap;
    struct list_use *use = &heap->use[scaled_class >> CLASS_SCALE];
    void *block = list->previous;
    if (block == LIST_END || list->loaded != LIST_END || use->swinging ||
        heap->caps.until_look <= list_weight(list) ||
        (HAK_CHECKS && !block_is_marked(block, lists->cookie))) {
        return NULL;
    }
    front_enter();
    heap->caps.until_look -= list_weight(list);
    count_add(&heap->refills, 1);
    use->rested = 0;
    list_set_room(list, use, list->cap - use->previous);
    list->popped = 1;
    list->previous = LIST_END;
    list->loaded = block_next(block);
    block_write_mark(block, 0);
    front_leave();
    return block;
}

/* Gives a block that begins where one of the class of the list does. False: freed already, or the
 * list is full. */
HAK_INLINE bool list_push(struct lists *lists, struct list_pair *list, void *block) {
    if (HAK_CHECKS && HAK_UNLIKELY(block_may_be_marked(block))) return false;
    if (HAK_UNLIKELY(--list->room < 0)) return false; /* hak_front_free counts it back */
    void *next = list->loaded;
    block_write_next(block, next);
    if (HAK_CHECKS) block_write_mark(block, block_mark(block, next, lists->cookie));
    signal_fence(); /* a fork may copy the list at any instruction: it is whole at each */
    list->loaded = block;
    return true;
}

/* The same for any address and its word; false also for what begins no block of a slab of one
 * unit. One compare covers runs, large blocks and a thread without lists. */
HAK_INLINE bool front_push_of(void *block, size_t word) {
    struct lists *lists = hak_front.lists;
    if (HAK_UNLIKELY(word >= lists->end)) return false;
    struct list_pair *list = (struct list_pair *)((char *)&lists->none + word);
    if (HAK_UNLIKELY(HAK_CHECKS ? !starts_block(list, block) : word == 0)) return false;
    return list_push(lists, list, block);
}

/* Of an address in a unit in which `count` blocks begin: one of them does there. By the word: the
 * slab's record need not be looked at. */
HAK_INLINE bool starts_one_of(const struct list_pair *list, const void *block, uint32_t word,
                              uint32_t count) {
    /* An address below the unit's first block wraps, to a quotient that is too big. */
    uint32_t offset = (uint16_t)(uintptr_t)block - word_first(word);
    uint64_t product = (uint64_t)offset * list->divisor;
    return (uint32_t)product < list->divisor && product >> 32 < count;
}

/* Of an address in a slab of more than one unit: a block begins there. */
HAK_INLINE bool starts_medium(const struct list_pair *list, const void *block, uint32_t word) {
    return starts_one_of(list, block, word, word_count(word));
}

/* The pair of a slab's word. */
HAK_INLINE struct list_pair *list_of_word(struct lists *lists, uint32_t word) {
    return (struct list_pair *)((char *)&lists->none + (word & 0xffff));
}

/* Of an address with the word of a slab: a block begins there. */
HAK_INLINE bool list_begins_block(const struct list_pair *list, const void *block, uint32_t word) {
    return (word & WORD_RUN) ? starts_medium(list, block, word) : starts_block(list, block);
}

/* front_push for slabs of more than a unit. */
HAK_INLINE bool front_push_medium(void *block, uint32_t word) {
    struct lists *lists = hak_front.lists;
    struct list_pair *list = (struct list_pair *)((char *)&lists->none + (word & 0xffff));
    if (HAK_UNLIKELY(lists->end == 0)) return false;
    if (HAK_CHECKS && HAK_UNLIKELY(!starts_medium(list, block, word))) return false;
    return list_push(lists, list, block);
}

/* Nothing of the class of a slab's word stays in its list. */
HAK_INLINE bool front_is_cold(uint32_t word) {
    return list_of_word(hak_front.lists, word)->cap == 0;
}

/* A list with less room than this is full: the next one would be full too soon. */
HAK_INLINE int32_t list_little_room(const struct list_pair *list) { return list->cap / 4; }

/* The commonest reason why free left the hot path: the room ran out, and malloc made more. False:
 * it did not, or more is due. */
HAK_INLINE bool front_make_room(uint32_t word) {
    struct lists *lists = hak_front.lists;
    if (lists->end == 0) return false;
    struct list_pair *list = list_of_word(lists, word);
    if (list->room >= 0) return false;
    struct heap *heap = hak_front.heap;
    struct list_use *use = &heap->use[list - lists->of];
    int32_t room = list_room(list, use) + 1; /* the hot path counted one too many */
    if (room <= list_little_room(list) || use->swinging) return false;
    if (heap->caps.until_look <= list_weight(list)) return false;
    heap->caps.until_look -= list_weight(list);
    list_set_room(list, use, room);
    return true;
}

HAK_INLINE bool front_push(void *block) { return front_push_of(block, registry_word(block)); }

#endif
