/* A guarded block: what was asked for at its start, and the rest of its class for us.
 *
 *     | asked for | slack: canary bytes | places (debug) | trailer |
 *     ^ block                                                      ^ block + bytes
 *
 * States, in the trailer's seal: live --free--> waiting. The seal covers the address, the size and
 * the kind; whoever changes it from live to waiting has freed the block, and nobody else. */
#ifndef HAKMEM_GUARD_TRAILER_H_
#define HAKMEM_GUARD_TRAILER_H_

#include "hakmem/guard/guard.h"
#include "hakmem/guard/places.h"

enum trailer_state { TRAILER_DAMAGED, TRAILER_LIVE, TRAILER_WAITING };

struct guarded_block {
    char *start;
    size_t bytes; /* to the trailer's end */
    size_t asked; /* what the program asked for */
    enum block_kind kind;
    struct places *allocated, *freed; /* in the block; NULL: it was not asked to keep any */
};

#ifdef __cplusplus
extern "C" {
#endif
/* Bytes that a block needs beyond those asked for. */
size_t hak_trailer_bytes(bool with_places);
/* Writes the trailer of a live block of `bytes` (a multiple of 16) and fills the slack. */
void hak_trailer_write(void *block, size_t bytes, size_t asked, enum block_kind kind,
                       const struct places *allocated);
/* Reads it: `*out` is whole unless the state is TRAILER_DAMAGED. */
enum trailer_state hak_trailer_read(void *block, size_t bytes, struct guarded_block *out);
/* live -> waiting, with the bytes before the trailer filled where `fill`. False: not live. */
bool hak_trailer_free(const struct guarded_block *g, bool fill);
/* The first byte of the slack that was written to; NULL: none. */
const char *hak_trailer_overflow(const struct guarded_block *g);
/* The first byte of a filled block that was written to since; NULL: none. */
const char *hak_trailer_late_write(const struct guarded_block *g);
#ifdef __cplusplus
}
#endif

#endif
