/* What hakmem.c, free.c and realloc.c have of each other, and guarded.c of them: blocks without
 * trailers, whatever the mode. */
#ifndef HAKMEM_RAW_H_
#define HAKMEM_RAW_H_

#include "hakmem/base/base.h"
#include "hakmem/hakmem.h"

/* What the program did to an address that is no block, or no longer one. */
struct verb {
    enum hak_error_kind kind;
    const char *what;
};
extern const struct verb hak_verb_free, hak_verb_realloc, hak_verb_usable_size;

/* Enters a slow path with a heap. False: the call must be served aside. */
bool hak_raw_enter(void);
/* A block of at least `size` bytes. `*zero`: zeros are wanted, if cheap; afterwards, that it is
 * known to be zero. NULL and ENOMEM. */
void *hak_raw_alloc(size_t size, size_t align, bool *zero);
void hak_raw_free(void *block, uint32_t word);
/* The word of a block that the program names; 0: it can be none, as was reported. */
uint32_t hak_raw_word(const void *block, const struct verb *verb);
/* A live block's usable bytes; 0 when `block` is none, as was reported. */
size_t hak_raw_bytes(const void *block, uint32_t word, const struct verb *verb);
/* Says that a block of `bytes` was freed before. */
void hak_raw_report_freed(const void *block, const struct verb *verb, size_t bytes);
/* `alignment` fits the block's address; or says that it does not. */
bool hak_raw_alignment_fits(void *block, size_t alignment, const char *wrong_alignment);

/* Set once a block that shrank stayed where it was: blocks may then be of any size above what was
 * asked for. */
extern bool hak_some_waste;

/* No more of the block is waste than a fresh one might have. */
HAK_INLINE bool raw_rounds_to(size_t size, size_t bytes) {
    return size <= bytes && (bytes - size <= 64 || bytes - size <= size / 3 + 64);
}

#endif
