#include "hakmem/guard/quarantine.h"

#include <string.h>

#include "hakmem/base/lock.h"
#include "hakmem/base/random.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"

static struct {
    struct lock lock;     /* guards everything here; only blocks' makers are asked for under it */
    struct waiting *ring; /* GUARD_WAITING of them */
    size_t first, count;
    size_t bytes;    /* in the ring; read without the lock too */
    uint64_t random; /* what the next shuffle begins with */
    struct quarantine_batch *all, *free;
} quarantine;

_Static_assert(sizeof(struct quarantine_batch) == 1024, "a batch lies in one OS page");

__thread struct quarantine_batch *hak_quarantine_mine;
/* Of a thread that has ended: full for ever. */
static struct quarantine_batch ended = {.count = QUARANTINE_BATCH};

size_t hak_quarantine_bound(void) { return hak_options.quarantine_kb * KiB; }

size_t hak_quarantine_bytes(void) {
    size_t bytes = load_relaxed(&quarantine.bytes);
    struct quarantine_batch *batch = load_acquire(&quarantine.all);
    for (; batch != NULL; batch = batch->next_all) bytes += load_relaxed(&batch->bytes);
    return bytes;
}

bool hak_quarantine_takes(size_t bytes) {
    return bytes <= hak_quarantine_bound() / GUARD_WAITING_SHARE;
}

/* A recycled batch, or a new one; lock held. NULL: no memory. */
static struct quarantine_batch *acquire_batch(void) {
    struct quarantine_batch *batch = quarantine.free;
    if (batch != NULL) {
        quarantine.free = batch->next_free;
        return batch;
    }
    /* Twice as much, as metadata lies at multiples of 64 bytes. */
    void *room = hak_os_meta_alloc(2 * sizeof(*batch));
    if (room == NULL) return NULL;
    batch = (struct quarantine_batch *)align_up((uintptr_t)room, sizeof(*batch));
    size_t bound = hak_quarantine_bound() / GUARD_WAITING_SHARE;
    batch->bound = (uint32_t)(bound < GUARD_BATCH_BYTES ? bound : GUARD_BATCH_BYTES);
    batch->next_all = quarantine.all;
    store_release(&quarantine.all, batch);
    return batch;
}

void hak_quarantine_start(void) {
    if (HAK_LIKELY(hak_quarantine_mine != NULL)) return;
    lock_acquire(&quarantine.lock);
    hak_quarantine_mine = acquire_batch();
    lock_release(&quarantine.lock);
}

/* At the ring's end; lock held, and there is room. */
static void push(const struct waiting *from, size_t count, size_t bytes) {
    size_t at = (quarantine.first + quarantine.count) % GUARD_WAITING;
    size_t to_end = GUARD_WAITING - at, some = count < to_end ? count : to_end;
    memcpy(&quarantine.ring[at], from, some * sizeof(*from));
    memcpy(quarantine.ring, from + some, (count - some) * sizeof(*from));
    quarantine.count += count;
    store_relaxed(&quarantine.bytes, quarantine.bytes + bytes);
}

static void empty_batch(struct quarantine_batch *batch) {
    push(batch->of, batch->count, batch->bytes);
    store_relaxed(&batch->count, 0u);
    store_relaxed(&batch->bytes, (size_t)0);
}

/* The oldest go while more wait than `keep` bytes, or the ring is nearly full; lock held. */
static void take(struct quarantine_turn *turn, size_t keep) {
    const size_t most = GUARD_WAITING - 2 * QUARANTINE_OUTS;
    size_t bytes = quarantine.bytes, count = quarantine.count, first = quarantine.first;
    unsigned outs = 0;
    for (; outs < QUARANTINE_OUTS && count != 0 && (bytes > keep || count > most); count--) {
        const struct waiting *oldest = &quarantine.ring[first];
        turn->out[outs++] = *oldest;
        bytes -= oldest->bytes;
        first = (first + 1) % GUARD_WAITING;
    }
    turn->outs = outs;
    quarantine.first = first;
    quarantine.count = count;
    store_relaxed(&quarantine.bytes, bytes);
}

/* Lock held. */
static void shuffle(struct quarantine_turn *turn) {
    uint64_t random = quarantine.random;
    for (unsigned i = turn->outs; i > 1; i--) {
        /* One state is good for two places. */
        random = i % 2 == 0 ? random_next(random) : random << 32 | random >> 32;
        unsigned other = random_below(random, i);
        struct waiting w = turn->out[other];
        turn->out[other] = turn->out[i - 1];
        turn->out[i - 1] = w;
    }
    quarantine.random = random;
}

bool hak_quarantine_turn(struct quarantine_turn *turn, const struct waiting *one, size_t keep) {
    struct quarantine_batch *mine = hak_quarantine_mine;
    turn->outs = 0;
    lock_acquire(&quarantine.lock);
    bool batched = mine != NULL && mine != &ended && mine->count != 0;
    if (quarantine.ring == NULL && (batched || one != NULL)) {
        quarantine.ring = hak_os_meta_alloc(GUARD_WAITING * sizeof(*quarantine.ring));
        quarantine.random = hak_os_random();
    }
    bool fits = quarantine.ring != NULL;
    if (fits) {
        if (batched) empty_batch(mine);
        if (one != NULL) push(one, 1, one->bytes);
        take(turn, keep);
        shuffle(turn);
    }
    lock_release(&quarantine.lock);
    return fits;
}

static void put_free(struct quarantine_batch *batch) {
    batch->next_free = quarantine.free;
    quarantine.free = batch;
}

void hak_quarantine_end(void) {
    struct quarantine_batch *mine = hak_quarantine_mine;
    hak_quarantine_mine = &ended;
    if (mine == NULL || mine == &ended) return;
    lock_acquire(&quarantine.lock);
    put_free(mine);
    lock_release(&quarantine.lock);
}

void hak_quarantine_lock(void) { lock_acquire(&quarantine.lock); }
void hak_quarantine_unlock(void) { lock_release(&quarantine.lock); }

bool hak_quarantine_fork_child(struct quarantine_turn *turn) {
    turn->outs = 0;
    struct quarantine_batch *batch = quarantine.all;
    while (batch != NULL && (batch == hak_quarantine_mine || batch->count == 0)) {
        batch = batch->next_all;
    }
    if (batch == NULL) {
        quarantine.free = NULL;
        for (batch = quarantine.all; batch != NULL; batch = batch->next_all) {
            batch->bytes = batch == hak_quarantine_mine ? batch->bytes : 0;
            if (batch != hak_quarantine_mine) put_free(batch);
        }
        return false;
    }
    for (; turn->outs < batch->count; turn->outs++) turn->out[turn->outs] = batch->of[turn->outs];
    batch->count = 0;
    batch->bytes = 0;
    return true;
}
