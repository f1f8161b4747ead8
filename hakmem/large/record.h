/* Records of large mappings: made by number, recycled through a stack, never given back. The number
 * is the registry word's, less its flag. Lock-free, so usable from anywhere. */
#ifndef HAKMEM_LARGE_RECORD_H_
#define HAKMEM_LARGE_RECORD_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/base/list.h"

/* Whose the mapping is. */
enum large_kind {
    LARGE_NONE,      /* nobody's, or of whoever moves it from one kind to another */
    LARGE_LIVE,      /* the program's */
    LARGE_LIVE_KEPT, /* the program's, and the cache has room for it: its free is one step */
    LARGE_KEPT,      /* free, in the cache, with its pages; whoever makes it live has it */
    LARGE_PARKED,    /* free, in the cache, purged but for its ends */
    LARGE_KIND_MASK = 7,
};

struct large {
    char *base;      /* NULL: the record has no mapping */
    size_t bytes;    /* mapped, a multiple of the page size: all usable */
    size_t asked;    /* of these: what the program knows of, in whole pages */
    size_t dirty;    /* no page from here on was written to, this life or earlier */
    uint32_t state;  /* life << 3 | kind; a life ends when base or bytes change */
    uint32_t id;     /* its number */
    uint64_t origin; /* what was cut from one mapping has the same: the kernel takes it as one */
    uint32_t next;   /* in the stack of free records */
    uint32_t older;  /* the one of its size that was kept before it: a hint */
    uint32_t turn;   /* of the cache, at its last free */
    uint32_t frees;  /* counted while it is kept */
    uint32_t place;  /* among the kept ones; the cache's lock */
    bool eager;      /* it was wanted back soon after it was last parked */
    bool huge;       /* the kernel was asked for huge pages */
    uint64_t parked_ms;
    struct list listed;         /* parked, oldest first; the cache's lock */
    struct list by_size;        /* parked ones of a size; the cache's lock */
} __attribute__((aligned(64))); /* what a walk of the kept ones looks at is one line */

#define RECORDS_PER_CHUNK 512u
#define RECORD_CHUNKS ((1u << 24) / RECORDS_PER_CHUNK)

#ifdef __cplusplus
extern "C" {
#endif
extern struct large *hak_large_chunks[RECORD_CHUNKS];

/* A record without a mapping; NULL: out of memory. */
struct large *hak_large_record_take(void);
void hak_large_record_free(struct large *r);
/* Sums of bytes by kind. */
void hak_large_record_sums(uint64_t bytes_of[LARGE_KIND_MASK + 1]);
/* Their sum, of all kinds, without a walk. Relaxed: it orders nothing. */
extern uint64_t hak_large_mapped;
#ifdef __cplusplus
}
#endif

/* Whoever has the mapping, and for parts the cache's lock. */
HAK_INLINE void large_set_bytes(struct large *r, size_t bytes) {
    fetch_add_relaxed(&hak_large_mapped, (uint64_t)bytes - r->bytes);
    store_relaxed(&r->bytes, bytes);
}

/* The record of a number; NULL: there is none. */
HAK_INLINE struct large *large_record(uint32_t id) {
    if (HAK_UNLIKELY(id / RECORDS_PER_CHUNK >= RECORD_CHUNKS)) return NULL;
    /* Acquire pairs with the publication in hak_large_record_take. */
    struct large *chunk = load_acquire(&hak_large_chunks[id / RECORDS_PER_CHUNK]);
    return chunk == NULL ? NULL : &chunk[id % RECORDS_PER_CHUNK];
}

HAK_INLINE enum large_kind large_kind(uint32_t state) {
    return (enum large_kind)(state & LARGE_KIND_MASK);
}

HAK_INLINE uint32_t large_state(uint32_t state, enum large_kind kind) {
    return (state & ~(uint32_t)LARGE_KIND_MASK) | kind;
}

/* Begins another life: who still looks at the last one fails. Whoever has the mapping. */
HAK_INLINE void large_begin(struct large *r, enum large_kind kind) {
    store_release(&r->state, large_state(load_relaxed(&r->state) + LARGE_KIND_MASK + 1, kind));
}

/* Within a life; whoever has the mapping. */
HAK_INLINE void large_set(struct large *r, enum large_kind kind) {
    store_release(&r->state, large_state(load_relaxed(&r->state), kind));
}

/* From `from`, in any life, to `to`; false: it is not, or no longer. */
HAK_INLINE bool large_change(struct large *r, enum large_kind from, enum large_kind to) {
    uint32_t state = load_relaxed(&r->state);
    return large_kind(state) == from && cas_acq_rel(&r->state, &state, large_state(state, to));
}

#endif
