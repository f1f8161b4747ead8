#include "hakmem/transfer/transfer.h"

#include "hakmem/base/lock.h"

/* A stock's own cache lines: classes that are busy at once do not share them. */
static struct stock {
    struct lock lock; /* guards count and chains */
    uint32_t count;
    struct chain chains[TRANSFER_CHAINS];
} __attribute__((aligned(128))) stocks[CLASSES];

/* Chains of class `c` at most: the stock of a class of big blocks is bounded by its bytes. */
static uint32_t bound(unsigned c) {
    size_t chain_bytes = (size_t)chain_blocks(c) * hak_size_class[c].block_bytes;
    size_t n = TRANSFER_CHAINS * CHAIN_BYTES / chain_bytes;
    return n < 1 ? 1 : n > TRANSFER_CHAINS ? TRANSFER_CHAINS : (uint32_t)n;
}

bool hak_transfer_push(unsigned c, struct chain chain) {
    struct stock *s = &stocks[c];
    /* The lock's release orders this thread's last writes to the blocks before the next owner's
     * acquisition of them. */
    lock_acquire(&s->lock);
    uint32_t n = load_relaxed(&s->count);
    bool taken = n < bound(c);
    if (taken) {
        s->chains[n] = chain;
        store_relaxed(&s->count, n + 1);
    }
    lock_release(&s->lock);
    return taken;
}

struct chain hak_transfer_pop(unsigned c) {
    struct chain chain = {NULL, 0};
    struct stock *s = &stocks[c];
    /* Unlocked look: a chain missed now is found at the next refill. */
    if (load_relaxed(&s->count) == 0) return chain;
    lock_acquire(&s->lock);
    uint32_t n = load_relaxed(&s->count);
    if (n > 0) {
        chain = s->chains[n - 1];
        store_relaxed(&s->count, n - 1);
    }
    lock_release(&s->lock);
    return chain;
}

uint64_t hak_transfer_bytes(void) {
    uint64_t bytes = 0;
    for (unsigned c = 0; c < CLASSES; c++) {
        struct stock *s = &stocks[c];
        lock_acquire(&s->lock);
        for (uint32_t i = 0; i < s->count; i++) {
            bytes += (uint64_t)s->chains[i].count * hak_size_class[c].block_bytes;
        }
        lock_release(&s->lock);
    }
    return bytes;
}

void hak_transfer_lock(void) {
    for (unsigned c = 0; c < CLASSES; c++) lock_acquire(&stocks[c].lock);
}

void hak_transfer_unlock(void) {
    for (unsigned c = 0; c < CLASSES; c++) lock_release(&stocks[c].lock);
}
