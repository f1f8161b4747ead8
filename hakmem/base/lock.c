#include "hakmem/base/lock.h"

#include <errno.h>

#include "hakmem/base/futex.h"

#ifdef HAK_INTERLEAVE
enum { LOCK_SPINS = 1 };
#else
/* Spins this often before it sleeps: the critical sections are shorter than a futex call. */
enum { LOCK_SPINS = 64 };
#endif

static inline void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void hak_lock_wait(struct lock *lock) {
    int saved = errno; /* free must not change errno */
    for (int i = 0; i < LOCK_SPINS; i++) {
        if (load_relaxed(&lock->state) == 0 && lock_try(lock)) return;
        cpu_relax();
    }
    while (exchange_acq_rel(&lock->state, 2u) != 0) futex_wait(&lock->state, 2);
    errno = saved;
}

void hak_lock_wake(struct lock *lock) {
    int saved = errno;
    futex_wake(&lock->state);
    errno = saved;
}
