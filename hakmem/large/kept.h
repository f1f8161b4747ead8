/* Mappings with their pages, live ones whose free is one step and free ones: in one array, which is
 * walked without a chain of loads, and by size in hints that need no lock. What is free is cut to a
 * block's size, the rest stays free; free parts of one mapping that lie side by side serve as one.
 * Internal to the layer.
 *
 *      |  free  |  free  |  free  |        wanted: more than one of them, less than two
 *      |    live    | free |  free  |      cut where the block ends
 */
#ifndef HAKMEM_LARGE_KEPT_H_
#define HAKMEM_LARGE_KEPT_H_

#include "hakmem/large/record.h"
#include "hakmem/large/sizes.h"

/* Guarded by the cache's lock, but for what says otherwise. All of a mapping that is in the array
 * but its state stands still under the lock. */
struct kept {
    struct large *all[LARGE_KEPT_ENTRIES]; /* in no order */
    uint32_t count;                        /* read without the lock too, as is the next */
    uint64_t bytes;                        /* of live ones too */
    uint32_t turn;                         /* counts puts and ticks: read without the lock too */
    uint32_t newest_of[LARGE_SIZES];       /* hints: numbers of records; without the lock */
};

#ifdef __cplusplus
extern "C" {
#endif
extern struct kept hak_large_kept;

/* ---- Without the lock ---- */

/* A free one that fits, live now. NULL: the hints name none. */
struct large *hak_large_kept_take(const struct large_wanted *w);
/* Frees a live one. False: it is in no such state. */
bool hak_large_kept_give(struct large *r);

/* ---- Under the cache's lock ---- */

/* A mapping of the caller's alone becomes one of them, free, as if freed at `turn`. There are fewer
 * than LARGE_KEPT_ENTRIES. */
void hak_large_kept_add(struct large *r, uint32_t turn);
/* `bytes`: read before it was made live or nobody's, as a live one's may change. */
void hak_large_kept_remove(struct large *r, size_t bytes);
/* Of the free ones. Others may take and free some meanwhile. */
uint64_t hak_large_kept_free_bytes(void);
/* The one whose last free is longest ago, of those that are free, or of all; NULL: none, or all
 * were freed just now. */
struct large *hak_large_kept_oldest(bool free_only);
/* A free one that fits and that the hints have lost, live now. NULL: none. */
struct large *hak_large_kept_take_lost(const struct large_wanted *w);
/* The least that is enough of what is free in a row, cut to size, live now. NULL: none. */
struct large *hak_large_kept_take_part(const struct large_wanted *w);
/* The free one of the nearest size, within a third, whose pages are worth moving; live now. NULL:
 * none. */
struct large *hak_large_kept_take_near(const struct large_wanted *w);
#ifdef __cplusplus
}
#endif

HAK_INLINE bool large_is_free(struct large *r) {
    return large_kind(load_relaxed(&r->state)) == LARGE_KEPT;
}

#endif
