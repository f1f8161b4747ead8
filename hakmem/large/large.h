/* Blocks above the largest size class, and those with an alignment above a slab's: a mapping
 * each, known to the registry by its first 64 KiB, with its record out of line.
 *
 *      none --map--> live --free--> cached --reuse--> live
 *                      '----free----> none <--expire--'
 *
 * The cache is bounded by count, bytes and age. `aside` calls use neither lock nor cache: from
 * signal handlers and ended threads. */
#ifndef HAKMEM_LARGE_LARGE_H_
#define HAKMEM_LARGE_LARGE_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A block of at least `bytes` at a multiple of `align` (a power of two). `*zero`: it is known
 * to be zero. NULL: out of memory. */
void *hak_large_alloc(size_t bytes, size_t align, bool aside, bool *zero);
/* Frees the block whose registry word is `word`; a misuse when it is not the start of one. */
void hak_large_free(void *block, uint32_t word, bool aside);
/* A block at this address was freed lately, as far as is remembered. Any pointer value but NULL. */
bool hak_large_was_freed(const void *block);
/* Usable bytes; 0 when `block` is not the start of a live large block. */
size_t hak_large_usable(const void *block, uint32_t word);
/* Resizes, moving pages instead of copying bytes. NULL: not possible, nothing changed. */
void *hak_large_resize(void *block, uint32_t word, size_t bytes);
/* Time passes: mappings that were cached for too long go. `now`: clock_ms. */
void hak_large_tick(uint64_t now);
/* Unmaps cached mappings down to `keep` bytes. Returns the bytes unmapped. */
size_t hak_large_trim(size_t keep);

struct large_stats {
    uint64_t live_bytes, cached_bytes;
};
void hak_large_stats(struct large_stats *out);
void hak_large_lock(void);
void hak_large_unlock(void);

#ifdef __cplusplus
}
#endif

#endif
