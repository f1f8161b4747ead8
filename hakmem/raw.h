/* hakmem.c's blocks as guarded.c uses them: without trailers, whatever the mode. */
#ifndef HAKMEM_RAW_H_
#define HAKMEM_RAW_H_

#include "hakmem/hakmem.h"

/* What the program did to an address that is no block, or no longer one. */
struct verb {
    enum hak_error_kind kind;
    const char *what;
};
extern const struct verb hak_verb_free, hak_verb_realloc, hak_verb_usable_size;

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

#endif
