#include "hakmem/tls_front/bin.h"

#include <string.h>

#include "hakmem/base/misuse.h"
#include "hakmem/shared_pool/shared_pool.h"

void hak_bin_check(enum slab_result result, void *block, unsigned c) {
    size_t bytes = hak_size_class[c].block_bytes;
    switch (result) {
    case SLAB_OK:
        return;
    case SLAB_DOUBLE_FREE:
        hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", block, bytes, ADVICE_DOUBLE_FREE);
        return;
    case SLAB_INTERIOR:
        hak_misuse(HAK_ERROR_INVALID_FREE, "invalid free", block, bytes, ADVICE_INTERIOR);
        return;
    case SLAB_CORRUPTED:
        hak_misuse(HAK_ERROR_CORRUPTED_BLOCK, "corrupted free block", block, bytes,
                   ADVICE_CORRUPTED);
        return;
    default:
        hak_misuse(HAK_ERROR_CORRUPTED_BLOCK, "corrupted free block", block, 0, ADVICE_CORRUPTED);
    }
}

static HAK_COLD void not_ours(const void *block, unsigned c) {
    hak_bin_check(SLAB_NOT_OURS, (void *)(uintptr_t)block, c);
}

/* The slab of a block in a list of class `c`; NULL: the list was written to, as was reported. */
static struct slab *listed_slab(const void *block, unsigned c) {
    struct slab *slab = slab_of(block);
    if (HAK_LIKELY(slab != NULL && load_relaxed(&slab->class_index) == c)) return slab;
    not_ours(block, c);
    return NULL;
}

/* This thread's slabs that blocks of a list were found in, by the unit: most that follow lie in the
 * same few. */
enum { SEEN = SLABS_PER_SUPERSLAB };
struct seen {
    uintptr_t unit[SEEN]; /* 0: none */
    struct slab *slab[SEEN];
    char *base[SEEN];
};

HAK_INLINE uintptr_t unit_of(const void *block) { return (uintptr_t)block >> SLAB_SHIFT; }

static void see(struct seen *seen, const void *block, struct slab *slab) {
    uintptr_t unit = unit_of(block);
    seen->unit[unit % SEEN] = unit;
    seen->slab[unit % SEEN] = slab;
    seen->base[unit % SEEN] = slab_base(slab);
}

HAK_INLINE bool is_seen(const struct seen *seen, const void *block) {
    return seen->unit[unit_of(block) % SEEN] == unit_of(block);
}

/* The block's link may be followed; false: it was written to, as was reported. */
static bool is_whole(const struct heap *heap, const void *block, unsigned c) {
    if (HAK_LIKELY(!HAK_CHECKS || block_is_marked(block, heap->lists.cookie))) return true;
    hak_bin_check(SLAB_CORRUPTED, (void *)(uintptr_t)block, c);
    return false;
}

static bool is_own(const struct heap *heap, const struct slab *slab) {
    return load_relaxed(&slab->owner) == &heap->warm.owner;
}

/* A slab with so few blocks outside would empty if lists did not hold them. */
static bool is_sparse(const struct slab *slab) {
    return slab->out != 0 && slab->out <= slab->capacity / 8u;
}

/* Of a list that is found broken the rest is dropped: it stays out for ever. */
static HAK_COLD void *return_faulty(struct heap *heap, struct slab *slab, void *head,
                                    size_t *count) {
    enum slab_result result;
    head = hak_slab_give_list(slab, head, count, heap->lists.cookie, &result);
    if (result == SLAB_OK) return head;
    hak_bin_check(result, head, slab->class_index);
    return LIST_END;
}

/* A block that stands alone becomes a bit: in the slab's list it would be looked at once more, when
 * it is no more in the cache, before the slab may end or change hands. */
HAK_INLINE void *return_alone(struct slab *slab, void *block, size_t *count) {
    enum slab_result result = slab_give_one(slab_superslab(slab), slab, block);
    if (HAK_UNLIKELY(result != SLAB_OK)) {
        hak_bin_check(result, block, slab->class_index);
        return LIST_END;
    }
    ++*count;
    return block_next(block);
}

/* The blocks at the start of the list that are of a slab of this thread's, which was seen. */
HAK_INLINE void *return_own(struct heap *heap, struct seen *seen, void *head, size_t *count) {
    uintptr_t unit = unit_of(head), at = unit % SEEN;
    struct slab *slab = seen->slab[at];
    uint64_t cookie = heap->lists.cookie;
    unsigned out_before = slab->out;
    void *rest;
    if (unit_of(block_next(head)) != unit && (!HAK_CHECKS || block_is_marked(head, cookie))) {
        rest = return_alone(slab, head, count);
    } else {
        rest = slab_give_run(slab, seen->base[at], head, count, cookie);
        if (HAK_UNLIKELY(unit_of(rest) == unit)) rest = return_faulty(heap, slab, rest, count);
    }
    if (HAK_LIKELY(warm_pool_stays(slab))) return rest;
    if (is_sparse(slab)) heap->returned.sparse += (size_t)(out_before - slab->out);
    seen->unit[at] = 0; /* it may end */
    hak_warm_pool_given(&heap->warm, slab, out_before);
    return rest;
}

/* The same for another's slab: one atomic operation for a run of blocks of one word. */
static void *return_remote(struct heap *heap, struct slab *slab, unsigned c, void *head,
                           size_t *count) {
    size_t before = *count, bytes = (size_t)load_relaxed(&slab->span) * SLAB_BYTES;
    unsigned word = 0, w;
    uint64_t bits = 0, bit;
    void *block = head;
    enum slab_result result = SLAB_OK;
    do {
        result = hak_slab_find(slab, head, &w, &bit);
        if (HAK_UNLIKELY(result != SLAB_OK)) break;
        if (bits != 0 && w != word) break;
        if (HAK_UNLIKELY(bits & bit)) {
            result = SLAB_DOUBLE_FREE;
            break;
        }
        if (HAK_UNLIKELY(HAK_CHECKS && !block_is_marked(head, heap->lists.cookie))) {
            result = SLAB_CORRUPTED;
            break;
        }
        word = w;
        bits |= bit;
        ++*count;
        head = block_next(head);
    } while ((size_t)((char *)head - slab_base(slab)) < bytes);
    if (HAK_UNLIKELY(result != SLAB_OK)) {
        hak_bin_check(result, head, c);
        head = LIST_END;
    }
    if (bits == 0) return head;
    if (HAK_UNLIKELY(hak_slab_give_remote_bits(slab, word, bits) != 0)) {
        hak_bin_check(SLAB_DOUBLE_FREE, block, c);
        return LIST_END;
    }
    if (load_relaxed(&slab->orphan)) heap->returned.sparse += *count - before;
    hak_shared_pool_freed_into(slab);
    return head;
}

bool hak_bin_return_one(struct heap *heap, unsigned c, void *block) {
    struct slab *slab = listed_slab(block, c);
    if (HAK_UNLIKELY(slab == NULL)) return true;
    if (HAK_UNLIKELY(!is_own(heap, slab))) {
        bool nobodys = load_relaxed(&slab->orphan);
        hak_bin_check(hak_slab_give_remote(block), block, c);
        hak_shared_pool_freed_into(slab);
        return nobodys;
    }
    enum slab_result result = hak_slab_give(slab, block);
    if (HAK_UNLIKELY(result != SLAB_OK)) {
        hak_bin_check(result, block, c);
        return true;
    }
    hak_warm_pool_given(&heap->warm, slab, slab->out + 1u);
    return true;
}

size_t hak_bin_return(struct heap *heap, unsigned c, void *head) {
    size_t count = 0;
    struct seen seen;
    memset(seen.unit, 0, sizeof(seen.unit));
    while (head != LIST_END) {
        if (HAK_UNLIKELY(!is_seen(&seen, head))) {
            struct slab *slab = listed_slab(head, c);
            if (HAK_UNLIKELY(slab == NULL)) break;
            if (!is_own(heap, slab)) {
                head = return_remote(heap, slab, c, head, &count);
                continue;
            }
            see(&seen, head, slab);
        }
        head = return_own(heap, &seen, head, &count);
    }
    heap->returned.blocks += count;
    return count * hak_size_class[c].block_bytes;
}

/* Blocks of nobody's slab that is nearly empty: it would empty but for them. */
static bool is_left_over(const struct slab *slab) {
    return load_relaxed(&slab->orphan) &&
           hak_slab_count_free(slab) * 8 >= load_relaxed(&slab->capacity) * 7u;
}

bool hak_bin_hand_over(struct heap *heap, unsigned c, struct chain chain) {
    struct slab *slab = listed_slab(chain.head, c);
    if (HAK_UNLIKELY(slab == NULL)) return false;
    /* The first block stands for the list: own blocks rather go back, so that slabs empty. */
    bool back =
        c < LINE_CLASSES || hak_front_threads() == 1 || is_own(heap, slab) || is_left_over(slab);
    if (!back && hak_transfer_push(c, chain)) return true;
    hak_bin_return(heap, c, chain.head);
    return false;
}

struct chain hak_bin_keep_own(struct heap *heap, unsigned c, void *head) {
    struct chain kept = {LIST_END, 0};
    void *last = NULL, *others = LIST_END, *others_last = NULL;
    uint64_t cookie = heap->lists.cookie;
    struct seen own;
    memset(own.unit, 0, sizeof(own.unit));
    bool cut = false; /* `last` is linked to one that is not kept */
    while (head != LIST_END) {
        bool is_kept = is_seen(&own, head);
        if (HAK_UNLIKELY(!is_kept)) {
            struct slab *slab = listed_slab(head, c);
            if (HAK_UNLIKELY(slab == NULL)) break;
            is_kept = is_own(heap, slab);
            if (is_kept) see(&own, head, slab);
        }
        if (HAK_UNLIKELY(!is_whole(heap, head, c))) break;
        void *next = block_next(head);
        if (!is_kept) {
            block_append(&others, others_last, head, cookie);
            others_last = head;
            cut = true;
        } else {
            if (last == NULL) {
                kept.head = head;
            } else if (cut) {
                block_link(last, head, cookie);
            }
            last = head;
            cut = false;
            kept.count++;
        }
        head = next;
    }
    if (last != NULL && (cut || head != LIST_END)) block_link(last, LIST_END, cookie);
    if (others_last != NULL) block_link(others_last, LIST_END, cookie);
    if (others != LIST_END) hak_bin_return(heap, c, others);
    return kept;
}
