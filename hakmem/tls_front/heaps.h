/* Every heap, of living threads and of ended ones. Internal to the layer.
 *
 *   heap.c  made for threads, recycled after them, taken apart in a forked child
 *   tend.c  looked after by other threads, where their own does not come any more */
#ifndef HAKMEM_TLS_FRONT_HEAPS_H_
#define HAKMEM_TLS_FRONT_HEAPS_H_

#include "hakmem/base/lock.h"
#include "hakmem/tls_front/tls_front.h"

struct heaps {
    /* Guards everything here; taken before every other lock but the turn's and the quarantine's. */
    struct lock lock;
    struct heap *all, *free;
    unsigned made;          /* in `all` */
    unsigned look_at_all;   /* this many heaps are too many before each was looked at */
    struct heap *looked_at; /* the last one by tend.c; NULL: none */
    uint64_t cookie;
    uint64_t live; /* read without the lock too */
    bool without;  /* a thread that had no heap freed a block; without the lock */
    bool hidden;   /* every heap's lists */
    bool random;   /* blocks of slabs are taken from a random one on */
};

extern struct heaps hak_heaps;

#ifdef __cplusplus
extern "C" {
#endif
/* The heap is the calling thread's. */
void hak_heap_set_thread(struct heap *heap);
/* A heap whose thread is gone without having ended it, where a new one would be made. NULL: none
 * was seen; there are at most twice as many heaps as there ever were threads. Lock held. */
struct heap *hak_heap_find_left(void);
/* Puts a heap whose slabs are gone where the next thread finds it. Lock held. */
void hak_heap_retire(struct heap *heap);
/* Hands short lists over to the next thread that wants blocks of their class. */
void hak_heap_leave_lists(struct heap *heap);
/* Gives the blocks in the lists back to their slabs. */
void hak_heap_flush_lists(struct heap *heap);
#ifdef __cplusplus
}
#endif

#endif
