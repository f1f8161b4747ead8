#include "hakmem/slab/slab.h"

#include "hakmem/base/misuse.h"
#include "hakmem/base/random.h"
#include "hakmem/base/watch.h"
#include "hakmem/registry/registry.h"
#include "hakmem/slab/bits.h"

const uint64_t hak_list_end[2];

static uint16_t epoch; /* forks beside other threads */

void hak_slab_forked(void) { epoch++; }

struct slab *hak_slab_of(const void *address) {
    return slab_of(address);
}

uint32_t hak_slab_word(unsigned c, unsigned unit) {
    const struct size_class *sc = &hak_size_class[c];
    if (sc->span == 1) return word_of_class(c);
    size_t from = unit * SLAB_BYTES, first = (from + sc->block_bytes - 1) / sc->block_bytes;
    size_t end = (from + SLAB_BYTES + sc->block_bytes - 1) / sc->block_bytes;
    if (end > sc->capacity) end = sc->capacity;
    uint32_t word = word_of_class(c) | WORD_RUN;
    if (first >= end) return word;
    size_t at = (first * sc->block_bytes - from) / RUN_GRAIN;
    return word | (uint32_t)at << WORD_FIRST_SHIFT | (uint32_t)(end - first) << WORD_COUNT_SHIFT;
}

const struct slab *hak_slab_last_of(const void *address) {
    struct superslab *ss = hak_registry_record(address);
    if (ss == NULL) return NULL;
    size_t index = ((uintptr_t)address >> SLAB_SHIFT) & (SLABS_PER_SUPERSLAB - 1);
    return &ss->slabs[load_relaxed(&ss->heads[index])];
}

static void set_words(struct slab *slab, unsigned c, uint32_t flag) {
    const struct size_class *sc = &hak_size_class[c];
    char *base = slab_base(slab);
    /* Behind the start of the only block all units are alike. */
    unsigned apart = sc->capacity == 1 ? 1 : sc->span;
    for (unsigned i = 0; i < apart; i++) {
        hak_registry_set(base + i * SLAB_BYTES, 1, hak_slab_word(c, i) | flag);
    }
    if (apart == sc->span) return;
    hak_registry_set(base + SLAB_BYTES, sc->span - 1u, hak_slab_word(c, 1) | flag);
}

void hak_slab_carve(struct slab *slab, unsigned c, struct slab_owner *owner) {
    const struct size_class *sc = &hak_size_class[c];
    struct superslab *ss = slab_superslab(slab);
    for (unsigned i = 0; i < sc->span; i++) {
        store_relaxed(&ss->heads[slab->index + i], slab->index);
    }
    store_relaxed(&slab->class_index, (uint8_t)c);
    store_relaxed(&slab->capacity, sc->capacity);
    store_relaxed(&slab->out, 0);
    slab->low = 0;
    slab->high = 0;
    slab->epoch = epoch;
    slab->checked = slab->unmarked = false;
    store_relaxed(&slab->free_listed, 0);
    slab->purged_out = UINT16_MAX;
    list_init(&slab->owned);
    list_init(&slab->listed);
    unsigned words = words_of(slab);
    for (unsigned w = 0; w < words; w++) store_relaxed(free_word(slab, w), UINT64_MAX);
    if (sc->capacity % 64 != 0) {
        store_relaxed(free_word(slab, words - 1), ((uint64_t)1 << sc->capacity % 64) - 1);
    }
    hak_slab_set_owner(slab, owner);
    set_words(slab, c, 0);
    /* Last: a fork may copy the slab at any of these steps, and the child counts the blocks of
     * what is in use by the bits, which until now are an earlier life's. */
    store_release(&slab->span, (uint8_t)sc->span);
    watch_hide(slab_base(slab), sc->span * SLAB_BYTES);
}

/* Blocks of another size may hold these words, never written, and a program copy them to where
 * they were a mark: the marks end with the life of the blocks. */
static void clear_marks(struct slab *slab) {
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    char *block = slab_base(slab), *end = block + slab->high * bytes;
    bool checked = slab->checked;
    for (; block != end; block += bytes) {
        /* Where pages are gone there is no mark: a look does not bring them back. */
        if (checked && block_read_mark(block) == 0) continue;
        block_write_mark(block, 0);
    }
}

void hak_slab_uncarve(struct slab *slab) {
    hak_assert(slab->out == 0);
    if (!slab->unmarked) clear_marks(slab);
    store_relaxed(&slab->free_listed, 0);
    hak_registry_set(slab_base(slab), slab->span, WORD_UNUSED);
    store_relaxed(&slab->span, 0);
    store_relaxed(&slab->capacity, 0);
}

/* No block of [first, end) is outside. */
static bool all_free(const struct slab *slab, size_t first, size_t end) {
    for (size_t i = first; i < end;) {
        unsigned shift = (unsigned)i % 64;
        size_t n = end - i < 64u - shift ? end - i : 64u - shift;
        uint64_t mask = (n == 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1) << shift;
        if ((load_relaxed(free_word(slab, i / 64)) & mask) != mask) return false;
        i += n;
    }
    return true;
}

size_t hak_slab_free_pages(const struct slab *slab, size_t offset, size_t page, size_t *bytes) {
    size_t block_bytes = hak_size_class[slab->class_index].block_bytes, capacity = slab->capacity;
    size_t end = (size_t)slab->span * SLAB_BYTES, start = 0;
    *bytes = 0;
    for (offset = align_up(offset, page); offset < end; offset += page) {
        size_t first = offset / block_bytes, last = (offset + page - 1) / block_bytes + 1;
        if (last > capacity) last = capacity;
        if (all_free(slab, first, last)) {
            if (*bytes == 0) start = offset;
            *bytes += page;
        } else if (*bytes != 0) {
            break;
        }
    }
    return start;
}

void hak_slab_set_checked(struct slab *slab) {
    slab->checked = true;
    set_words(slab, slab->class_index, WORD_CHECKED);
}

void hak_slab_keep_marks(struct slab *slab) {
    char *block = slab_base(slab);
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    for (unsigned i = 0; i < slab->high; i++, block += bytes) {
        bool free = (load_relaxed(free_word(slab, i / 64)) >> i % 64 & 1) != 0;
        if (free && block_read_mark(block) == 0) return;
    }
    set_words(slab, slab->class_index, 0);
    slab->checked = false;
}

void hak_slab_restore_marks(struct slab *slab, uint64_t cookie) {
    char *block = slab_base(slab);
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    for (unsigned i = 0; i < slab->high; i++, block += bytes) {
        if ((load_relaxed(free_word(slab, i / 64)) >> i % 64 & 1) == 0) continue;
        /* What is not zero did not go with its page, or was written to since: that is found when
         * the block goes out. */
        bool gone = block_next(block) == NULL && block_read_mark(block) == 0;
        if (gone) block_link(block, LIST_END, cookie);
    }
    set_words(slab, slab->class_index, 0);
    slab->checked = false;
}

void hak_slab_set_owner(struct slab *slab, struct slab_owner *owner) {
    /* Release: whoever finds the new owner finds its stack open. */
    store_release(&slab->owner, owner);
}

HAK_COLD void hak_slab_report_corrupted(const struct slab *slab, const void *block) {
    hak_misuse(HAK_ERROR_CORRUPTED_BLOCK, "corrupted free block", block,
               hak_size_class[slab->class_index].block_bytes, ADVICE_CORRUPTED);
}

HAK_COLD void hak_slab_report_doubled(const struct slab *slab, const void *block,
                                      const char *advice) {
    hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", block,
               hak_size_class[slab->class_index].block_bytes, advice);
}

/* The 64 blocks of a word, each to the next. Returns the last one, which has no link yet. */
static void *link_word(void *first, size_t bytes, uint64_t cookie) {
    char *block = first, *last = block + 63 * bytes;
    for (; block != last; block += bytes) block_link(block, block + bytes, cookie);
    return last;
}

/* Blocks below were out once, and came back with their marks. */
static unsigned marked_end(const struct slab *slab, uint64_t cookie) {
    return HAK_CHECKS && cookie != 0 && slab->epoch == epoch && !slab->checked ? slab->high : 0;
}

/* hak_slab_take of one block by bits: what a cold class wants. NULL: there is none, or the first
 * one was written to, which is for hak_slab_take to report. */
static void *take_one(struct slab *slab, uint64_t cookie) {
    struct superslab *ss = slab_superslab(slab);
    size_t w = slab->low, words = words_of(slab);
    uint64_t *bits = superslab_free_word(ss, slab->index, w), word;
    while ((word = load_relaxed(bits)) == 0) {
        if (++w == words) return NULL;
        bits = superslab_free_word(ss, slab->index, w);
    }
    unsigned i = (unsigned)w * 64 + (unsigned)__builtin_ctzll(word);
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    void *block = ss->base + slab->index * SLAB_BYTES + i * bytes;
    if (HAK_UNLIKELY(i < marked_end(slab, cookie) && !block_is_marked(block, cookie))) return NULL;
    store_relaxed(bits, word & (word - 1));
    block_link(block, LIST_END, cookie);
    if (i >= slab->high) slab->high = (uint16_t)(i + 1);
    slab->low = (uint8_t)w;
    store_relaxed(&slab->out, (uint16_t)(slab->out + 1));
    return block;
}

unsigned hak_slab_take(struct slab *slab, unsigned want, void **head, uint64_t cookie) {
    if (want == 1 && slab->free_listed == 0) {
        void *block = take_one(slab, cookie);
        if (HAK_LIKELY(block != NULL)) {
            *head = block;
            return 1;
        }
    }
    char *base = slab_base(slab);
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    void *listed = LIST_END;
    unsigned taken = slab->free_listed == 0 ? 0 : hak_slab_take_listed(slab, want, &listed, cookie);
    unsigned words = words_of(slab), listed_count = taken, dropped = 0, w = slab->low, last = 0;
    *head = listed;
    if (taken >= want) return taken;
    unsigned marked = marked_end(slab, cookie);
    void *before = NULL;
    for (; w < words && taken < want; w++) {
        uint64_t word = load_relaxed(free_word(slab, w));
        if (word == UINT64_MAX && w * 64 >= marked && want - taken >= 64) {
            block_append(head, before, base + w * 64 * bytes, cookie);
            before = link_word(base + w * 64 * bytes, bytes, cookie);
            last = w * 64 + 63;
            taken += 64;
            word = 0;
        }
        while (word != 0 && taken < want) {
            unsigned bit = (unsigned)__builtin_ctzll(word);
            word &= word - 1;
            last = w * 64 + bit;
            void *block = base + last * bytes;
            if (HAK_UNLIKELY(last < marked && !block_is_marked(block, cookie))) {
                hak_slab_report_corrupted(slab, block);
                dropped++;
                continue;
            }
            block_append(head, before, block, cookie);
            before = block;
            taken++;
        }
        store_relaxed(free_word(slab, w), word);
        if (word != 0) break;
    }
    if (before != NULL) block_link(before, listed, cookie);
    if (taken != listed_count && last >= slab->high) slab->high = (uint16_t)(last + 1);
    slab->low = (uint8_t)(w < words ? w : words - 1);
    store_relaxed(&slab->out, (uint16_t)(slab->out + taken - listed_count + dropped));
    return taken;
}

/* Blocks that were never out have marks too from now on: any of them may be the next. */
static void mark_rest(struct slab *slab, uint64_t cookie) {
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    char *block = slab_base(slab) + slab->high * bytes;
    for (; slab->high < slab->capacity; slab->high++, block += bytes) {
        block_link(block, LIST_END, cookie);
    }
}

unsigned hak_slab_take_random(struct slab *slab, unsigned want, void **head, uint64_t cookie,
                              uint64_t *state) {
    hak_slab_settle(slab);
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    unsigned words = words_of(slab), left = slab->capacity - slab->out, taken = 0, dropped = 0;
    bool marked = HAK_CHECKS && cookie != 0 && slab->epoch == epoch && !slab->checked;
    void *last = NULL;
    *head = LIST_END;
    mark_rest(slab, cookie);
    *state = random_next(*state);
    unsigned first = random_below(*state, slab->capacity), w = first / 64;
    uint64_t here = UINT64_MAX << first % 64; /* of the first word, what lies below comes last */
    for (; taken < want && taken + dropped < left; here = UINT64_MAX) {
        uint64_t word = load_relaxed(free_word(slab, w)), rest = word & here;
        while (rest != 0 && taken < want) {
            unsigned bit = (unsigned)__builtin_ctzll(rest);
            rest &= rest - 1;
            word &= ~((uint64_t)1 << bit);
            void *block = slab_base(slab) + (w * 64 + bit) * bytes;
            if (HAK_UNLIKELY(marked && !block_is_marked(block, cookie))) {
                hak_slab_report_corrupted(slab, block);
                dropped++;
                continue;
            }
            block_append(head, last, block, cookie);
            last = block;
            taken++;
        }
        store_relaxed(free_word(slab, w), word);
        w = w + 1 == words ? 0 : w + 1;
    }
    if (last != NULL) block_link(last, LIST_END, cookie);
    store_relaxed(&slab->out, (uint16_t)(slab->out + taken + dropped));
    return taken;
}

enum slab_result hak_slab_find(const struct slab *slab, const void *block, unsigned *w,
                               uint64_t *bit) {
    unsigned c = load_relaxed(&slab->class_index);
    size_t offset = (size_t)((const char *)block - slab_base(slab));
    uint32_t index = size_class_index(c, offset);
    if (index >= load_relaxed(&slab->capacity)) return SLAB_INTERIOR;
    if (index * (size_t)hak_size_class[c].block_bytes != offset) return SLAB_INTERIOR;
    *w = index / 64;
    *bit = (uint64_t)1 << index % 64;
    return SLAB_OK;
}

bool hak_slab_has(const struct slab *slab, unsigned w, uint64_t bit) {
    /* A block that the program holds was handed out by clearing its bit, before its address came
     * to the thread that asks. */
    return ((load_relaxed(free_word(slab, w)) | load_relaxed(remote_word(slab, w))) & bit) != 0;
}

enum slab_result hak_slab_give(struct slab *slab, void *block) {
    return slab_give_one(slab_superslab(slab), slab, block);
}

unsigned hak_slab_count_free(const struct slab *slab) {
    unsigned count = load_relaxed(&slab->free_listed);
    for (unsigned w = 0; w < words_of(slab); w++) {
        count += popcount(load_relaxed(free_word(slab, w)) | load_relaxed(remote_word(slab, w)));
    }
    return count;
}

bool hak_slab_has_all(const struct slab *slab) {
    unsigned capacity = load_relaxed(&slab->capacity), words = (capacity + 63u) / 64;
    for (unsigned w = 0; w < words; w++) {
        uint64_t here = load_relaxed(free_word(slab, w)) | load_relaxed(remote_word(slab, w));
        unsigned blocks = w == words - 1 && capacity % 64 != 0 ? capacity % 64 : 64;
        if (popcount(here) != blocks) return false;
    }
    return true;
}

bool hak_slab_agrees(const struct slab *slab) {
    unsigned here = 0, words = words_of(slab), tail = slab->capacity % 64;
    for (unsigned w = 0; w < words; w++) {
        uint64_t free = load_relaxed(free_word(slab, w));
        uint64_t valid = w == words - 1 && tail != 0 ? ((uint64_t)1 << tail) - 1 : UINT64_MAX;
        if ((free & load_relaxed(remote_word(slab, w))) != 0 || (free & ~valid) != 0) return false;
        if (w < slab->low && free != 0) return false;
        here += popcount(free);
    }
    for (unsigned i = 0; i < slab->span; i++) {
        uint32_t word = hak_slab_word(slab->class_index, i) | (slab->checked ? WORD_CHECKED : 0);
        if (registry_word(slab_base(slab) + i * SLAB_BYTES) != word) return false;
        if (slab_superslab(slab)->heads[slab->index + i] != slab->index) return false;
    }
    return hak_slab_list_agrees(slab) && here + slab->free_listed + slab->out == slab->capacity;
}

void hak_slab_check_invariant(const struct slab *slab) {
    hak_assert(hak_slab_agrees(slab));
    (void)slab;
}
