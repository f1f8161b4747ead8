/* Coarse monotonic time in milliseconds, for ages and delays on slow paths (a vDSO call). */
#ifndef HAKMEM_BASE_CLOCK_H_
#define HAKMEM_BASE_CLOCK_H_

#include <time.h>

#include "hakmem/base/base.h"

HAK_INLINE uint64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
