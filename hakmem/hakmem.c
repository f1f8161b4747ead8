/* START HERE: the API; chooses the path by size and by registry word.
 *
 *   malloc: hot path, else allocate(): slab classes from the front, larger ones from large;
 *           when both refuse, give everything back that is free and try once more, and again as
 *           long as the program's callback makes room.
 *   free:   hot path, else by word: a slab's block to the front, a large one to large.
 *   A call that comes in while its thread is in a slow path (a signal handler), after the thread's
 *   end, or among the first frees of one without a heap, is served aside: a mapping of its own,
 *   remote bits, no lock. */
#include "hakmem/hakmem.h"

#include <errno.h>
#include <string.h>

#include "hakmem/base/misuse.h"
#include "hakmem/base/reclaim.h"
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

/* ---- Allocating ----------------------------------------------------------------------------- */

/* Enters a slow path with a heap. False: the call must be served aside. */
static bool enter_with_heap(void) {
    if (HAK_UNLIKELY(hak_front.heap == NULL)) {
        if (!hak_front_start()) return false;
        hak_lifecycle_thread_started();
    }
    return front_enter();
}

/* Slab classes can serve it at this alignment. */
static bool fits_slab(size_t size, size_t align) {
    return size <= MEDIUM_MAX && align <= hak_os_page_bytes();
}

/* The smallest class whose blocks have `size` bytes and lie at multiples of `align`. */
static unsigned class_for(size_t size, size_t align) {
    if (align <= BLOCK_MIN) return size_class_of(size);
    size_t rounded = align_up(size == 0 ? 1 : size, align);
    if (rounded > MEDIUM_MAX) return CLASSES;
    unsigned c = size_class_of(rounded);
    while (c < CLASSES && hak_size_class[c].block_bytes % align != 0) c++;
    return c;
}

/* Entered, with a heap. */
static void *take(size_t size, size_t align, bool *zero) {
    unsigned c = fits_slab(size, align) ? class_for(size, align) : CLASSES;
    if (c >= CLASSES) return hak_large_alloc(size, align, false, zero);
    *zero = false;
    return hak_front_take(c);
}

static void *allocate_once(size_t size, size_t align, bool *zero) {
    if (!enter_with_heap()) return hak_large_alloc(size, align, true, zero);
    void *block = take(size, align, zero);
    front_leave();
    return block;
}

/* Bytes that must be resident to serve a request. */
static size_t needed(size_t size, size_t align) {
    unsigned c = fits_slab(size, align) ? class_for(size, align) : CLASSES;
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

void *hak_malloc_slow(size_t size) {
    if (HAK_UNLIKELY(size > MEDIUM_MAX)) {
        void *block = watch_may_be_on() ? NULL : hak_large_take(size);
        if (HAK_LIKELY(block != NULL)) return block;
    } else {
        /* The commonest reason: a class's list ran empty. */
        unsigned c = size_class_of(size);
        void *block = front_swap(c << CLASS_SCALE);
        if (HAK_LIKELY(block != NULL)) return block;
        if (HAK_LIKELY(hak_front.heap != NULL && !watch_may_be_on()) && front_enter()) {
            block = hak_front_take(c);
            front_leave();
            if (HAK_LIKELY(block != NULL)) return block;
        }
    }
    if (watch_may_be_on()) return hak_watched_alloc(BLOCK_MIN, size);
    bool zero = false;
    return hak_raw_alloc(size, BLOCK_MIN, &zero);
}

/* A block of the thread's list that lies right: of the class of the rounded size, if its blocks do.
 * NULL: there is none, or another class must serve. */
static void *take_aligned(size_t align, size_t size) {
    if (align > hak_os_page_bytes() || size > MIDDLE_MAX) return NULL;
    size_t rounded = align_up(size == 0 ? 1 : size, align);
    if (rounded > MIDDLE_MAX) return NULL;
    size_t scaled =
        rounded <= SMALL_MAX ? scaled_class_of_small(rounded) : scaled_class_of_middle(rounded);
    bool right = (hak_size_class[scaled >> CLASS_SCALE].block_bytes & (align - 1)) == 0;
    return right ? front_pop(scaled) : NULL;
}

void *hak_aligned_slow(size_t align, size_t size) {
    void *block = take_aligned(align, size);
    if (HAK_LIKELY(block != NULL)) return block;
    if (watch_may_be_on()) return hak_watched_alloc(align, size);
    bool zero = false;
    return hak_raw_alloc(size, align, &zero);
}

void *hak_malloc(size_t size) { return hot_malloc(size); }

void *hak_calloc(size_t count, size_t size) {
    size_t bytes;
    if (HAK_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) bytes = SIZE_MAX;
    if (HAK_LIKELY(bytes <= SMALL_MAX)) {
        void *block = hot_malloc(bytes);
        return block == NULL ? NULL : memset(block, 0, bytes);
    }
    if (watch_may_be_on()) return hak_watched_calloc(bytes);
    bool zero = true;
    void *block = hak_raw_alloc(bytes, BLOCK_MIN, &zero);
    if (block == NULL || zero) return block;
    return memset(block, 0, bytes);
}

void *hak_aligned_alloc(size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return hak_aligned_slow(alignment < BLOCK_MIN ? BLOCK_MIN : alignment, size);
}

int hak_posix_memalign(void **out, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment) || alignment < sizeof(void *)) return EINVAL;
    int saved = errno;
    void *block = hak_aligned_alloc(alignment, size);
    errno = saved;
    if (block == NULL) return ENOMEM;
    *out = block;
    return 0;
}

/* ---- Freeing -------------------------------------------------------------------------------- */

const struct verb hak_verb_free = {HAK_ERROR_INVALID_FREE, "invalid free"};
const struct verb hak_verb_realloc = {HAK_ERROR_INVALID_REALLOC, "invalid realloc"};
const struct verb hak_verb_usable_size = {HAK_ERROR_INVALID_USABLE_SIZE, "invalid usable_size"};

static HAK_COLD void report_freed(const void *block, const struct verb *verb, size_t bytes) {
    bool twice = verb->kind == HAK_ERROR_INVALID_FREE;
    hak_misuse(twice ? HAK_ERROR_DOUBLE_FREE : verb->kind, twice ? "double free" : verb->what,
               block, bytes, ADVICE_DOUBLE_FREE);
}

uint32_t hak_raw_word(const void *block, const struct verb *verb) {
    uint32_t word = registry_word(block);
    if (HAK_LIKELY(word != 0 && word != WORD_UNUSED)) return word;
    /* In a slab without blocks there was one once, most likely. */
    if (word == WORD_UNUSED || hak_large_was_freed(block)) {
        report_freed(block, verb, 0);
    } else {
        hak_misuse(verb->kind, verb->what, block, 0, ADVICE_FOREIGN);
    }
    return 0;
}

/* Large blocks, calls that are served aside, and mistakes. */
static HAK_NOINLINE void free_rarely(void *block) {
    if (block == NULL) return;
    uint32_t word = hak_raw_word(block, &hak_verb_free);
    if (word == 0) return;
    bool large = word_is_large(word);
    bool aside = hak_front.heap == NULL && hak_front.asides < FRONT_ASIDE_FREES;
    if (aside) hak_front.asides++;
    if (aside || !enter_with_heap()) {
        if (large) {
            hak_large_free(block, word, true);
        } else {
            hak_front_free_aside(block);
        }
        return;
    }
    if (large) {
        hak_large_free(block, word, false);
    } else if (word_is_checked(word)) {
        hak_front_free_checked(block);
    } else {
        hak_front_free(block, word_class(word));
    }
    front_leave();
}

HAK_NOINLINE void hak_raw_free(void *block, uint32_t word) {
    uint32_t c = word_class(word);
    bool listed = c < CLASSES && !word_is_checked(word);
    if (HAK_LIKELY(listed && hak_front.heap != NULL) && front_enter()) {
        hak_front_free(block, c);
        front_leave();
        return;
    }
    if (word_is_large(word) && hak_large_give(block, word)) return;
    free_rarely(block);
}

void hak_free_slow(void *block, uint32_t word) {
    bool run = (word & (WORD_LARGE | WORD_RUN | WORD_CHECKED)) == WORD_RUN;
    if (run && HAK_LIKELY(front_push_medium(block, word))) return;
    if (watch_may_be_on()) {
        hak_watched_free(block);
    } else {
        hak_raw_free(block, word);
    }
}

void hak_free(void *block) { hot_free(block); }

size_t hak_raw_bytes(const void *block, uint32_t word, const struct verb *verb) {
    if (word == 0) return 0;
    if (word_is_large(word)) {
        size_t bytes = hak_large_usable(block, word);
        if (HAK_LIKELY(bytes != 0)) return bytes;
        if (hak_large_was_freed(block)) {
            report_freed(block, verb, 0);
        } else {
            hak_misuse(verb->kind, verb->what, block, 0, "the address lies inside a large block");
        }
        return 0;
    }
    size_t bytes = hak_size_class[word_class(word)].block_bytes;
    struct slab *slab = hak_slab_of(block);
    unsigned w;
    uint64_t bit;
    if (HAK_UNLIKELY(slab == NULL || hak_slab_find(slab, block, &w, &bit) != SLAB_OK)) {
        hak_misuse(verb->kind, verb->what, block, 0, ADVICE_INTERIOR);
        return 0;
    }
    bool marked = HAK_CHECKS && hak_front_is_marked(block);
    if (HAK_UNLIKELY(hak_slab_has(slab, w, bit) || marked)) {
        report_freed(block, verb, bytes);
        return 0;
    }
    return bytes;
}

size_t hak_usable_size(const void *block) {
    if (block == NULL) return 0;
    if (watch_is_on()) return hak_watched_usable(block);
    uint32_t word = hak_raw_word(block, &hak_verb_usable_size);
    size_t bytes = hak_raw_bytes(block, word, &hak_verb_usable_size);
    if (bytes != 0 && word_is_large(word)) hak_large_tell(block, word);
    return bytes;
}

/* No more of the block is waste than a fresh one might have. */
HAK_INLINE bool rounds_to(size_t size, size_t bytes) {
    return size <= bytes && (bytes - size <= 64 || bytes - size <= size / 3 + 64);
}

/* A slab's block stays where it is while at least half of it serves: a copy would cost more than
 * the bytes are worth, and a program that goes on shrinking moves at each halving only. Not of size
 * 0, which frees it. */
HAK_INLINE bool stays(size_t size, size_t bytes) {
    return size <= bytes && (size >= bytes / 2 || bytes <= LINE_BYTES) && size != 0;
}

/* Set once a block that shrank stayed where it was: blocks may then be of any size above what was
 * asked for. */
static bool some_waste;

HAK_INLINE void note_size(size_t size, size_t bytes) {
    if (HAK_LIKELY(rounds_to(size, bytes)) || load_relaxed(&some_waste)) return;
    store_relaxed(&some_waste, true);
}

/* A block of `bytes` may have been asked for with this size and alignment: what is above the size
 * is what a class, an alignment or a page rounds up by. Large blocks are of any size: calls that
 * are served aside have no others. */
static bool size_fits(size_t size, size_t alignment, size_t bytes, bool large) {
    if (rounds_to(size, bytes)) return true;
    if (size > bytes) return false;
    size_t page = hak_os_page_bytes(), rounding = alignment < page && !large ? alignment : page;
    bool rounded = rounding > BLOCK_MIN && bytes - size <= size / 3 + 64 + rounding;
    return rounded || load_relaxed(&some_waste);
}

static void free_sized(void *block, size_t alignment, size_t size, const char *wrong_size) {
    uint32_t word = hak_raw_word(block, &hak_verb_free);
    size_t bytes = watch_is_on() ? hak_watched_bytes(block, &hak_verb_free)
                                 : hak_raw_bytes(block, word, &hak_verb_free);
    if (bytes == 0) return;
    if (HAK_LIKELY(size_fits(size, alignment, bytes, word_is_large(word)))) {
        hot_free(block);
        return;
    }
    hak_misuse(HAK_ERROR_WRONG_SIZE, wrong_size, block, bytes,
               "pass the size that the block was asked for with");
}

static bool alignment_fits(void *block, size_t alignment, const char *wrong_alignment) {
    if (is_power_of_two(alignment) && ((uintptr_t)block & (alignment - 1)) == 0) return true;
    hak_misuse(HAK_ERROR_WRONG_ALIGNMENT, wrong_alignment, block, 0,
               "pass the alignment that the block was asked for with");
    return false;
}

void hak_free_sized(void *block, size_t size) {
    if (block != NULL) free_sized(block, BLOCK_MIN, size, "wrong size in free_sized");
}

void hak_free_aligned_sized(void *block, size_t alignment, size_t size) {
    if (block == NULL || !alignment_fits(block, alignment, "wrong alignment in free_aligned_sized"))
        return;
    free_sized(block, alignment, size, "wrong size in free_aligned_sized");
}

void hak_delete_sized(void *block, size_t size) {
    if (block != NULL) free_sized(block, BLOCK_MIN, size, "wrong size in operator delete");
}

void hak_delete_aligned(void *block, size_t alignment) {
    if (block == NULL || !alignment_fits(block, alignment, "wrong alignment in operator delete"))
        return;
    hot_free(block);
}

void hak_delete_aligned_sized(void *block, size_t size, size_t alignment) {
    if (block == NULL || !alignment_fits(block, alignment, "wrong alignment in operator delete"))
        return;
    free_sized(block, alignment, size, "wrong size in operator delete");
}

/* ---- Resizing ------------------------------------------------------------------------------- */

static void *resize_large(void *block, uint32_t word, size_t size) {
    if (size <= MEDIUM_MAX || !front_enter()) return NULL;
    void *moved = hak_large_resize(block, word, size);
    front_leave();
    return moved;
}

/* All but what hak_realloc serves at once. */
static HAK_NOINLINE void *realloc_slow(void *block, size_t size) {
    if (watch_may_be_on()) return hak_watched_realloc(block, size);
    if (block == NULL) return hot_malloc(size);
    uint32_t word = hak_raw_word(block, &hak_verb_realloc);
    size_t bytes = hak_raw_bytes(block, word, &hak_verb_realloc);
    if (HAK_UNLIKELY(bytes == 0)) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        hot_free(block);
        return NULL;
    }
    bool large = word_is_large(word);
    if (large ? size <= bytes && size >= bytes - bytes / 8 : stays(size, bytes)) {
        if (large) hak_large_tell(block, word);
        note_size(size, bytes);
        return block;
    }
    if (large && size <= PTRDIFF_MAX) {
        void *moved = resize_large(block, word, size);
        if (moved != NULL) return moved;
    }
    void *moved = hot_malloc(size);
    /* A block that only had to shrink still serves. */
    if (moved == NULL) {
        if (size > bytes) return NULL;
        store_relaxed(&some_waste, true);
        return block;
    }
    memcpy(moved, block, size < bytes ? size : bytes);
    hot_free(block);
    return moved;
}

/* The same in a slab of several units. */
static HAK_NOINLINE void *realloc_in_run(void *block, uint32_t word, size_t size) {
    const struct lists *lists = hak_front.lists;
    const struct list_pair *list =
        (const struct list_pair *)((char *)&lists->none + (word & 0xffff));
    bool live = !HAK_CHECKS || (starts_medium(list, block, word) && !block_may_be_marked(block));
    if (HAK_UNLIKELY(!live)) return realloc_slow(block, size);
    size_t bytes = hak_size_class[word_class(word)].block_bytes;
    if (!stays(size, bytes)) return realloc_slow(block, size);
    note_size(size, bytes);
    return block;
}

/* The commonest reason first: a block that stays, of which no more is asked than free asks. What
 * looks like a mistake, or has no lists to ask, is looked at in realloc_slow. */
void *hak_realloc(void *block, size_t size) {
    struct lists *lists = hak_front.lists;
    uint32_t word = registry_word(block);
    if (HAK_UNLIKELY(word >= lists->end)) {
        bool run = (word & (WORD_LARGE | WORD_RUN | WORD_CHECKED)) == WORD_RUN && lists->end != 0;
        return run ? realloc_in_run(block, word, size) : realloc_slow(block, size);
    }
    const struct list_pair *list = (struct list_pair *)((char *)&lists->none + word);
    bool live = HAK_CHECKS ? starts_block(list, block) && !block_may_be_marked(block) : word != 0;
    if (HAK_UNLIKELY(!live)) return realloc_slow(block, size);
    size_t bytes = hak_size_class[word_class(word)].block_bytes;
    if (!stays(size, bytes)) return realloc_slow(block, size);
    note_size(size, bytes);
    return block;
}

void *hak_reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return hak_realloc(block, bytes);
}

/* ---- Giving back ---------------------------------------------------------------------------- */

bool hak_trim(size_t keep) {
    if (!front_enter()) return false;
    watch_silence(true);
    uint64_t before = hak_os_purged_bytes();
    hak_reclaim_begin();
    hak_front_give_back();
    hak_large_trim(keep);
    hak_shared_pool_trim(keep);
    hak_os_retry_discarded(true);
    if (hak_reclaim_end()) hak_shared_pool_settle();
    watch_silence(false);
    front_leave();
    return hak_os_purged_bytes() != before;
}

bool hak_check_counts(void) {
    if (!front_enter()) return false;
    bool agree = hak_shared_pool_agrees() && hak_large_agrees();
    front_leave();
    return agree;
}

void hak_thread_idle(void) {
    if (!front_enter()) return;
    watch_silence(true);
    hak_front_give_up();
    watch_silence(false);
    front_leave();
}
