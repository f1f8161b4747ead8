/* START HERE: allocating; chooses the path by size.
 *
 *   malloc: hot path, else slab classes from the front, larger ones from large; when both refuse,
 *           give everything back that is free and try once more, and again as long as the program's
 *           callback makes room.
 *   free:   free.c: hot path, else by word: a slab's block to the front, a large one to large.
 *   Resizing is in realloc.c, what the program asks to be given back in give_back.c.
 *   A call that comes in while its thread is in a slow path (a signal handler), after the thread's
 *   end, or among the first frees of one without a heap, is served aside: a mapping of its own,
 *   remote bits, no lock. */
#include "hakmem/hakmem.h"

#include <errno.h>
#include <string.h>

#include "hakmem/base/reclaim.h"
#include "hakmem/guarded.h"
#include "hakmem/hot_path.h"
#include "hakmem/large/large.h"
#include "hakmem/lifecycle.h"
#include "hakmem/limit.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/raw.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/watched.h"

#define VERSION "hakmem 0.1.0"

const char *hak_version(void) { return VERSION; }

/* Until it is known whether blocks are guarded each must be, so no call may find lists. */
static void hide_lists_until_options(void) {
    if (HAK_LIKELY(load_acquire(&hak_guard) != GUARD_UNREAD)) return;
    hak_front_hide(true);
    /* They were read meanwhile. */
    if (!hak_lists_stay_hidden()) hak_front_hide(false);
}

bool hak_raw_enter(void) {
    if (HAK_UNLIKELY(hak_front.heap == NULL)) {
        hide_lists_until_options();
        if (!hak_front_start()) return false;
        hak_lifecycle_thread_started();
    }
    return front_enter();
}

/* The smallest class whose blocks have `size` bytes and lie at multiples of `align`; CLASSES: none
 * does. */
static unsigned class_for(size_t size, size_t align) {
    if (size > MEDIUM_MAX || align > SLAB_BYTES) return CLASSES;
    if (align <= BLOCK_MIN) return size_class_of(size);
    size_t rounded = align_up(size == 0 ? 1 : size, align);
    if (rounded > MEDIUM_MAX) return CLASSES;
    unsigned c = size_class_of(rounded);
    while (c < CLASSES && hak_size_class[c].block_bytes % align != 0) c++;
    return c;
}

/* Entered, with a heap. */
static void *take(size_t size, size_t align, bool *zero) {
    unsigned c = class_for(size, align);
    if (c >= CLASSES) return hak_large_alloc(size, align, false, zero);
    *zero = false;
    return hak_front_take(c);
}

static void *allocate_once(size_t size, size_t align, bool *zero) {
    if (!hak_raw_enter()) return hak_large_alloc(size, align, true, zero);
    void *block = take(size, align, zero);
    front_leave();
    return block;
}

/* Bytes that must be resident to serve a request. */
static size_t needed(size_t size, size_t align) {
    unsigned c = class_for(size, align);
    return c < CLASSES ? hak_size_class[c].span * SLAB_BYTES : size;
}

/* Everything that is free goes back. */
static void give_all_back(size_t bytes) {
    hak_front_give_back();
    hak_large_trim(0);
    /* Where the limit is the reason, address space may stay. */
    if (hak_budget_left() < bytes) {
        hak_shared_pool_trim(0);
    } else {
        hak_shared_pool_release_address_space();
    }
}

/* Out of memory: what is asked for may fit when everything that is free went back. */
static void *reclaim(size_t size, size_t align, bool *zero) {
    void *block = NULL;
    if (guard_is_on()) hak_guarded_flush();
    if (front_enter()) {
        hak_reclaim_begin();
        give_all_back(needed(size, align));
        if (hak_front.heap != NULL) block = take(size, align, zero);
        if (hak_reclaim_end()) hak_shared_pool_settle();
        front_leave();
        if (hak_front.heap != NULL) return block;
    }
    return allocate_once(size, align, zero);
}

void *hak_raw_alloc(size_t size, size_t align, bool *zero) {
    /* What no address space could hold is not worth giving anything back for. */
    if (HAK_LIKELY((size | align) >> ADDRESS_BITS == 0)) {
        void *block = allocate_once(size, align, zero);
        if (HAK_LIKELY(block != NULL)) return block;
        do {
            block = reclaim(size, align, zero);
            if (block != NULL) return block;
        } while (hak_limit_ask(size));
    }
    errno = ENOMEM;
    return NULL;
}

/* Of a class whose list ran empty: the commonest reason why malloc left the hot path. NULL: not
 * now, the long way may have it. */
HAK_INLINE void *take_listed(unsigned c) {
    void *block = front_reload(c << CLASS_SCALE);
    if (HAK_LIKELY(block != NULL)) return block;
    if (HAK_UNLIKELY(hak_front.heap == NULL || watch_may_be_on()) || !front_enter()) return NULL;
    block = hak_front_take(c);
    front_leave();
    return block;
}

void *hak_malloc_slow(size_t size) {
    if (guard_is_on() && !watch_may_be_on()) return hak_guarded_alloc(BLOCK_MIN, size);
    void *block = NULL;
    if (HAK_LIKELY(size <= MEDIUM_MAX)) {
        block = take_listed(size_class_of(size));
    } else if (!watch_may_be_on()) {
        block = hak_large_take(size);
    }
    if (HAK_LIKELY(block != NULL)) return block;
    if (watch_may_be_on()) return hak_watched_alloc(BLOCK_MIN, size);
    bool zero = false;
    return hak_raw_alloc(size, BLOCK_MIN, &zero);
}

void *hak_aligned_slow(size_t align, size_t size) {
    if (align <= BLOCK_MIN) return hak_malloc_slow(size);
    if (watch_may_be_on()) return hak_watched_alloc(align, size);
    if (guard_is_on()) return hak_guarded_alloc(align, size);
    unsigned c = class_for(size, align);
    void *block = c < CLASSES ? take_listed(c) : NULL;
    if (HAK_LIKELY(block != NULL)) return block;
    bool zero = false;
    return hak_raw_alloc(size, align, &zero);
}

void *hak_malloc(size_t size) { return hot_malloc(size); }

static HAK_NOINLINE void *calloc_slow(size_t bytes) {
    if (watch_may_be_on()) return hak_watched_calloc(bytes);
    if (guard_is_on()) return hak_guarded_calloc(bytes);
    if (bytes <= MEDIUM_MAX) {
        void *listed = hot_malloc(bytes);
        return listed == NULL ? NULL : memset(listed, 0, bytes);
    }
    bool zero = true;
    void *block = hak_raw_alloc(bytes, BLOCK_MIN, &zero);
    /* Pages that nobody ever touched stay so. */
    if (block != NULL && !zero) hak_os_clear(block, bytes);
    return block;
}

void *hak_calloc(size_t count, size_t size) {
    size_t bytes;
    if (HAK_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) bytes = SIZE_MAX;
    if (HAK_LIKELY(bytes <= SMALL_MAX)) {
        void *block = hot_take(bytes);
        if (HAK_LIKELY(block != NULL)) return memset(block, 0, bytes);
    }
    return calloc_slow(bytes);
}

void *hak_aligned_alloc(size_t alignment, size_t size) {
    if (HAK_UNLIKELY(!is_power_of_two(alignment))) {
        errno = EINVAL;
        return NULL;
    }
    void *block = hot_take_aligned(alignment, size);
    return HAK_LIKELY(block != NULL) ? block : hak_aligned_slow(alignment, size);
}

/* Reports by its result, and leaves errno alone. */
static HAK_NOINLINE void *aligned_slow_quietly(size_t alignment, size_t size) {
    int saved = errno;
    void *block = hak_aligned_slow(alignment, size);
    errno = saved;
    return block;
}

int hak_posix_memalign(void **out, size_t alignment, size_t size) {
    if (HAK_UNLIKELY(!is_power_of_two(alignment) || alignment < sizeof(void *))) return EINVAL;
    void *block = hot_take_aligned(alignment, size);
    if (HAK_UNLIKELY(block == NULL)) block = aligned_slow_quietly(alignment, size);
    if (HAK_UNLIKELY(block == NULL)) return ENOMEM;
    *out = block;
    return 0;
}
