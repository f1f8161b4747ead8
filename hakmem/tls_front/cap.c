#include "hakmem/tls_front/cap.h"

#include <string.h>

#include "hakmem/config/options.h"
#include "hakmem/tls_front/bin.h"

/* Of all threads. Relaxed: they are counts, and order nothing. */
static uint64_t charged;
static uint32_t pressure; /* grows at each refusal */

uint64_t hak_caps_charged(void) { return load_relaxed(&charged); }

static bool charge(struct caps *caps, size_t bytes) {
    uint64_t bound = hak_options.front_max_mb * MiB;
    if (fetch_add_relaxed(&charged, bytes) + bytes > bound) {
        fetch_sub_relaxed(&charged, bytes);
        fetch_add_relaxed(&pressure, 1u);
        return false;
    }
    caps->charged += bytes;
    return true;
}

static void uncharge(struct caps *caps, size_t bytes) {
    fetch_sub_relaxed(&charged, bytes);
    caps->charged -= bytes;
}

static uint16_t max_cap(unsigned c) {
    size_t bytes = c < SMALL_CLASSES ? FRONT_CLASS_BYTES : FRONT_MEDIUM_BYTES;
    size_t n = bytes / hak_size_class[c].block_bytes;
    return (uint16_t)(n < 1 ? 1 : n > FRONT_CLASS_BLOCKS ? FRONT_CLASS_BLOCKS : n);
}

static uint32_t warm_cap(const struct caps *caps, unsigned c) {
    uint32_t n = caps->max[c] / FRONT_WARM_DIVISOR;
    return n < 1 ? 1 : n;
}

/* Bytes of a small class's cap that are charged. Medium lists are bounded together. */
static size_t charged_bytes(unsigned c, uint32_t cap) {
    size_t bytes = (size_t)cap * hak_size_class[c].block_bytes;
    if (c >= SMALL_CLASSES || bytes <= FRONT_FLOOR_BYTES) return 0;
    return bytes - FRONT_FLOOR_BYTES;
}

static bool set_cap(struct caps *caps, unsigned c, uint32_t cap) {
    uint32_t old = caps->cap[c];
    size_t had = charged_bytes(c, old), wants = charged_bytes(c, cap);
    size_t small = caps->small_bytes;
    if (c < SMALL_CLASSES) {
        size_t bytes = hak_size_class[c].block_bytes;
        small = small - old * bytes + cap * bytes;
        if (cap > old && small > FRONT_THREAD_BYTES) return false;
    }
    if (wants > had && !charge(caps, wants - had)) return false;
    if (wants < had) uncharge(caps, had - wants);
    caps->small_bytes = small;
    caps->cap[c] = (uint16_t)cap;
    return true;
}

void hak_caps_start(struct caps *caps) {
    memset(caps, 0, sizeof(*caps));
    for (unsigned c = 0; c < CLASSES; c++) caps->max[c] = max_cap(c);
    memset(caps->rested, FRONT_REST_SWEEPS, sizeof(caps->rested));
    caps->until_sweep = FRONT_SWEEP_CALLS;
    caps->medium_bytes = FRONT_MEDIUM_FLOOR_BYTES;
}

void hak_caps_end(struct caps *caps) { uncharge(caps, caps->charged); }

static void doubled(struct caps *caps, unsigned c, uint32_t most) {
    uint32_t cap = caps->cap[c] == 0 ? 1 : caps->cap[c] * 2;
    set_cap(caps, c, cap > most ? most : cap);
}

bool hak_cap_called(struct caps *caps, unsigned c) {
    caps->rested[c] = 0;
    if (caps->calls[c] < FRONT_COLD_CALLS) {
        caps->calls[c]++;
    } else if (caps->cap[c] < warm_cap(caps, c)) {
        doubled(caps, c, warm_cap(caps, c));
    }
    if (--caps->until_sweep != 0) return false;
    caps->until_sweep = FRONT_SWEEP_CALLS;
    return true;
}

void hak_cap_grow(struct caps *caps, unsigned c) {
    if (caps->cap[c] < caps->max[c]) doubled(caps, c, caps->max[c]);
}

void hak_cap_cool(struct caps *caps, unsigned c) {
    set_cap(caps, c, 0);
    caps->calls[c] = 0;
    caps->overflowed[c] = false;
    caps->rested[c] = FRONT_REST_SWEEPS;
}

bool hak_cap_medium(struct caps *caps, size_t bytes) {
    size_t bound = caps->medium_bytes * 2;
    if (bound < bytes) bound = bytes;
    if (bound > FRONT_MEDIUM_THREAD_BYTES || !charge(caps, bound - caps->medium_bytes)) {
        return false;
    }
    caps->medium_bytes = bound;
    return true;
}

bool hak_cap_rests(struct caps *caps, unsigned c, uint32_t seen) {
    if (caps->rested[c] == FRONT_REST_SWEEPS) return false;
    if (caps->seen[c] != seen) {
        caps->seen[c] = seen;
        caps->rested[c] = 0;
        return false;
    }
    return ++caps->rested[c] == FRONT_REST_SWEEPS;
}

void hak_caps_yield(struct caps *caps, uint64_t threads) {
    uint32_t now = load_relaxed(&pressure);
    if (now == caps->pressure) return;
    caps->pressure = now;
    if (caps->charged <= hak_options.front_max_mb * MiB / (threads < 1 ? 1 : threads)) return;
    for (unsigned c = 0; c < SMALL_CLASSES; c++) {
        if (charged_bytes(c, caps->cap[c]) != 0) set_cap(caps, c, caps->cap[c] / 2);
    }
    size_t medium = caps->medium_bytes / 2;
    if (medium < FRONT_MEDIUM_FLOOR_BYTES) return;
    uncharge(caps, caps->medium_bytes - medium);
    caps->medium_bytes = medium;
}
