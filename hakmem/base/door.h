/* What one thread uses again and again, and another may use while the first is elsewhere. The
 * *owner* enters and leaves without an atomic operation; the *guest*, who comes seldom, pays:
 *
 *   owner enters                         guest visits
 *   1 busy = 1                           a guest = 1
 *   2 guest? wait until it is 0          b membarrier: each thread has a full fence here
 *   ... leaves: busy = 0 (release)       c busy? then guest = 0, and no visit
 *
 * If the owner's 1 comes before its fence, c sees it; if it comes after, 2 sees a. So never are
 * both inside. Where the kernel has no membarrier there are no visits. */
#ifndef HAKMEM_BASE_DOOR_H_
#define HAKMEM_BASE_DOOR_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

struct door {
    uint32_t busy;  /* the owner is inside */
    uint32_t guest; /* a guest is, or looks whether it may be */
};

#ifdef __cplusplus
extern "C" {
#endif
/* For an owner that found a guest. */
void hak_door_wait(struct door *door);
/* False: the owner is inside, or another guest. Never waits. */
bool hak_door_visit(struct door *door);
void hak_door_end_visit(struct door *door);
#ifdef __cplusplus
}
#endif

HAK_INLINE void door_enter(struct door *door) {
    store_relaxed(&door->busy, 1u);
    signal_fence(); /* the processor's fence is the guest's to bring about */
    /* Acquire pairs with hak_door_end_visit. */
    if (HAK_UNLIKELY(load_acquire(&door->guest) != 0)) hak_door_wait(door);
}

HAK_INLINE void door_leave(struct door *door) { store_release(&door->busy, 0u); }

#endif
