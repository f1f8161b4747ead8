/* How what a thread holds rises and falls by tens of megabytes, again and again. What a fall frees
 * would go back to the system, and be wanted again at once. */
#ifndef HAKMEM_WARM_POOL_SWINGS_H_
#define HAKMEM_WARM_POOL_SWINGS_H_

#include "hakmem/config/config.h"

struct swings {
    size_t units;     /* of the thread's slabs */
    bool falls;       /* now; or it rises */
    size_t turn;      /* units at the end of the present way, as seen so far */
    size_t bottom;    /* where the last rise began */
    uint64_t fell_ms; /* when the last fall was seen */
    unsigned rises;   /* in a row: each soon after a fall */
    size_t expected;  /* units of the highest of them, which the shared pool was told of */
};

#ifdef __cplusplus
extern "C" {
#endif
/* The way of `units` has turned: SWING_BYTES the other way. */
void hak_swings_turn(struct swings *s);
#ifdef __cplusplus
}
#endif

HAK_INLINE void swings_follow(struct swings *s) {
    size_t far = SWING_BYTES / SLAB_BYTES, units = s->units;
    if (s->falls ? units < s->turn : units > s->turn) s->turn = units;
    if (HAK_UNLIKELY(s->falls ? units >= s->turn + far : units + far <= s->turn)) {
        hak_swings_turn(s);
    }
}

HAK_INLINE void swings_add(struct swings *s, unsigned span) {
    s->units += span;
    swings_follow(s);
}

HAK_INLINE void swings_subtract(struct swings *s, unsigned span) {
    s->units -= span;
    swings_follow(s);
}

#endif
