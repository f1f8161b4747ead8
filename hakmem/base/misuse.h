/* The one way in which a mistake of the program is reported: one line on stderr, then SIGABRT. */
#ifndef HAKMEM_BASE_MISUSE_H_
#define HAKMEM_BASE_MISUSE_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif
/* Writes "hakmem: WHAT: block ADDRESS (BYTES bytes); ADVICE" and aborts. `block_bytes` is the
 * size of the block's class; 0 when the address belongs to none. */
void hak_misuse(const char *what, const void *block, size_t block_bytes, const char *advice)
    __attribute__((noreturn, cold));
#ifdef __cplusplus
}
#endif

/* Checks what only a bug of the program can break; on in every build. */
#define hak_check(cond, what, block, block_bytes, advice)                                \
    do {                                                                                 \
        if (HAK_UNLIKELY(!(cond))) hak_misuse((what), (block), (block_bytes), (advice)); \
    } while (0)

#endif
