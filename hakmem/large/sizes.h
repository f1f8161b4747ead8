/* Sizes of mappings, an eighth of a doubling apart, and which serve a block. */
#ifndef HAKMEM_LARGE_SIZES_H_
#define HAKMEM_LARGE_SIZES_H_

#include "hakmem/base/base.h"
#include "hakmem/config/config.h"
#include "hakmem/large/cache.h"
#include "hakmem/large/record.h"

/* Of an eighth each, from 4 KiB to LARGE_CACHED_MAX. */
#define LARGE_SMALLEST_SHIFT 12
#define LARGE_SIZES ((LARGE_CACHED_SHIFT - LARGE_SMALLEST_SHIFT) * 8 + 1)

HAK_INLINE bool large_is_cacheable(size_t bytes) { return bytes <= LARGE_CACHED_MAX; }

HAK_INLINE unsigned large_size_of(size_t bytes) {
    unsigned shift = log2_floor(bytes);
    return (shift - LARGE_SMALLEST_SHIFT) * 8 + (unsigned)(bytes >> (shift - 3) & 7);
}

/* What serves: a mapping of the block's size, or one that is at most a third longer than what was
 * asked for, as any block's size may be (a free that knows the size relies on it). So a few
 * mappings serve many sizes. */
struct large_wanted {
    size_t least, most, align;
    unsigned size, end; /* of the sizes */
};

/* Of more than LARGE_CACHED_MAX: no sizes. */
HAK_INLINE struct large_wanted large_wanted_of(size_t bytes, size_t align) {
    struct large_wanted w = {.least = large_round(bytes), .align = align};
    w.most = bytes + bytes / 3;
    if (w.most < w.least) w.most = w.least;
    if (w.most > LARGE_CACHED_MAX) w.most = LARGE_CACHED_MAX;
    w.size = large_size_of(w.least);
    w.end = large_size_of(w.most) + 1;
    return w;
}

HAK_INLINE bool large_fits(const struct large *r, const struct large_wanted *w) {
    size_t bytes = load_relaxed(&r->bytes);
    return bytes >= w->least && bytes <= w->most &&
           ((uintptr_t)load_relaxed(&r->base) & (w->align - 1)) == 0;
}

#endif
