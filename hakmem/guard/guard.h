/* Whether blocks carry trailers: safe and debug mode, and every mode until the options are read.
 *
 *   UNREAD --options--> OFF    blocks are as they were; trailers written so far are never read
 *                 '---> SAFE   every block has a trailer, from the first call on
 *                 '---> DEBUG  the same, with the places that allocated and freed it
 *
 * While it is not OFF the lists are hidden (tls_front.h), so that every call takes the slow path,
 * where one test of the state leads to guarded.c: the hot path knows nothing of it. */
#ifndef HAKMEM_GUARD_GUARD_H_
#define HAKMEM_GUARD_GUARD_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"

enum guard { GUARD_UNREAD, GUARD_OFF, GUARD_SAFE, GUARD_DEBUG };

/* Which of the program's three ways to allocate a block came from, or goes back by. */
enum block_kind { KIND_MALLOC, KIND_NEW, KIND_NEW_ARRAY };

#ifdef __cplusplus
extern "C" {
#endif
extern uint32_t hak_guard;
#ifdef __cplusplus
}
#endif

HAK_INLINE bool guard_is_on(void) { return HAK_UNLIKELY(load_relaxed(&hak_guard) != GUARD_OFF); }

#endif
