/* Freed blocks wait here, oldest first out, so that what is written to one by a stale pointer hits
 * nobody, and is found. One for the process: a thread's end and a fork leave nothing behind. */
#ifndef HAKMEM_GUARD_QUARANTINE_H_
#define HAKMEM_GUARD_QUARANTINE_H_

#include "hakmem/base/base.h"

/* Blocks that one call hands back at the most. */
#define QUARANTINE_BATCH 16

#ifdef __cplusplus
extern "C" {
#endif
/* A block of `bytes` may wait at all. */
bool hak_quarantine_takes(size_t bytes);
/* Adds the block, and takes out as hak_quarantine_take(out, `keep`) does: `*taken` of them. False:
 * there is no memory to note it in. In a slow path (front_enter). */
bool hak_quarantine_add(void *block, size_t bytes, void *out[QUARANTINE_BATCH], size_t keep,
                        unsigned *taken);
/* Takes out the oldest blocks while more wait than `keep` bytes. Returns how many, into `out`; of
 * more than a batch the rest stays. In a slow path. */
unsigned hak_quarantine_take(void *out[QUARANTINE_BATCH], size_t keep);
/* The bound, and what waits, bytes. */
size_t hak_quarantine_bound(void);
size_t hak_quarantine_bytes(void);
/* Around fork. */
void hak_quarantine_lock(void);
void hak_quarantine_unlock(void);
#ifdef __cplusplus
}
#endif

#endif
