/* How many bytes may be resident: counted where memory is about to become so, and where it goes
 * back. A slab counts as a whole, and so does a large block, cached or not. Metadata is counted and
 * never refused. */
#ifndef HAKMEM_OS_BACKEND_BUDGET_H_
#define HAKMEM_OS_BACKEND_BUDGET_H_

#include "hakmem/base/base.h"

#ifdef __cplusplus
extern "C" {
#endif
/* Counts `bytes`. False: they would exceed the limit; nothing is counted then. */
bool hak_budget_take(size_t bytes);
/* Counts `bytes`, whatever the limit is. */
void hak_budget_add(size_t bytes);
void hak_budget_give(size_t bytes);
/* So many are counted from now on. While nobody else counts. */
void hak_budget_recount(size_t bytes);
/* Bytes that are counted now. */
size_t hak_budget_used(void);
/* Bytes that may be taken; SIZE_MAX without a limit. */
size_t hak_budget_left(void);
/* From now on at most so many bytes are given out; 0: any number. */
void hak_budget_set_limit(size_t bytes);
size_t hak_budget_limit(void);
#ifdef __cplusplus
}
#endif

#endif
