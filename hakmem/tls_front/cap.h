/* How much a thread's lists may hold: nothing while a class is cold, more while it is in use, most
 * where a busy thread needs it, nothing again when it rests. All threads' caps: at most
 * HAKMEM_FRONT_MAX_MB beyond a small floor.
 *
 *      cold --FRONT_COLD_TURNS turns--> 1, 2, 4 ... warm --swing, flow--> doubles to the bound
 *        ^------------------ unchanged in FRONT_REST_SWEEPS sweeps -------------'
 *
 * So a thread that touches each size once and goes idle keeps nothing, without a call; of the first
 * FRONT_WARM_THREADS, who begin with small classes warm, a little. Slow
 * calls are counted, and sweeps compare what they see of the lists. Internal to the layer. */
#ifndef HAKMEM_TLS_FRONT_CAP_H_
#define HAKMEM_TLS_FRONT_CAP_H_

#include "hakmem/tls_front/tls_front.h"

#ifdef __cplusplus
extern "C" {
#endif
/* For a new heap: every class is cold. */
void hak_caps_init(struct heap *heap);
/* A thread takes a heap over; `now`: clock_ms. Within FRONT_REST_MS of a brief life the classes
 * that were used there are as warm as if the thread were the same: threads that do the same work
 * one after another need not warm up each. Classes of medium blocks only if they were warm: what a
 * few turns of each life take ahead would cost more pages than it saves calls. `few`: it is one of
 * the first FRONT_WARM_THREADS, whose small classes are warm from the start. */
void hak_caps_inherit(struct heap *heap, uint64_t now, bool few);
/* Its life lasted less than FRONT_BRIEF_MS: it did not sleep. */
bool hak_caps_were_brief(const struct heap *heap, uint64_t now);
/* The thread ends, after a brief life. */
void hak_caps_leave(struct heap *heap, uint64_t now);
/* In a forked child: `heap`, or NULL, is the only one left. */
void hak_caps_recount(const struct heap *heap);
/* Makes every class cold, whatever state its lists are in. */
void hak_caps_forget(struct heap *heap);
/* A slow call for a class that is warming and not cold. */
void hak_cap_warm(struct heap *heap, unsigned c);
/* What was put aside full is loaded again, or malloc made room in a list that free had filled:
 * blocks come and go here, and a longer list would save slow calls. */
void hak_cap_swing(struct heap *heap, unsigned c);
/* Blocks of class `c` go past the lists. A cold class is one turn of the flow nearer to being warm;
 * the cap of a warm one doubles when the flow turns, of a small class whenever its list overflows,
 * of any to FRONT_OVER_BYTES when lists go over to other threads: a program that only frees its own
 * blocks would not gain by long lists of big ones. A small class grows beyond FRONT_CLASS_BYTES in
 * a busy thread, and where nothing goes over to others: lists in transit are to be short. */
void hak_cap_flow(struct heap *heap, unsigned c, enum flow flow);
/* The class is being freed all over: its slabs are nearly empty, and would be empty but for what
 * lists hold. They hold a quarter from now on, down to one block. */
void hak_cap_drain(struct heap *heap, unsigned c);
/* Blocks to take from a slab, FRONT_CLASS_BYTES at most: a class that is only allocated takes more
 * each time. */
uint32_t hak_cap_batch(struct heap *heap, unsigned c);
/* Class `c` is cold again; its lists are empty. */
void hak_cap_cool(struct heap *heap, unsigned c);
/* A sweep passes a class: true when its lists have not changed in FRONT_REST_SWEEPS sweeps. */
bool hak_cap_rests(struct heap *heap, unsigned c);
/* Begins a sweep, `now`: clock_ms. */
void hak_caps_swept(struct heap *heap, uint64_t now);
/* A sweep passes a class: true when its cap is a busy thread's, which this one is no more, and
 * falls: what the thread holds would outlast the need. */
bool hak_cap_calms(struct heap *heap, unsigned c);
/* At each sweep: gives up half of what is above this thread's share while others are refused.
 * `threads` share the common bound. */
void hak_caps_yield(struct heap *heap, uint64_t threads);
/* All threads' caps beyond the floor, now. Bytes. */
uint64_t hak_caps_charged(void);
#ifdef __cplusplus
}
#endif

/* It shares room with others of its kind: FRONT_BIG_BYTES, or as much as one alone may have. */
HAK_INLINE bool cap_is_big(unsigned c) { return hak_size_class[c].block_bytes > FRONT_BIG_FROM; }

/* It is warm, and other big classes have the room. */
HAK_INLINE bool cap_wants_room(const struct heap *heap, unsigned c) {
    return cap_is_big(c) && heap->use[c].cold == 0 && heap->lists.of[c].cap == 0;
}

/* The class was not used since it was cold, so its lists are empty. */
HAK_INLINE bool cap_is_unused(const struct heap *heap, unsigned c) {
    return heap->use[c].rested == FRONT_REST_SWEEPS;
}

/* A slow call for class `c`. Returns true when it is time to look at the clock. */
HAK_INLINE bool cap_called(struct heap *heap, unsigned c) {
    struct list_use *use = &heap->use[c];
    use->rested = 0;
    if (HAK_UNLIKELY(use->warming) && use->cold == 0) hak_cap_warm(heap, c);
    uint32_t weight = list_weight(&heap->lists.of[c]), left = heap->caps.until_look;
    heap->caps.until_look = left > weight ? left - weight : 0;
    return HAK_UNLIKELY(left <= weight);
}

#endif
