#include "hakmem/guard/trailer.h"

#include <string.h>

#include "hakmem/config/config.h"
#include "hakmem/os_backend/os_backend.h"

#define ASKED_BITS 48
#define HAS_PLACES ((uint64_t)1 << 60)

struct trailer {
    uint64_t asked_and_kind; /* bytes, the kind from bit ASKED_BITS on, HAS_PLACES */
    uint64_t seal;
};

/* Both in front of the trailer. */
struct both_places {
    struct places allocated, freed;
};

_Static_assert(sizeof(struct both_places) % 16 == 0 && sizeof(struct trailer) == 16,
               "a trailer lies at a multiple of 16");

static uint64_t secret;

static uint64_t secret_now(void) {
    uint64_t known = load_relaxed(&secret);
    if (HAK_LIKELY(known != 0)) return known;
    uint64_t drawn = hak_os_random();
    return cas_acq_rel(&secret, &known, drawn) ? drawn : known;
}

static uint64_t seal_of(const struct trailer *t, uint64_t asked_and_kind,
                        enum trailer_state state) {
    uint64_t n = (asked_and_kind ^ secret_now()) * 0x9e3779b97f4a7c15u;
    n ^= n >> 29;
    n = (n + (uintptr_t)t + state) * 0xbf58476d1ce4e5b9u;
    return n ^ n >> 32;
}

static struct trailer *trailer_of(const char *block, size_t bytes) {
    return (struct trailer *)(uintptr_t)(block + bytes - sizeof(struct trailer));
}

static char *slack_end(const struct guarded_block *g) {
    char *end = g->start + g->bytes - sizeof(struct trailer);
    return g->allocated == NULL ? end : end - sizeof(struct both_places);
}

size_t hak_trailer_bytes(bool with_places) {
    /* Nothing covers the places but slack in front of them. */
    return sizeof(struct trailer) + (with_places ? sizeof(struct both_places) + BLOCK_MIN : 0);
}

/* Of the slack, what is watched: a large block's may be megabytes. */
static size_t watched(const struct guarded_block *g) {
    size_t slack = (size_t)(slack_end(g) - (g->start + g->asked));
    return slack < GUARD_SLACK_BYTES ? slack : GUARD_SLACK_BYTES;
}

static void find_places(struct guarded_block *g, uint64_t asked_and_kind) {
    g->allocated = g->freed = NULL;
    if ((asked_and_kind & HAS_PLACES) == 0) return;
    struct both_places *both = (struct both_places *)(void *)trailer_of(g->start, g->bytes) - 1;
    g->allocated = &both->allocated;
    g->freed = &both->freed;
}

void hak_trailer_write(void *block, size_t bytes, size_t asked, enum block_kind kind,
                       const struct places *allocated) {
    struct trailer *t = trailer_of(block, bytes);
    uint64_t word = asked | (uint64_t)kind << ASKED_BITS | (allocated != NULL ? HAS_PLACES : 0);
    struct guarded_block g = {.start = block, .bytes = bytes, .asked = asked, .kind = kind};
    find_places(&g, word);
    if (g.allocated != NULL) {
        *g.allocated = *allocated;
        memset(g.freed, 0, sizeof(*g.freed));
    }
    memset(g.start + asked, GUARD_CANARY, watched(&g));
    t->asked_and_kind = word;
    store_relaxed(&t->seal, seal_of(t, word, TRAILER_LIVE));
}

enum trailer_state hak_trailer_read(void *block, size_t bytes, struct guarded_block *out) {
    const struct trailer *t = trailer_of(block, bytes);
    uint64_t word = t->asked_and_kind, seal = load_relaxed(&t->seal);
    out->start = block;
    out->bytes = bytes;
    enum trailer_state state = seal == seal_of(t, word, TRAILER_LIVE)      ? TRAILER_LIVE
                               : seal == seal_of(t, word, TRAILER_WAITING) ? TRAILER_WAITING
                                                                           : TRAILER_DAMAGED;
    if (state == TRAILER_DAMAGED) return state;
    out->asked = word & (((uint64_t)1 << ASKED_BITS) - 1);
    out->kind = (enum block_kind)(word >> ASKED_BITS & 3);
    find_places(out, word);
    return state;
}

bool hak_trailer_free(const struct guarded_block *g, bool fill) {
    struct trailer *t = trailer_of(g->start, g->bytes);
    uint64_t live = seal_of(t, t->asked_and_kind, TRAILER_LIVE);
    if (!cas_acq_rel(&t->seal, &live, seal_of(t, t->asked_and_kind, TRAILER_WAITING))) return false;
    if (fill) memset(g->start, GUARD_FREED, (size_t)(slack_end(g) - g->start));
    return true;
}

/* The first of `bytes` (from a multiple of 8 on, or fewer than 8) that is not `value`. */
static const char *first_other(const char *from, size_t bytes, unsigned char value) {
    const char *end = from + bytes;
    for (; from != end && ((uintptr_t)from & 7) != 0; from++) {
        if ((unsigned char)*from != value) return from;
    }
    uint64_t wanted = value * 0x0101010101010101u;
    for (; end - from >= 64; from += 64) {
        uint64_t words[8], other = 0;
        memcpy(words, from, sizeof(words));
        for (unsigned i = 0; i < 8; i++) other |= words[i] ^ wanted;
        if (other != 0) break;
    }
    for (; end - from >= 8; from += 8) {
        uint64_t word;
        memcpy(&word, from, sizeof(word));
        if (word != wanted) break;
    }
    for (; from != end; from++) {
        if ((unsigned char)*from != value) return from;
    }
    return NULL;
}

const char *hak_trailer_overflow(const struct guarded_block *g) {
    return first_other(g->start + g->asked, watched(g), GUARD_CANARY);
}

const char *hak_trailer_late_write(const struct guarded_block *g) {
    return first_other(g->start, (size_t)(slack_end(g) - g->start), GUARD_FREED);
}
