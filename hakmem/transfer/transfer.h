/* Chains in transit between threads: a depot of each class, handed over whole. The depot is
 * bounded, and so are all together: a chain above a bound is refused, and its thread gives it back
 * to the slabs.
 * A lock for each class, taken once a chain. */
#ifndef HAKMEM_TRANSFER_TRANSFER_H_
#define HAKMEM_TRANSFER_TRANSFER_H_

#include "hakmem/base/base.h"
#include "hakmem/size_class/size_class.h"

/* Blocks linked by their first words, so many. 0: there is no chain. */
struct chain {
    void *head;
    uint32_t count;
};

#ifdef __cplusplus
extern "C" {
#endif
/* Takes over a chain. False: the depot is full and the chain stays the caller's. */
bool hak_transfer_push(unsigned c, struct chain chain);
/* A chain, or one with a NULL head when there is none. */
struct chain hak_transfer_pop(unsigned c);
/* A chain that nobody wanted since the last call that gave none, the oldest first; without one all
 * that are there are counted as idle from now on. */
struct chain hak_transfer_pop_idle(unsigned c);
/* Bytes in transit. */
uint64_t hak_transfer_bytes(void);
/* Around fork: all classes' locks, in ascending order. */
void hak_transfer_lock(void);
void hak_transfer_unlock(void);
/* In a forked child: bytes are what the chains hold. */
void hak_transfer_recount(void);
#ifdef __cplusplus
}
#endif

#endif
