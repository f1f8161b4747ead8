#include "hakmem/guard/quarantine.h"

#include "hakmem/base/lock.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"

struct waiting {
    void *block;
    size_t bytes;
};

static struct {
    struct lock lock;     /* guards everything here; only blocks' makers are asked for under it */
    struct waiting *ring; /* GUARD_WAITING of them */
    size_t first, count;
    size_t bytes; /* read without the lock too */
} quarantine;

size_t hak_quarantine_bound(void) { return hak_options.quarantine_kb * KiB; }
size_t hak_quarantine_bytes(void) { return load_relaxed(&quarantine.bytes); }

bool hak_quarantine_takes(size_t bytes) {
    return bytes <= hak_quarantine_bound() / GUARD_WAITING_SHARE;
}

/* The oldest go while more wait than `keep` bytes, or the ring is nearly full; lock held. */
static unsigned take(void *out[QUARANTINE_BATCH], size_t keep) {
    unsigned taken = 0;
    size_t bytes = quarantine.bytes;
    while (taken < QUARANTINE_BATCH && quarantine.count != 0 &&
           (bytes > keep || quarantine.count > GUARD_WAITING - 2 * QUARANTINE_BATCH)) {
        const struct waiting *oldest = &quarantine.ring[quarantine.first];
        out[taken++] = oldest->block;
        bytes -= oldest->bytes;
        quarantine.first = (quarantine.first + 1) % GUARD_WAITING;
        quarantine.count--;
    }
    store_relaxed(&quarantine.bytes, bytes);
    return taken;
}

bool hak_quarantine_add(void *block, size_t bytes, void *out[QUARANTINE_BATCH], size_t keep,
                        unsigned *taken) {
    lock_acquire(&quarantine.lock);
    if (quarantine.ring == NULL) {
        quarantine.ring = hak_os_meta_alloc(GUARD_WAITING * sizeof(*quarantine.ring));
    }
    bool fits = quarantine.ring != NULL && quarantine.count < GUARD_WAITING;
    if (fits) {
        size_t at = (quarantine.first + quarantine.count++) % GUARD_WAITING;
        quarantine.ring[at] = (struct waiting){block, bytes};
        store_relaxed(&quarantine.bytes, quarantine.bytes + bytes);
    }
    *taken = take(out, keep);
    lock_release(&quarantine.lock);
    return fits;
}

unsigned hak_quarantine_take(void *out[QUARANTINE_BATCH], size_t keep) {
    lock_acquire(&quarantine.lock);
    unsigned taken = take(out, keep);
    lock_release(&quarantine.lock);
    return taken;
}

void hak_quarantine_lock(void) { lock_acquire(&quarantine.lock); }
void hak_quarantine_unlock(void) { lock_release(&quarantine.lock); }
