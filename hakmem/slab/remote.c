/* Blocks that any thread frees into a slab: their remote bits, and the note to its owner, who takes
 * the bits in. */
#include "hakmem/slab/bits.h"
#include "hakmem/slab/slab.h"

uint64_t hak_slab_give_remote_bits(struct slab *slab, unsigned w, uint64_t bits) {
    /* A free bit is only ever cleared by the owner for a block it hands out: seen set, the block
     * is not the program's to free. Seen clear, it may be stale, and the owner's collection
     * finds the double bit. */
    uint64_t doubled = load_relaxed(free_word(slab, w)) & bits;
    if (HAK_UNLIKELY(doubled != 0)) return doubled;
    /* Release: this thread's writes to the blocks come before the owner's next use of them, which
     * follows the acquiring exchange in hak_slab_collect. */
    doubled = fetch_or_acq_rel(remote_word(slab, w), bits) & bits;
    /* The bits are set before the flag is tested; whoever pops the slab clears the flag before the
     * bits are taken: one of the two sees the other, as both read-modify-write `pending`. */
    if (exchange_acq_rel(&slab->pending, 1u) == 0) hak_slab_push_pending(slab);
    return doubled;
}

enum slab_result hak_slab_give_remote(void *block) {
    struct slab *slab = hak_slab_of(block);
    unsigned w;
    uint64_t bit;
    if (slab == NULL) return SLAB_NOT_OURS;
    if (hak_slab_find(slab, block, &w, &bit) != SLAB_OK) return SLAB_INTERIOR;
    return hak_slab_give_remote_bits(slab, w, bit) == 0 ? SLAB_OK : SLAB_DOUBLE_FREE;
}

void hak_slab_push_pending(struct slab *slab) {
    for (;;) {
        /* Acquire pairs with hak_slab_set_owner. A stale owner has closed its stack, or hands
         * the slab on when it finds that it owns it no more. */
        struct slab_owner *owner = load_acquire(&slab->owner);
        struct slab *top = load_acquire(&owner->pending);
        while (top != PENDING_CLOSED) {
            store_relaxed(&slab->pending_next, top);
            /* Release: the link is seen by whoever takes the stack. */
            if (cas_acq_rel(&owner->pending, &top, slab)) return;
        }
    }
}

void hak_slab_clear_pending(struct slab *slab) { exchange_acq_rel(&slab->pending, 0u); }

void hak_slab_forward_pending(struct slab *slab) {
    if (load_relaxed(&slab->span) != 0) {
        hak_slab_push_pending(slab);
        return;
    }
    /* Not in use: the note was about an earlier life. The flag goes first and the bits are read
     * after it, so that a free into a new life that found the flag set is not lost. */
    hak_slab_clear_pending(slab);
    uint64_t any = 0;
    for (unsigned w = 0; w < BITMAP_WORDS; w++) any |= load_relaxed(remote_word(slab, w));
    if (any != 0 && exchange_acq_rel(&slab->pending, 1u) == 0) hak_slab_push_pending(slab);
}

struct slab *hak_slab_take_pending(struct slab_owner *owner) {
    if (load_relaxed(&owner->pending) == NULL) return NULL;
    /* Push adds and this takes all: no slab is ever popped singly, so there is no ABA. */
    return exchange_acq_rel(&owner->pending, NULL);
}

struct slab *hak_slab_close_pending(struct slab_owner *owner) {
    return exchange_acq_rel(&owner->pending, PENDING_CLOSED);
}

unsigned hak_slab_collect(struct slab *slab) {
    unsigned words = words_of(slab), came = 0;
    for (unsigned w = 0; w < words; w++) {
        uint64_t *local = free_word(slab, w), *remote = remote_word(slab, w);
        if (load_relaxed(remote) == 0) continue;
        uint64_t bits = exchange_acq_rel(remote, (uint64_t)0);
        uint64_t here = load_relaxed(local);
        if (HAK_UNLIKELY((here & bits) != 0)) {
            size_t index = w * 64 + (unsigned)__builtin_ctzll(here & bits);
            hak_slab_report_doubled(
                slab, slab_base(slab) + index * hak_size_class[slab->class_index].block_bytes,
                "two threads freed the block; look for two owners of one pointer");
        }
        store_relaxed(local, here | bits);
        came += popcount(bits & ~here);
        if (w < slab->low) slab->low = (uint8_t)w;
    }
    bool doubled = came > slab->out;
    store_relaxed(&slab->out, (uint16_t)(slab->out - came));
    if (HAK_UNLIKELY(doubled)) hak_slab_settle(slab); /* one of the free list came once more */
    return came;
}
