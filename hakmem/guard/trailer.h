/* A guarded block: what was asked for at its start, and the rest of its class for us.
 *
 *     | asked for | slack: canary bytes | places (debug) | trailer |
 *     ^ block                                                      ^ block + bytes
 *
 * States, in the trailer's seal: live --free--> waiting --out of the quarantine--> left.
 *
 * The seal covers the address, the size and the kind. Two threads that free one block at once may
 * both find it live; then it waits twice, and is told of when it would leave again. */
#ifndef HAKMEM_GUARD_TRAILER_H_
#define HAKMEM_GUARD_TRAILER_H_

#include <string.h>

#include "hakmem/config/config.h"
#include "hakmem/guard/guard.h"
#include "hakmem/guard/places.h"

enum trailer_state { TRAILER_LIVE, TRAILER_WAITING, TRAILER_LEFT, TRAILER_DAMAGED };

struct trailer {
    uint64_t word; /* bytes asked for, the kind from bit TRAILER_KIND on, TRAILER_HAS_PLACES */
    uint64_t seal;
};

#define TRAILER_KIND 48
#define TRAILER_HAS_PLACES ((uint64_t)1 << 60)

/* Both in front of the trailer. */
struct both_places {
    struct places allocated, freed;
};

struct guarded_block {
    char *start;
    size_t bytes; /* to the trailer's end */
    size_t asked; /* what the program asked for */
    enum block_kind kind;
    struct places *allocated, *freed; /* in the block; NULL: it was not asked to keep any */
    /* What is asked for ends in the slack's last so many bytes, a multiple of 16: it is of that
     * class for no other reason. 0: not known. */
    size_t window;
    bool large;
};

#ifdef __cplusplus
extern "C" {
#endif
/* Of the process; 0: not drawn yet. */
extern uint64_t hak_trailer_secret;
void hak_trailer_draw_secret(void);
/* The first byte of the slack that was written to; NULL: none. */
const char *hak_trailer_overflow(const struct guarded_block *g);
/* The first byte of a block that was filled with `fill` and was written to since; NULL: none. */
const char *hak_trailer_late_write(const struct guarded_block *g, unsigned char fill);
#ifdef __cplusplus
}
#endif

/* Bytes that a block needs beyond those asked for. Nothing covers the places but slack in front of
 * them. */
HAK_INLINE size_t trailer_bytes(bool with_places) {
    return sizeof(struct trailer) + (with_places ? sizeof(struct both_places) + BLOCK_MIN : 0);
}

HAK_INLINE struct trailer *trailer_of(const void *block, size_t bytes) {
    return (struct trailer *)((uintptr_t)block + bytes - sizeof(struct trailer));
}

/* Of a live block. One multiplication by a secret: whatever changes the word or the seal, or copies
 * both to another place, leaves two that do not belong together. */
HAK_INLINE uint64_t trailer_seal(const struct trailer *t, uint64_t word) {
    uint64_t secret = load_relaxed(&hak_trailer_secret);
    return (word ^ secret) * (secret | 1) + (uintptr_t)t;
}

/* What the seal of a block in another state differs by. */
#define SEAL_WAITING UINT64_MAX
#define SEAL_LEFT 0x5555555555555555u

HAK_INLINE enum trailer_state trailer_state(const struct trailer *t, uint64_t word) {
    uint64_t differs = load_relaxed(&t->seal) ^ trailer_seal(t, word);
    if (HAK_LIKELY(differs == 0)) return TRAILER_LIVE;
    if (differs == SEAL_LEFT) return TRAILER_LEFT;
    return differs == SEAL_WAITING ? TRAILER_WAITING : TRAILER_DAMAGED;
}

/* The block is in a state, if its seal differs by that; then it is in the next one. */
HAK_INLINE bool trailer_turn(void *block, size_t bytes, uint64_t from, uint64_t to) {
    struct trailer *t = trailer_of(block, bytes);
    uint64_t seal = load_relaxed(&t->seal);
    if (HAK_UNLIKELY((seal ^ trailer_seal(t, t->word)) != from)) return false;
    store_relaxed(&t->seal, seal ^ from ^ to);
    return true;
}

HAK_INLINE void trailer_find_places(struct guarded_block *g, uint64_t word) {
    g->allocated = g->freed = NULL;
    if (HAK_LIKELY((word & TRAILER_HAS_PLACES) == 0)) return;
    struct both_places *both = (struct both_places *)(void *)trailer_of(g->start, g->bytes) - 1;
    g->allocated = &both->allocated;
    g->freed = &both->freed;
}

/* What lies in front of the trailer, and the places. */
HAK_INLINE char *trailer_slack_end(const struct guarded_block *g) {
    char *end = g->start + g->bytes - sizeof(struct trailer);
    return g->allocated == NULL ? end : end - sizeof(struct both_places);
}

/* Bytes in front of that. */
HAK_INLINE size_t trailer_room(const struct guarded_block *g) {
    return (size_t)(trailer_slack_end(g) - g->start);
}

/* Of the slack, what is watched, to a multiple of 8: a large block's may be megabytes. */
HAK_INLINE char *trailer_watched_end(const struct guarded_block *g) {
    char *end = trailer_slack_end(g), *asked = g->start + g->asked;
    if (HAK_LIKELY((size_t)(end - asked) <= GUARD_SLACK_BYTES)) return end;
    return (char *)align_up((uintptr_t)asked + GUARD_SLACK_BYTES, sizeof(uint64_t));
}

#define GUARD_CANARIES (GUARD_CANARY * 0x0101010101010101u)

/* The slack's first word, of which bytes below those asked for belong to the program; its place,
 * and the bits that are ours. */
HAK_INLINE char *trailer_first_word(const struct guarded_block *g, uint64_t *ours) {
    *ours = UINT64_MAX << (g->asked % sizeof(uint64_t) * 8);
    return g->start + (g->asked & ~(sizeof(uint64_t) - 1));
}

/* Sixteen bytes at once, as every processor of 64 bits compares them. */
typedef uint64_t guard_vector __attribute__((vector_size(16), may_alias));
typedef signed char guard_bytes __attribute__((vector_size(16)));
#define GUARD_VECTOR(word) ((guard_vector){(word), (word)})

/* Fills the slack of a fresh block, and more: nobody has written below it yet. The steps depend on
 * the class alone, so that the processor foresees them. */
HAK_INLINE void trailer_put_canaries_ahead(const struct guarded_block *g) {
    char *end = trailer_slack_end(g);
    for (char *at = end - g->window; at != end; at += sizeof(guard_vector)) {
        *(guard_vector *)(void *)at = GUARD_VECTOR(GUARD_CANARIES);
        hak_opaque(at); /* else the compiler makes it a memset, which takes longer to begin */
    }
}

/* The same steps to look at it: as much of each sixteen bytes as is slack. */
HAK_INLINE bool trailer_window_is_whole(const struct guarded_block *g) {
    const char *end = trailer_slack_end(g), *at = end - g->window;
    signed char last = (signed char)(g->asked - (size_t)(at - g->start) - 1);
    guard_bytes asked = {0}, here = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    guard_vector others = GUARD_VECTOR(0);
    asked += last;
    for (; at != end; at += sizeof(guard_vector), here += (signed char)sizeof(here)) {
        guard_vector written = *(const guard_vector *)(const void *)at;
        others |= (written ^ GUARD_VECTOR(GUARD_CANARIES)) & (guard_vector)(here > asked);
    }
    return (others[0] | others[1]) == 0;
}

/* Fills the slack. */
HAK_INLINE void trailer_put_canaries(const struct guarded_block *g) {
    char *end = trailer_watched_end(g);
    uint64_t ours, word, canaries = GUARD_CANARIES;
    char *at = trailer_first_word(g, &ours);
    if (at >= end) return;
    memcpy(&word, at, sizeof(word));
    word = (word & ~ours) | (canaries & ours);
    memcpy(at, &word, sizeof(word));
    for (at += sizeof(word); at < end; at += sizeof(word)) {
        memcpy(at, &canaries, sizeof(word));
        hak_opaque(at);
    }
}

/* Nothing was written to the slack. */
HAK_INLINE bool trailer_is_whole(const struct guarded_block *g) {
    size_t in_front = (size_t)(trailer_slack_end(g) - g->start) - g->window;
    if (HAK_LIKELY(g->window != 0 && g->asked >= in_front)) return trailer_window_is_whole(g);
    const char *end = trailer_watched_end(g);
    uint64_t ours, word, other;
    const char *at = trailer_first_word(g, &ours);
    if (at >= end) return true;
    memcpy(&word, at, sizeof(word));
    other = (word ^ GUARD_CANARIES) & ours;
    for (at += sizeof(word); at < end; at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        other |= word ^ GUARD_CANARIES;
    }
    return other == 0;
}

/* Writes the trailer of a live block of `bytes` (a multiple of 16) and fills the slack. `window`:
 * of a fresh block, or 0. */
HAK_INLINE void trailer_write_in(void *block, size_t bytes, size_t asked, enum block_kind kind,
                                 const struct places *allocated, size_t window) {
    if (HAK_UNLIKELY(load_relaxed(&hak_trailer_secret) == 0)) hak_trailer_draw_secret();
    struct trailer *t = trailer_of(block, bytes);
    uint64_t word =
        asked | (uint64_t)kind << TRAILER_KIND | (allocated != NULL ? TRAILER_HAS_PLACES : 0);
    struct guarded_block g;
    g.start = (char *)block;
    g.bytes = bytes;
    g.asked = asked;
    g.window = window;
    trailer_find_places(&g, word);
    if (g.allocated != NULL) {
        *g.allocated = *allocated;
        memset(g.freed, 0, sizeof(*g.freed));
    }
    if (HAK_LIKELY(window != 0)) {
        trailer_put_canaries_ahead(&g);
    } else {
        trailer_put_canaries(&g);
    }
    t->word = word;
    store_relaxed(&t->seal, trailer_seal(t, word));
}

HAK_INLINE void trailer_write(void *block, size_t bytes, size_t asked, enum block_kind kind,
                              const struct places *allocated) {
    trailer_write_in(block, bytes, asked, kind, allocated, 0);
}

/* Reads it: `*out` is whole unless the state is TRAILER_DAMAGED. */
HAK_INLINE enum trailer_state trailer_read(void *block, size_t bytes, struct guarded_block *out) {
    const struct trailer *t = trailer_of(block, bytes);
    uint64_t word = t->word;
    out->start = (char *)block;
    out->bytes = bytes;
    out->asked = word & (((uint64_t)1 << TRAILER_KIND) - 1);
    out->kind = (enum block_kind)(word >> TRAILER_KIND & 3);
    out->window = 0;
    out->large = false;
    trailer_find_places(out, word);
    return trailer_state(t, word);
}

/* Fills the `room` of a freed block, a multiple of 16: what the program had, and the slack. Its
 * first 16 bytes are never zero: a write of zeros to them is the commonest late write. */
HAK_INLINE void trailer_fill(void *start, size_t room, unsigned char fill) {
    memset(start, fill, room);
    if (HAK_LIKELY(room != 0)) memset(start, GUARD_FREED, BLOCK_MIN);
}

/* The block is as it was filled. */
HAK_INLINE bool trailer_is_filled(void *start, size_t bytes, unsigned char fill) {
    const struct trailer *t = trailer_of(start, bytes);
    const guard_vector *at = (const guard_vector *)start, *end = (const guard_vector *)(void *)t;
    if (HAK_UNLIKELY((t->word & TRAILER_HAS_PLACES) != 0)) {
        end -= sizeof(struct both_places) / sizeof(*end);
    }
    if (at == end) return true;
    uint64_t head = GUARD_FREED * 0x0101010101010101u, wanted = fill * 0x0101010101010101u;
    guard_vector others = at[0] ^ GUARD_VECTOR(head), w = GUARD_VECTOR(wanted), more = others;
    at++;
    if (HAK_LIKELY(end - at >= 4)) {
        /* The last four may overlap: a second loop would end unforeseen, too. */
        for (; at < end - 4; at += 4) {
            others |= (at[0] ^ w) | (at[1] ^ w);
            more |= (at[2] ^ w) | (at[3] ^ w);
        }
        at = end - 4;
    }
    for (; at != end; at++) others |= *at ^ w;
    others |= more;
    return (others[0] | others[1]) == 0;
}

#endif
