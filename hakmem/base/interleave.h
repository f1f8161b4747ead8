/* The seam by which hakmem/interleave_test decides which thread runs next: before each atomic
 * operation and in place of each futex call. It defines HAK_INTERLEAVE for its own copy of the
 * layers; in a library nothing of this is there. */
#ifndef HAKMEM_BASE_INTERLEAVE_H_
#define HAKMEM_BASE_INTERLEAVE_H_

#include <stdint.h>

#ifdef HAK_INTERLEAVE
#ifdef __cplusplus
extern "C" {
#endif
/* Returns when the calling thread may take its next step. */
void hak_interleave_point(const char *file, int line);
/* Sleeps while `*word` is `value`, until a wake. */
void hak_interleave_futex_wait(uint32_t *word, uint32_t value);
/* Wakes one sleeper. */
void hak_interleave_futex_wake(uint32_t *word);
#ifdef __cplusplus
}
#endif
#define HAK_STEP(operation) (hak_interleave_point(__FILE__, __LINE__), operation)
/* What is stored may come from a load, which is a step before this one. */
#define HAK_STORE(p, v, order)                    \
    __extension__({                               \
        __typeof__(v) stored = (v);               \
        hak_interleave_point(__FILE__, __LINE__); \
        __atomic_store_n((p), stored, (order));   \
    })
#else
#define HAK_STEP(operation) operation
#define HAK_STORE(p, v, order) __atomic_store_n((p), (v), (order))
#endif

#endif
