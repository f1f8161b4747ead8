#include "hakmem/transfer/transfer.h"

#include "hakmem/base/lock.h"

/* A depot's own cache lines: classes that are busy at once do not share them. */
static struct depot {
    struct lock lock; /* guards all of it */
    uint32_t count;   /* read without the lock too */
    uint32_t idle;    /* chains, the oldest, that nobody wanted since they were last counted */
    uint64_t bytes;
    struct chain chains[TRANSFER_CHAINS];
} __attribute__((aligned(128))) depots[CLASSES];

static uint64_t total; /* bytes of all depots; relaxed: it orders nothing */

static uint64_t bytes_of(unsigned c, struct chain chain) {
    return (uint64_t)chain.count * hak_size_class[c].block_bytes;
}

bool hak_transfer_push(unsigned c, struct chain chain) {
    struct depot *s = &depots[c];
    uint64_t bytes = bytes_of(c, chain);
    if (fetch_add_relaxed(&total, bytes) + bytes > TRANSFER_BYTES) {
        fetch_sub_relaxed(&total, bytes);
        return false;
    }
    /* The lock's release orders this thread's last writes to the blocks before the next owner's
     * acquisition of them. */
    lock_acquire(&s->lock);
    uint32_t n = load_relaxed(&s->count);
    bool taken = n == 0 || (n < TRANSFER_CHAINS && s->bytes + bytes <= TRANSFER_CLASS_BYTES);
    if (taken) {
        s->chains[n] = chain;
        s->bytes += bytes;
        store_relaxed(&s->count, n + 1);
    }
    lock_release(&s->lock);
    if (!taken) fetch_sub_relaxed(&total, bytes);
    return taken;
}

struct chain hak_transfer_pop(unsigned c) {
    struct chain chain = {NULL, 0};
    struct depot *s = &depots[c];
    /* Unlocked look: a chain missed now is found at the next refill. */
    if (load_relaxed(&s->count) == 0) return chain;
    lock_acquire(&s->lock);
    uint32_t n = load_relaxed(&s->count);
    if (n > 0) {
        chain = s->chains[n - 1];
        s->bytes -= bytes_of(c, chain);
        store_relaxed(&s->count, n - 1);
        if (s->idle > n - 1) s->idle = n - 1;
    }
    lock_release(&s->lock);
    if (chain.head != NULL) fetch_sub_relaxed(&total, bytes_of(c, chain));
    return chain;
}

struct chain hak_transfer_pop_idle(unsigned c) {
    struct chain chain = {NULL, 0};
    struct depot *s = &depots[c];
    if (load_relaxed(&s->count) == 0) return chain;
    lock_acquire(&s->lock);
    uint32_t n = load_relaxed(&s->count);
    if (s->idle > 0) {
        chain = s->chains[0];
        for (uint32_t i = 1; i < n; i++) s->chains[i - 1] = s->chains[i];
        s->bytes -= bytes_of(c, chain);
        store_relaxed(&s->count, n - 1);
        s->idle--;
    } else {
        s->idle = n;
    }
    lock_release(&s->lock);
    if (chain.head != NULL) fetch_sub_relaxed(&total, bytes_of(c, chain));
    return chain;
}

uint64_t hak_transfer_bytes(void) { return load_relaxed(&total); }

void hak_transfer_recount(void) {
    uint64_t bytes = 0;
    for (unsigned c = 0; c < CLASSES; c++) bytes += depots[c].bytes;
    store_relaxed(&total, bytes);
}

void hak_transfer_lock(void) {
    for (unsigned c = 0; c < CLASSES; c++) lock_acquire(&depots[c].lock);
}

void hak_transfer_unlock(void) {
    for (unsigned c = 0; c < CLASSES; c++) lock_release(&depots[c].lock);
}
