/* Sleeping on a word, and waking who sleeps on it. Neither keeps errno. Internal to the layer. */
#ifndef HAKMEM_BASE_FUTEX_H_
#define HAKMEM_BASE_FUTEX_H_

#include "hakmem/base/interleave.h"

#ifdef HAK_INTERLEAVE
static inline void futex_wait(uint32_t *word, uint32_t value) {
    hak_interleave_futex_wait(word, value);
}
static inline void futex_wake(uint32_t *word) { hak_interleave_futex_wake(word); }
#else
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleeps while the word is `value`; may return sooner. */
static inline void futex_wait(uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}
/* Wakes one. */
static inline void futex_wake(uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#endif

#endif
