/* hakmem.c's blocks as watched.c uses them: nobody is told of them. */
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

#endif
