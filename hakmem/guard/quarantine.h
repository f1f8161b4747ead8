/* Freed blocks wait here, oldest first out, so that what is written to one by a stale pointer hits
 * nobody, and is found.
 *
 *      free --> the thread's batch --when full, under the lock--> ring --oldest--> out
 *
 * A block costs neither a lock nor an atomic operation, but one in QUARANTINE_BATCH. Those that
 * leave together leave in random order. A batch lies in one OS page, and its count is written last:
 * a forked child finds those of other threads whole (hak_quarantine_fork_child). */
#ifndef HAKMEM_GUARD_QUARANTINE_H_
#define HAKMEM_GUARD_QUARANTINE_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

/* Blocks that a batch holds. */
#define QUARANTINE_BATCH 61

struct waiting {
    void *block;
    size_t bytes; /* to its trailer's end */
};

struct quarantine_batch {
    struct waiting of[QUARANTINE_BATCH];
    uint32_t count;
    uint32_t bound; /* bytes that it may hold */
    size_t bytes;
    struct quarantine_batch *next_all, *next_free;
} __attribute__((aligned(1024)));

#ifdef __cplusplus
extern "C" {
#endif
/* The calling thread's; NULL: none yet. */
extern __thread struct quarantine_batch *hak_quarantine_mine
    __attribute__((tls_model("initial-exec")));

/* A turn may hand back more than it takes in: the ring never fills up. */
#define QUARANTINE_OUTS (QUARANTINE_BATCH + 3)

/* What a turn of the quarantine hands back: blocks that waited long enough. */
struct quarantine_turn {
    struct waiting out[QUARANTINE_OUTS];
    unsigned outs;
};

/* A block of `bytes` may wait at all. */
bool hak_quarantine_takes(size_t bytes);
/* The thread, which will call hak_quarantine_end, has a batch from now on. In a slow path. */
void hak_quarantine_start(void);
/* Empties the thread's batch into the ring, and takes the oldest out of the ring while more wait
 * than `keep` bytes, up to QUARANTINE_OUTS: then more turns are due. `one`: goes into the ring too,
 * or NULL. False: there is no memory for a ring, and `one` does not wait. In a slow path
 * (front_enter). */
bool hak_quarantine_turn(struct quarantine_turn *turn, const struct waiting *one, size_t keep);
/* The thread ends: it has none any more; its empty batch is the next one's. In a slow path. */
void hak_quarantine_end(void);
/* The bound, and what waits, bytes. */
size_t hak_quarantine_bound(void);
size_t hak_quarantine_bytes(void);
/* Around fork. */
void hak_quarantine_lock(void);
void hak_quarantine_unlock(void);
/* In a forked child: empties a batch of another thread, which it had freed, and may have been
 * filling. False: there is none left. */
bool hak_quarantine_fork_child(struct quarantine_turn *turn);
#ifdef __cplusplus
}
#endif

/* Adds a block to the thread's batch. False: it is full, or there is none. In a slow path. */
HAK_INLINE bool quarantine_add(void *block, size_t bytes) {
    struct quarantine_batch *batch = hak_quarantine_mine;
    if (HAK_UNLIKELY(batch == NULL || batch->count >= QUARANTINE_BATCH ||
                     batch->bytes + bytes > batch->bound)) {
        return false;
    }
    batch->of[batch->count] = (struct waiting){block, bytes};
    store_relaxed(&batch->bytes, batch->bytes + bytes);
    signal_fence();
    store_relaxed(&batch->count, batch->count + 1);
    return true;
}

#endif
