/* Coarse monotonic time in milliseconds, for ages and delays on slow paths (a vDSO call). From no
 * particular origin: what counts from the start is, after a day, a number as addresses are under
 * Valgrind, and a tool that looks for leaks could take it for a pointer. */
#ifndef HAKMEM_BASE_CLOCK_H_
#define HAKMEM_BASE_CLOCK_H_

#include <errno.h>
#include <time.h>

#include "hakmem/base/base.h"

#define CLOCK_ORIGIN ((uint64_t)1 << 62)

HAK_INLINE uint64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return CLOCK_ORIGIN + (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* How long the process's threads have worked: milliseconds, by a system call. 0 where it is
 * refused. Leaves errno. */
HAK_INLINE uint64_t clock_worked_ms(void) {
    struct timespec worked = {0, 0};
    int saved = errno;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &worked);
    errno = saved;
    return (uint64_t)worked.tv_sec * 1000 + (uint64_t)worked.tv_nsec / 1000000;
}

/* How long the calling thread has worked, in nanoseconds; the same of it. */
HAK_INLINE uint64_t clock_thread_ns(void) {
    struct timespec worked = {0, 0};
    int saved = errno;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
    errno = saved;
    return (uint64_t)worked.tv_sec * 1000000000 + (uint64_t)worked.tv_nsec;
}

#endif
