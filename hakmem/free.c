/* Freeing: by the registry word, a slab's block to the front, a large one to large; and what a
 * block is known to be. A pointer that is no live block is reported. */
#include "hakmem/base/misuse.h"
#include "hakmem/guarded.h"
#include "hakmem/hakmem.h"
#include "hakmem/hot_path.h"
#include "hakmem/large/large.h"
#include "hakmem/live.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/raw.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/watched.h"

const struct verb hak_verb_free = {HAK_ERROR_INVALID_FREE, "invalid free"};
const struct verb hak_verb_realloc = {HAK_ERROR_INVALID_REALLOC, "invalid realloc"};
const struct verb hak_verb_usable_size = {HAK_ERROR_INVALID_USABLE_SIZE, "invalid usable_size"};

HAK_COLD void hak_raw_report_freed(const void *block, const struct verb *verb, size_t bytes) {
    bool twice = verb->kind == HAK_ERROR_INVALID_FREE;
    hak_misuse(twice ? HAK_ERROR_DOUBLE_FREE : verb->kind, twice ? "double free" : verb->what,
               block, bytes, ADVICE_DOUBLE_FREE);
}

uint32_t hak_raw_word(const void *block, const struct verb *verb) {
    uint32_t word = registry_word(block);
    if (HAK_LIKELY(word != 0 && word != WORD_UNUSED)) return word;
    /* In a slab without blocks there was one once, most likely. */
    if (word == WORD_UNUSED || hak_large_was_freed(block)) {
        hak_raw_report_freed(block, verb, 0);
    } else {
        hak_misuse(verb->kind, verb->what, block, 0, ADVICE_FOREIGN);
    }
    return 0;
}

/* Large blocks, calls that are served aside, and mistakes. */
static HAK_NOINLINE void free_rarely(void *block) {
    uint32_t word = hak_raw_word(block, &hak_verb_free);
    if (word == 0) return;
    bool large = word_is_large(word);
    bool aside = hak_front.heap == NULL && hak_front.asides < FRONT_ASIDE_FREES;
    if (aside) hak_front.asides++;
    if (aside || !hak_raw_enter()) {
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

static const char DELETE_SIZE[] = "wrong size in operator delete";

/* The commonest reason why free leaves the hot path, a slab of more than one unit: nothing else is
 * looked at, and no register saved. False in guarded modes: there are no lists. */
HAK_INLINE bool push_medium(void *block, uint32_t word) {
    const uint32_t not_plain = WORD_LARGE | WORD_UNUSED | WORD_CHECKED;
    return (word & (not_plain | WORD_RUN)) == WORD_RUN && front_push_medium(block, word);
}

/* What the lists did not take. */
static void free_unguarded(void *block, uint32_t word) {
    if (block == NULL) return;
    if ((word & (WORD_LARGE | WORD_UNUSED | WORD_CHECKED)) == 0 && word != 0) {
        if (front_is_cold(word) && hak_front_free_on(block, word)) return;
        bool run = (word & WORD_RUN) != 0;
        bool again = front_make_room(word);
        if (again && HAK_LIKELY(run ? front_push_medium(block, word) : front_push_of(block, word)))
            return;
    }
    if (watch_may_be_on()) {
        hak_watched_free(block);
    } else {
        hak_raw_free(block, word);
    }
}

static HAK_NOINLINE void free_refused(void *block, uint32_t word) {
    if (HAK_LIKELY(!guard_is_on())) {
        free_unguarded(block, word);
    } else if (watch_may_be_on()) {
        hak_watched_free(block);
    } else {
        hak_guarded_free(block, word, KIND_MALLOC);
    }
}

void hak_free_slow(void *block, uint32_t word) {
    if (!push_medium(block, word)) free_refused(block, word);
}

static HAK_NOINLINE void delete_refused(void *block, uint32_t word, enum block_kind kind,
                                        size_t size) {
    if (HAK_LIKELY(!guard_is_on())) {
        free_unguarded(block, word);
    } else if (watch_may_be_on()) {
        hak_watched_free(block);
    } else if (size == NO_SIZE) {
        hak_guarded_free(block, word, kind);
    } else {
        hak_guarded_free_sized(block, size, kind, DELETE_SIZE);
    }
}

void hak_delete_slow(void *block, uint32_t word, enum block_kind kind, size_t size) {
    if (!push_medium(block, word)) delete_refused(block, word, kind, size);
}

void hak_free(void *block) { hot_free(block); }

size_t hak_raw_bytes(const void *block, uint32_t word, const struct verb *verb) {
    if (word == 0) return 0;
    if (word_is_large(word)) {
        size_t bytes = hak_large_usable(block, word);
        if (HAK_LIKELY(bytes != 0)) return bytes;
        if (hak_large_was_freed(block)) {
            hak_raw_report_freed(block, verb, 0);
        } else {
            hak_misuse(verb->kind, verb->what, block, 0,
                       "the address lies inside a large block; free what malloc returned");
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
        hak_raw_report_freed(block, verb, bytes);
        return 0;
    }
    return bytes;
}

static HAK_NOINLINE size_t usable_size_slow(const void *block) {
    if (block == NULL) return 0;
    if (watch_is_on()) return hak_watched_usable(block);
    if (guard_is_on()) return hak_guarded_usable(block);
    uint32_t word = hak_raw_word(block, &hak_verb_usable_size);
    size_t bytes = hak_raw_bytes(block, word, &hak_verb_usable_size);
    if (bytes != 0 && word_is_large(word)) hak_large_tell(block, word);
    return bytes;
}

size_t hak_usable_size(const void *block) {
    const struct size_class *sc = live_find(block);
    return HAK_LIKELY(sc != NULL) ? sc->block_bytes : usable_size_slow(block);
}

/* A block of `bytes` may have been asked for with this size and alignment: what is above the size
 * is what a class, an alignment or a page rounds up by. Large blocks are of any size: calls that
 * are served aside have no others. */
static bool size_fits(size_t size, size_t alignment, size_t bytes, bool large) {
    if (raw_rounds_to(size, bytes)) return true;
    if (size > bytes) return false;
    size_t rounding = large ? hak_os_page_bytes() : alignment;
    bool rounded = rounding > BLOCK_MIN && bytes - size <= size / 3 + 64 + rounding;
    return rounded || load_relaxed(&hak_some_waste);
}

static HAK_NOINLINE void free_sized_slow(void *block, size_t alignment, size_t size,
                                         enum block_kind kind, const char *wrong_size) {
    if (guard_is_on() && !watch_is_on()) {
        hak_guarded_free_sized(block, size, kind, wrong_size);
        return;
    }
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

static void free_sized(void *block, size_t alignment, size_t size, enum block_kind kind,
                       const char *wrong_size) {
    const struct size_class *sc = live_find(block);
    if (HAK_LIKELY(sc != NULL && size_fits(size, alignment, sc->block_bytes, false))) {
        hot_free(block);
    } else {
        free_sized_slow(block, alignment, size, kind, wrong_size);
    }
}

bool hak_raw_alignment_fits(void *block, size_t alignment, const char *wrong_alignment) {
    if (is_power_of_two(alignment) && ((uintptr_t)block & (alignment - 1)) == 0) return true;
    hak_misuse(HAK_ERROR_WRONG_ALIGNMENT, wrong_alignment, block, 0,
               "pass the alignment that the block was asked for with");
    return false;
}

void hak_free_sized(void *block, size_t size) {
    if (block != NULL) free_sized(block, BLOCK_MIN, size, KIND_MALLOC, "wrong size in free_sized");
}

void hak_free_aligned_sized(void *block, size_t alignment, size_t size) {
    if (block == NULL ||
        !hak_raw_alignment_fits(block, alignment, "wrong alignment in free_aligned_sized"))
        return;
    free_sized(block, alignment, size, KIND_MALLOC, "wrong size in free_aligned_sized");
}

void hak_delete_sized(void *block, size_t size, enum block_kind kind) {
    if (block != NULL) free_sized(block, BLOCK_MIN, size, kind, DELETE_SIZE);
}

void hak_delete_aligned(void *block, size_t alignment, enum block_kind kind) {
    if (block == NULL ||
        !hak_raw_alignment_fits(block, alignment, "wrong alignment in operator delete"))
        return;
    hot_delete(block, kind, NO_SIZE);
}

void hak_delete_aligned_sized(void *block, size_t size, size_t alignment, enum block_kind kind) {
    if (block == NULL ||
        !hak_raw_alignment_fits(block, alignment, "wrong alignment in operator delete"))
        return;
    free_sized(block, alignment, size, kind, DELETE_SIZE);
}
