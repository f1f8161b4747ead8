/* The thread's own blocks: a list to take from and a list to give to, for each size class.
 *
 *      malloc <-- take[c]      give[c] <-- free
 *
 * Two lists, not one: with one, each malloc waits for the store of the free before it. When take
 * is empty the lists swap; when give is full too, the older (take) goes back to its slabs.
 * A free block in a list: first word = link, second word = its mark: a secret
 * cookie mixed with the address, which says "free".
 *
 * Only `room` bounds a list, and only free counts: malloc touches nothing but the list. A block goes
 * to the list of whoever frees it, whoever owns its slab; what a thread frees beyond its need is
 * handed over whole. Blocks that share a cache line (LINE_BYTES) are the exception: they are sorted
 * out before they are taken again, so that two threads do not write one line.
 *
 * The hot path is not guarded against signal handlers; every slow path is (front_enter): a
 * handler that comes in between is served aside, without this thread's lists and without a lock. */
#ifndef HAKMEM_TLS_FRONT_TLS_FRONT_H_
#define HAKMEM_TLS_FRONT_TLS_FRONT_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/registry/registry.h"
#include "hakmem/size_class/size_class.h"
#include "hakmem/transfer/transfer.h"
#include "hakmem/warm_pool/warm_pool.h"

struct heap;

#define FRONT_ENDED 2

/* Thread-local, at most 1 KiB: dlopen has little room for static TLS. */
struct front {
    void *take[SMALL_CLASSES];
    void *give[SMALL_CLASSES];
    int32_t room[SMALL_CLASSES]; /* pushes that give still has room for */
    uint32_t busy;               /* 1 in a slow path; FRONT_ENDED once the thread has ended */
    uint64_t cookie;
    struct heap *heap;
};

/* How much a thread's lists may hold (cap.h). */
struct caps {
    uint16_t cap[CLASSES];    /* blocks that give may hold; 0: the class is cold */
    uint16_t max[CLASSES];    /* what a cap may reach */
    uint8_t calls[CLASSES];   /* slow calls since the class was cold, to FRONT_COLD_CALLS */
    uint8_t rested[CLASSES];  /* sweeps that found the class as the one before had left it */
    uint32_t seen[CLASSES];   /* what the last sweep saw of its lists */
    bool overflowed[CLASSES]; /* since the last refill from a slab */
    uint32_t until_sweep;     /* slow calls */
    size_t small_bytes;       /* the small classes' caps, at most FRONT_THREAD_BYTES */
    size_t medium_bytes;      /* bound of the medium lists, to FRONT_MEDIUM_THREAD_BYTES */
    size_t charged;           /* of both: counted against the bound of all threads */
    uint32_t pressure;        /* that bound's, when this thread last looked */
};

/* A medium class's lists. */
struct medium {
    void *take;
    void *give;
    int32_t room; /* pushes that give still has room for */
};

/* What of a thread's front is not on the hot path. Made at its first slow path, recycled with its
 * owner number after its end. */
struct heap {
    struct warm_pool warm;
    struct medium medium[MEDIUM_CLASSES];
    struct caps caps;
    size_t medium_bytes; /* in the medium lists, at most caps.medium_bytes */
    uint64_t refills;
    struct front *front; /* the thread's; NULL when the heap is free */
    struct heap *next_all, *next_free;
};

#ifdef __cplusplus
extern "C" {
#endif

extern __thread struct front hak_front __attribute__((tls_model("initial-exec")));

/* Makes the calling thread's heap. False: out of memory, or the thread has ended. */
bool hak_front_start(void);
/* A block of class `c` when take is empty. NULL: out of memory. Entered. */
void *hak_front_refill(unsigned c);
/* A block of a medium class. NULL: out of memory. Entered. */
void *hak_front_medium(unsigned c);
/* Frees a block of class `c`, for every reason the hot path left: medium, list full, misaligned, freed
 * twice. Entered. */
void hak_front_free(void *block, unsigned c);
/* Frees a slab's block without lists or locks: from signal handlers, and in threads that have
 * ended. */
void hak_front_free_aside(void *block);
/* Gives the chains in transit back to their slabs. Entered. */
void hak_front_drain_transfer(void);
/* Gives back what the thread holds; the heap stays. Entered. */
void hak_front_flush(void);
/* Ends the thread's heap. Later calls are served aside. */
void hak_front_end(void);

/* Bytes in the caller's lists and chains. Entered. */
uint64_t hak_front_bytes(void);
struct front_stats {
    uint64_t threads, refills, hits, misses, prefilled;
};
/* Sums over all threads, living and ended; `c` < CLASSES: of that class only. */
void hak_front_stats(struct front_stats *out, unsigned c);

/* Around fork. `child`: gives the other threads' slabs to whoever wants them. */
void hak_front_lock(void);
void hak_front_unlock(void);
void hak_front_fork_child(void);

#ifdef __cplusplus
}
#endif

/* Begins a slow path. False: this thread is in one already (a signal handler), or has ended. */
HAK_INLINE bool front_enter(void) {
    if (HAK_UNLIKELY(hak_front.busy)) return false;
    hak_front.busy = 1;
    signal_fence();
    return true;
}

HAK_INLINE void front_leave(void) {
    signal_fence();
    hak_front.busy = 0;
}

HAK_INLINE void *block_next(void *block) { return *(void **)block; }
HAK_INLINE void block_set_next(void *block, void *next) { *(void **)block = next; }
HAK_INLINE uint64_t *block_cookie(void *block) { return (uint64_t *)block + 1; }
/* What a free block carries: the cookie mixed with the address, so that a program which copies
 * memory that it never wrote does not carry one block's mark to another. */
HAK_INLINE uint64_t block_mark(const void *block, uint64_t cookie) {
    return cookie ^ (uintptr_t)block;
}

/* Takes a block of a small class; NULL: the list is empty. */
HAK_INLINE void *front_pop(unsigned c) {
    void *block = hak_front.take[c];
    if (HAK_UNLIKELY(block == NULL)) return NULL;
    hak_front.take[c] = block_next(block);
    if (HAK_CHECKS) *block_cookie(block) = 0;
    return block;
}

/* Gives a block; false: not a small block, or freed already, or the list is full. One compare covers
 * NULL, foreign, medium and large. */
HAK_INLINE bool front_push(void *block) {
    /* An address inside a block would go out again as a block: aligned ones are found when they
     * come back to their slab. */
    uint32_t c = word_class(registry_word_aligned(block));
    if (HAK_UNLIKELY(c >= SMALL_CLASSES)) return false;
    uint64_t mark = block_mark(block, hak_front.cookie);
    if (HAK_CHECKS && HAK_UNLIKELY(*block_cookie(block) == mark)) return false;
    if (HAK_UNLIKELY(--hak_front.room[c] < 0)) return false;
    block_set_next(block, hak_front.give[c]);
    hak_front.give[c] = block;
    if (HAK_CHECKS) *block_cookie(block) = mark;
    return true;
}

#endif
