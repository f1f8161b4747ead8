/* A slab's free list: what its owner gave back lies there as it came, with its links and marks, and
 * goes out again without a look at the bits. Where it must be known of each block whether it is
 * free, the list is settled: its blocks become bits. */
#include "hakmem/slab/slab.h"

#include "hakmem/base/misuse.h"
#include "hakmem/slab/bits.h"

/* A list up to so many times as long as what is wanted goes out whole, without a walk. */
enum { WHOLE = 4 };

/* What does not change from block to block is read once, and a word of bits stays in a register
 * while blocks of it come: a load would wait for the store before it. */
static void *give_bits(struct slab *slab, void *head, size_t *count, uint64_t cookie,
                       enum slab_result *result) {
    char *base = slab_base(slab);
    uint64_t reciprocal = hak_size_class[slab->class_index].reciprocal;
    size_t block_bytes = hak_size_class[slab->class_index].block_bytes, at = slab->low, low = at;
    uint64_t here = load_relaxed(free_word(slab, at)), there = load_relaxed(remote_word(slab, at));
    unsigned given = 0, capacity = slab->capacity;
    *result = SLAB_OK;
    for (; slab_has_address(slab, head); given++) {
        size_t offset = (size_t)((char *)head - base), index = (offset * reciprocal) >> 40;
        uint64_t bit = (uint64_t)1 << index % 64;
        if (HAK_UNLIKELY(index >= capacity || index * block_bytes != offset)) {
            *result = SLAB_INTERIOR;
            break;
        }
        if (index / 64 != at) {
            store_relaxed(free_word(slab, at), here);
            at = index / 64;
            here = load_relaxed(free_word(slab, at));
            there = load_relaxed(remote_word(slab, at));
            if (at < low) low = at;
        }
        if (HAK_UNLIKELY(((here | there) & bit) != 0)) {
            *result = SLAB_DOUBLE_FREE;
            break;
        }
        if (HAK_UNLIKELY(HAK_CHECKS && cookie != 0 && !block_is_marked(head, cookie))) {
            *result = SLAB_CORRUPTED;
            break;
        }
        here |= bit;
        head = block_next(head);
    }
    store_relaxed(free_word(slab, at), here);
    slab->low = (uint8_t)low;
    store_relaxed(&slab->out, (uint16_t)(slab->out - given));
    *count += given;
    return head;
}

/* Ends the list; NULL, or the block at fault, from which on the list stays out for ever. */
static void *settle(struct slab *slab, enum slab_result *result) {
    void *head = slab_free_list(slab);
    size_t count = 0;
    *result = SLAB_OK;
    if (head == LIST_END) return LIST_END;
    store_relaxed(&slab->free_listed, 0);
    head = give_bits(slab, head, &count, slab->owner->cookie, result);
    /* A list that was tampered with may not have been as long as it said. */
    unsigned out = slab->capacity;
    for (unsigned w = 0; w < words_of(slab); w++) {
        out -= popcount(load_relaxed(free_word(slab, w)));
    }
    store_relaxed(&slab->out, (uint16_t)out);
    if (*result == SLAB_OK && head != LIST_END) *result = SLAB_CORRUPTED; /* it led elsewhere */
    return head;
}

void hak_slab_settle(struct slab *slab) {
    enum slab_result result;
    void *block = settle(slab, &result);
    if (HAK_LIKELY(result == SLAB_OK)) return;
    if (result == SLAB_DOUBLE_FREE) {
        hak_slab_report_doubled(slab, block, ADVICE_DOUBLE_FREE);
    } else {
        hak_slab_report_corrupted(slab, block);
    }
}

void hak_slab_settle_forked(struct slab *slab) {
    enum slab_result result;
    (void)settle(slab, &result);
}

void *hak_slab_give_list(struct slab *slab, void *head, size_t *count, uint64_t cookie,
                         enum slab_result *result) {
    if (cookie == 0) return give_bits(slab, head, count, cookie, result);
    *result = SLAB_OK;
    if (slab_has_address(slab, head)) {
        head = slab_give_run(slab, slab_base(slab), head, count, cookie);
    }
    if (HAK_LIKELY(!slab_has_address(slab, head))) return head;
    hak_slab_settle(slab); /* a block is here twice, or was written to: the bits say which */
    return give_bits(slab, head, count, cookie, result);
}

/* The first `want` blocks. From one that was written to on, the list stays out for ever. */
static unsigned cut(struct slab *slab, unsigned want, void **head, uint64_t cookie) {
    unsigned taken = 0, left = slab->free_listed;
    void *last = NULL, *next = slab_free_list(slab);
    for (; taken < want; taken++) {
        bool whole = slab_has_address(slab, next) && (!HAK_CHECKS || block_is_marked(next, cookie));
        if (HAK_UNLIKELY(!whole)) {
            hak_slab_report_corrupted(slab, next);
            store_relaxed(&slab->out, (uint16_t)(slab->out + left));
            left = 0;
            break;
        }
        last = next;
        next = block_next(next);
    }
    *head = last == NULL ? LIST_END : slab_free_list(slab);
    if (last != NULL) block_link(last, LIST_END, cookie);
    if (left != 0) store_relaxed(&slab->out, (uint16_t)(slab->out + taken));
    slab_set_free_list(slab, next, left == 0 ? 0 : left - taken);
    return taken;
}

unsigned hak_slab_take_listed(struct slab *slab, unsigned want, void **head, uint64_t cookie) {
    unsigned count = slab->free_listed;
    if (count / WHOLE > want) return cut(slab, want, head, cookie);
    *head = slab_free_list(slab);
    store_relaxed(&slab->free_listed, 0);
    store_relaxed(&slab->out, (uint16_t)(slab->out + count));
    return count;
}

/* Of the blocks before `end`, which had their marks. */
static void mark_again(struct slab *slab, const char *end, size_t bytes) {
    for (char *block = slab_base(slab); block != end; block += bytes) {
        block_link(block, block_next(block), slab->owner->cookie);
    }
}

bool hak_slab_end_list(struct slab *slab) {
    if (!HAK_CHECKS || slab->free_listed == 0 || slab->out != 0) return slab->out == 0;
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    char *block = slab_base(slab), *end = block + slab->high * bytes;
    uint64_t cookie = slab->owner->cookie;
    for (; block != end; block += bytes) {
        if (HAK_UNLIKELY(!block_is_marked(block, cookie))) {
            /* A block of the program's, or one that was written to. */
            mark_again(slab, block, bytes);
            hak_slab_settle(slab);
            return slab->out == 0;
        }
        block_write_mark(block, 0);
    }
    slab->unmarked = true;
    return true;
}

bool hak_slab_list_agrees(const struct slab *slab) {
    const char *block = slab_free_list(slab);
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    for (unsigned n = slab->free_listed; n > 0; n--, block = block_next(block)) {
        if (!slab_has_address(slab, block)) return false;
        size_t i = (size_t)(block - slab_base(slab)) / bytes;
        if (slab_base(slab) + i * bytes != block) return false;
        if ((load_relaxed(free_word(slab, i / 64)) >> i % 64 & 1) != 0) return false;
    }
    return block == LIST_END;
}
