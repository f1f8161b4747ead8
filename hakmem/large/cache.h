/* Mappings of freed large blocks, for the next ones of about their size.
 *
 *   LIVE --free--> purged but for its ends --> PARKED --alloc--> LIVE    under the lock
 *             '--> there is room ------------> KEPT <--alloc, free--> LIVE_KEPT    one cas
 *
 * Of a mapping of which an earlier owner wrote to more, the near end alone stays.
 * Room is bytes of kept mappings that are free. HAKMEM_LARGE_CACHE_MB is there for mappings that
 * come and go fast, or as much as is live; HAKMEM_LARGE_CACHE_CALM_MB for others. Any mapping comes
 * and goes fast that is wanted back soon after it was purged; and while pages are faulted in soon
 * after others were purged, whatever is freed, up to what is live. While all
 * that are kept, live ones too, have no more than that, no free needs the lock; else each counts
 * under it, and what was freed longest ago gives up its room: of a program that frees everything
 * HAKMEM_LARGE_CACHE_MB stay. A free beside another may exceed it by its mapping, until the next.
 * Sizes go in eighths of a doubling, so that mappings of a size serve each other; and one serves a
 * block that needs three quarters of it, rather than that pages come and go. Where none does, a
 * part of a kept one serves (kept.h), or the pages of one of about the size: it is resized. */
#ifndef HAKMEM_LARGE_CACHE_H_
#define HAKMEM_LARGE_CACHE_H_

#include "hakmem/base/base.h"
#include "hakmem/config/config.h"
#include "hakmem/large/record.h"

#ifdef __cplusplus
extern "C" {
#endif
/* As large_round. */
size_t hak_large_round_any(size_t bytes);
/* A kept mapping for `bytes`, of their size or up to a third more, at a multiple of `align`, live
 * now. Lock-free. NULL: none. */
struct large *hak_large_cache_take_kept(size_t bytes, size_t align);
/* The same, of all kinds. `near`: also a kept one of another size, which then does not fit, and is
 * the caller's to resize. `*purged`: it was, and hak_large_cache_clear_ends makes it zero.
 * Locks. */
struct large *hak_large_cache_take(size_t bytes, size_t align, bool near, bool *purged);
/* A block's pages are to be faulted in, as nothing served. Lock-free. */
void hak_large_cache_missed(void);
/* Makes a mapping zero that was parked and that nobody has written to since. */
void hak_large_cache_clear_ends(struct large *r);
/* Frees a mapping in state LIVE_KEPT. Lock-free. False: it is in no such state, or, unless
 * `anyway`, what is free might have no room then. */
bool hak_large_cache_keep(struct large *r, bool anyway);
/* Takes over a mapping that is the caller's alone (LARGE_NONE). Locks; makes system calls. */
void hak_large_cache_put(struct large *r);
/* Takes its room from a live mapping whose bytes are to change. Locks. */
void hak_large_cache_leave(struct large *r);
/* Unmaps a mapping that is the caller's alone, and ends its word and record. Lock-free. Returns
 * its bytes. */
size_t hak_large_cache_drop(struct large *r);
/* Twice a second: purges what was not freed since the last time, unmaps what is too old. `now`:
 * clock_ms. Locks; makes system calls. */
void hak_large_cache_tick(uint64_t now);
/* Unmaps all but `keep` bytes of kept mappings. Returns the bytes unmapped. */
size_t hak_large_cache_trim(size_t keep);
/* Whether a tick would find anything to do, soon. */
bool hak_large_cache_waits(void);
/* Counts and bytes agree with the lists. Locks. */
bool hak_large_cache_agrees(void);
void hak_large_cache_lock(void);
void hak_large_cache_unlock(void);
#ifdef __cplusplus
}
#endif

/* An eighth of the power of two at or below `bytes`. */
HAK_INLINE size_t large_step(size_t bytes) { return (size_t)1 << (log2_floor(bytes) - 3); }

/* The mapping for a block of `bytes`: at most an eighth larger, or to the next page. */
HAK_INLINE size_t large_round(size_t bytes) {
    /* The commonest first: such steps are whole pages. */
    bool common = bytes >= LARGE_COMMON_FROM && bytes <= LARGE_CACHED_MAX;
    return HAK_LIKELY(common) ? align_up(bytes, large_step(bytes)) : hak_large_round_any(bytes);
}

#endif
