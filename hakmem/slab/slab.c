#include "hakmem/slab/slab.h"

#include "hakmem/base/misuse.h"
#include "hakmem/registry/registry.h"

static uint64_t *free_bits(const struct slab *slab) {
    return slab_superslab(slab)->free_bits[slab->index];
}

static uint64_t *remote_bits(const struct slab *slab) {
    return slab_superslab(slab)->remote_bits[slab->index];
}

static unsigned words_of(const struct slab *slab) { return (slab->capacity + 63u) / 64; }

struct slab *hak_slab_of(const void *address) {
    struct superslab *ss = hak_registry_record(address);
    if (ss == NULL) return NULL;
    size_t index = ((uintptr_t)address >> SLAB_SHIFT) & (SLABS_PER_SUPERSLAB - 1);
    struct slab *slab = &ss->slabs[index];
    slab = &ss->slabs[load_relaxed(&slab->head)];
    return load_relaxed(&slab->span) == 0 ? NULL : slab;
}

void hak_slab_carve(struct slab *slab, unsigned c, struct slab_owner *owner) {
    const struct size_class *sc = &hak_size_class[c];
    struct superslab *ss = slab_superslab(slab);
    for (unsigned i = 0; i < sc->span; i++) {
        store_relaxed(&ss->slabs[slab->index + i].head, slab->index);
    }
    store_relaxed(&slab->class_index, (uint8_t)c);
    store_relaxed(&slab->capacity, sc->capacity);
    store_relaxed(&slab->out, 0);
    slab->low = 0;
    list_init(&slab->owned);
    list_init(&slab->listed);
    uint64_t *bits = free_bits(slab);
    unsigned words = words_of(slab);
    for (unsigned w = 0; w < words; w++) store_relaxed(&bits[w], UINT64_MAX);
    if (sc->capacity % 64 != 0) {
        store_relaxed(&bits[words - 1], ((uint64_t)1 << sc->capacity % 64) - 1);
    }
    /* Last: a fork may copy the slab at any of these steps, and the child counts the blocks of
     * what is in use by the bits, which until now are an earlier life's. */
    store_release(&slab->span, (uint8_t)sc->span);
    hak_slab_set_owner(slab, owner);
}

void hak_slab_uncarve(struct slab *slab) {
    hak_assert(slab->out == 0);
    hak_registry_set(slab_base(slab), slab->span, WORD_UNUSED);
    store_relaxed(&slab->span, 0);
    store_relaxed(&slab->capacity, 0);
}

void hak_slab_set_owner(struct slab *slab, struct slab_owner *owner) {
    /* Release: whoever finds the new owner finds its stack open. */
    store_release(&slab->owner, owner);
    hak_registry_set(slab_base(slab), slab->span, owner->id << 8 | slab->class_index);
}

unsigned hak_slab_take(struct slab *slab, unsigned want, void **head) {
    uint64_t *bits = free_bits(slab);
    char *base = slab_base(slab);
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    unsigned words = words_of(slab), taken = 0, w = slab->low;
    void **link = head;
    for (; w < words && taken < want; w++) {
        uint64_t word = load_relaxed(&bits[w]);
        while (word != 0 && taken < want) {
            unsigned bit = (unsigned)__builtin_ctzll(word);
            word &= word - 1;
            void *block = base + ((size_t)w * 64 + bit) * bytes;
            *link = block;
            link = (void **)block;
            taken++;
        }
        store_relaxed(&bits[w], word);
        if (word != 0) break;
    }
    *link = NULL;
    slab->low = (uint8_t)(w < words ? w : words - 1);
    store_relaxed(&slab->out, (uint16_t)(slab->out + taken));
    return taken;
}

/* The block's index, or SLAB_BLOCKS_MAX when `block` is not the start of one. */
static uint32_t index_of(const struct slab *slab, const void *block) {
    size_t offset = (size_t)((const char *)block - slab_base(slab));
    uint32_t index = size_class_index(slab->class_index, offset);
    if (index >= slab->capacity) return SLAB_BLOCKS_MAX;
    return index * (size_t)hak_size_class[slab->class_index].block_bytes == offset
               ? index
               : SLAB_BLOCKS_MAX;
}

enum slab_result hak_slab_give(struct slab *slab, void *block) {
    uint32_t index = index_of(slab, block);
    if (index == SLAB_BLOCKS_MAX) return SLAB_INTERIOR;
    unsigned w = index / 64;
    uint64_t bit = (uint64_t)1 << index % 64;
    uint64_t *word = &free_bits(slab)[w];
    if ((load_relaxed(word) | load_relaxed(&remote_bits(slab)[w])) & bit) return SLAB_DOUBLE_FREE;
    store_relaxed(word, load_relaxed(word) | bit);
    if (w < slab->low) slab->low = (uint8_t)w;
    store_relaxed(&slab->out, (uint16_t)(slab->out - 1));
    return SLAB_OK;
}

enum slab_result hak_slab_give_remote(void *block) {
    struct slab *slab = hak_slab_of(block);
    if (slab == NULL) return SLAB_NOT_OURS;
    uint32_t index = index_of(slab, block);
    if (index == SLAB_BLOCKS_MAX) return SLAB_INTERIOR;
    uint64_t bit = (uint64_t)1 << index % 64;
    /* A free bit is only ever cleared by the owner for a block it hands out: seen set, the block
     * is not the program's to free. Seen clear, it may be stale, and the owner's collection
     * finds the double bit. */
    if (load_relaxed(&free_bits(slab)[index / 64]) & bit) return SLAB_DOUBLE_FREE;
    /* Release: this thread's writes to the block come before the owner's next use of it, which
     * follows the acquiring exchange in hak_slab_collect. */
    if (fetch_or_acq_rel(&remote_bits(slab)[index / 64], bit) & bit) return SLAB_DOUBLE_FREE;
    /* The bit is set before the flag is tested; whoever pops the slab clears the flag before the
     * bits are taken: one of the two sees the other, as both read-modify-write `pending`. */
    if (exchange_acq_rel(&slab->pending, 1u) == 0) hak_slab_push_pending(slab);
    return SLAB_OK;
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
    uint64_t *remote = remote_bits(slab), any = 0;
    for (unsigned w = 0; w < BITMAP_WORDS; w++) any |= load_relaxed(&remote[w]);
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

/* A block came back twice at once, to the owner and from another thread. */
static HAK_COLD void report_doubled(const struct slab *slab, unsigned w, uint64_t bits) {
    size_t bytes = hak_size_class[slab->class_index].block_bytes;
    size_t index = (size_t)w * 64 + (unsigned)__builtin_ctzll(bits);
    hak_misuse("double free", slab_base(slab) + index * bytes, bytes,
               "two threads freed the block; look for two owners of one pointer");
}

unsigned hak_slab_collect(struct slab *slab) {
    uint64_t *local = free_bits(slab), *remote = remote_bits(slab);
    unsigned words = words_of(slab), came = 0;
    for (unsigned w = 0; w < words; w++) {
        if (load_relaxed(&remote[w]) == 0) continue;
        uint64_t bits = exchange_acq_rel(&remote[w], (uint64_t)0);
        uint64_t here = load_relaxed(&local[w]);
        if (HAK_UNLIKELY((here & bits) != 0)) report_doubled(slab, w, here & bits);
        store_relaxed(&local[w], here | bits);
        came += (unsigned)__builtin_popcountll(bits);
        if (w < slab->low) slab->low = (uint8_t)w;
    }
    store_relaxed(&slab->out, (uint16_t)(slab->out - came));
    return came;
}

unsigned hak_slab_count_free(const struct slab *slab) {
    unsigned count = 0;
    for (unsigned w = 0; w < words_of(slab); w++) {
        count += (unsigned)__builtin_popcountll(load_relaxed(&free_bits(slab)[w]) |
                                                load_relaxed(&remote_bits(slab)[w]));
    }
    return count;
}

void hak_slab_check_invariant(const struct slab *slab) {
    unsigned here = 0;
    for (unsigned w = 0; w < words_of(slab); w++) {
        hak_assert((load_relaxed(&free_bits(slab)[w]) & load_relaxed(&remote_bits(slab)[w])) == 0);
        here += (unsigned)__builtin_popcountll(load_relaxed(&free_bits(slab)[w]));
        hak_assert(w >= slab->low || load_relaxed(&free_bits(slab)[w]) == 0);
    }
    hak_assert(here + slab->out == slab->capacity);
    (void)here;
}
