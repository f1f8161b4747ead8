/* Places in the program: return addresses of a call and of its callers, found by frame pointers.
 * Where a caller was compiled without them, the chain ends there, or skips it. */
#ifndef HAKMEM_GUARD_PLACES_H_
#define HAKMEM_GUARD_PLACES_H_

#include "hakmem/base/base.h"

#define PLACES 4

struct places {
    const void *at[PLACES]; /* innermost first; NULL ends them */
};

#ifdef __cplusplus
extern "C" {
#endif
/* Of a function whose frame and return address these are. Allocates nothing, and reads no address
 * that cannot be read: each new page of the stack is asked for. */
void hak_places_find(struct places *out, const void *return_address, const void *frame);
#ifdef __cplusplus
}
#endif

#endif
