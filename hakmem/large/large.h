/* Blocks above the largest size class, and those with an alignment above a slab's: a mapping
 * each, known to the registry by its first 64 KiB, with its record out of line (record.h). Freed
 * ones wait in a cache (cache.h).
 *
 *      none --map--> live --free--> cached --alloc--> live
 *                      '----free----> none <--expire--'
 *
 * `aside` calls take no lock: from signal handlers and ended threads. */
#ifndef HAKMEM_LARGE_LARGE_H_
#define HAKMEM_LARGE_LARGE_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A block of at least `bytes` that the cache has at hand; NULL: none. Lock-free, from anywhere. */
void *hak_large_take(size_t bytes);
/* Frees a block that the cache has room for. Lock-free, from anywhere. False: hak_large_free must
 * do it, or see what is wrong. */
bool hak_large_give(void *block, uint32_t word);
/* A block of at least `bytes` at a multiple of `align` (a power of two). `*zero`: that zeros are
 * wanted, if it is cheap; afterwards, that the block is known to be zero. NULL: out of memory. */
void *hak_large_alloc(size_t bytes, size_t align, bool aside, bool *zero);
/* Frees the block whose registry word is `word`; a misuse when it is not the start of one. */
void hak_large_free(void *block, uint32_t word, bool aside);
/* A block at this address was freed lately, as far as is remembered. Any pointer value but NULL. */
bool hak_large_was_freed(const void *block);
/* Usable bytes; 0 when `block` is not the start of a live large block. */
size_t hak_large_usable(const void *block, uint32_t word);
/* The program knows of all usable bytes of a live block, and may write to them. */
void hak_large_tell(const void *block, uint32_t word);
/* While a tool watches: our pointer to a live block is blurred, so that the block, when the program
 * loses its own, is lost in memcheck's eyes. Sharp again when the block is freed. */
void hak_large_blur(const void *block, uint32_t word, bool blurred);
/* Resizes, moving pages instead of copying bytes. NULL: not possible, nothing changed. */
void *hak_large_resize(void *block, uint32_t word, size_t bytes);
/* Time passes: what was not used for a while is purged, later unmapped. `now`: clock_ms. */
void hak_large_tick(uint64_t now);
/* Unmaps cached mappings, but for `keep` bytes of those with their pages. Returns the bytes
 * unmapped. */
size_t hak_large_trim(size_t keep);

/* Of all mappings, also of those that change hands. */
size_t hak_large_mapped_bytes(void);
/* Every count of the cache agrees with what it counts. */
bool hak_large_agrees(void);

struct large_stats {
    uint64_t live_bytes, cached_bytes;
    uint64_t kept_bytes; /* of the cached: with their pages */
};
void hak_large_stats(struct large_stats *out);
void hak_large_lock(void);
void hak_large_unlock(void);
/* In a forked child: mappings that other threads were moving go. Not while this one moves any. */
void hak_large_fork_child(void);

#ifdef __cplusplus
}
#endif

#endif
