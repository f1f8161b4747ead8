/* Numbers that a program cannot foresee, as long as it does not know the state: for places, not for
 * secrets. The state is drawn with hak_os_random, and never 0. */
#ifndef HAKMEM_BASE_RANDOM_H_
#define HAKMEM_BASE_RANDOM_H_

#include "hakmem/base/base.h"

/* The next state (Marsaglia, "Xorshift RNGs"). */
HAK_INLINE uint64_t random_next(uint64_t state) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^ state << 17;
}

/* A number below `n`, of a state. */
HAK_INLINE unsigned random_below(uint64_t state, unsigned n) {
    return (unsigned)((state >> 32) * n >> 32);
}

#endif
