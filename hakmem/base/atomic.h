/* Atomics over the compiler's builtins: the same in C and C++, gcc and clang.
 * The order is part of each name; the happens-before is argued where it is used. */
#ifndef HAKMEM_BASE_ATOMIC_H_
#define HAKMEM_BASE_ATOMIC_H_

#include "hakmem/base/interleave.h"

#define load_relaxed(p) HAK_STEP(__atomic_load_n((p), __ATOMIC_RELAXED))
#define load_acquire(p) HAK_STEP(__atomic_load_n((p), __ATOMIC_ACQUIRE))
#define store_relaxed(p, v) HAK_STORE((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) HAK_STORE((p), (v), __ATOMIC_RELEASE)
#define exchange_acq_rel(p, v) HAK_STEP(__atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL))
#define fetch_or_acq_rel(p, v) HAK_STEP(__atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL))
#define fetch_add_relaxed(p, v) HAK_STEP(__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define fetch_sub_relaxed(p, v) HAK_STEP(__atomic_fetch_sub((p), (v), __ATOMIC_RELAXED))
#define fetch_add_acq_rel(p, v) HAK_STEP(__atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL))
/* Strong; `expected` is updated on failure. */
#define cas_acq_rel(p, expected, v) \
    HAK_STEP(                       \
        __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))

/* Keeps the compiler, not the processor, from moving accesses across: between a thread and
 * its own signal handlers. */
#define signal_fence() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* A count that one thread writes and others may read: no read-modify-write is needed. */
#define count_add(p, n) store_relaxed((p), load_relaxed(p) + (n))

#endif
