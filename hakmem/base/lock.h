/* A futex lock: 4 bytes, no owner, zero is unlocked. Not recursive.
 * States: 0 free, 1 held, 2 held with sleepers. */
#ifndef HAKMEM_BASE_LOCK_H_
#define HAKMEM_BASE_LOCK_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

struct lock {
    uint32_t state;
};

#ifdef __cplusplus
extern "C" {
#endif
void hak_lock_wait(struct lock *lock);
void hak_lock_wake(struct lock *lock);
#ifdef __cplusplus
}
#endif

HAK_INLINE bool lock_try(struct lock *lock) {
    uint32_t free_state = 0;
    /* Acquire pairs with lock_release: what the last holder wrote is seen. */
    return cas_acq_rel(&lock->state, &free_state, 1u);
}

HAK_INLINE void lock_acquire(struct lock *lock) {
    if (HAK_UNLIKELY(!lock_try(lock))) hak_lock_wait(lock);
}

HAK_INLINE void lock_release(struct lock *lock) {
    if (HAK_UNLIKELY(exchange_acq_rel(&lock->state, 0u) == 2)) hak_lock_wake(lock);
}

#endif
