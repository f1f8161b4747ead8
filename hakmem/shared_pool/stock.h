/* The stock: empty slabs of one unit whose pages are there, for any thread and class. A lock-free
 * stack, bounded. Its slabs are in no use (their words are WORD_UNUSED), but their superslab's mask
 * has them still, so that nobody else carves them. Internal to the layer. */
#ifndef HAKMEM_SHARED_POOL_STOCK_H_
#define HAKMEM_SHARED_POOL_STOCK_H_

#include "hakmem/slab/slab.h"

#ifdef __cplusplus
extern "C" {
#endif
/* False: the stock is full, and the slab stays the caller's. */
bool hak_stock_push(struct slab *slab);
/* A slab that is the caller's alone from now on; NULL: there is none. */
struct slab *hak_stock_pop(void);
/* Slabs in stock; exact while nobody pushes or pops. */
uint32_t hak_stock_count(void);
/* In a forked child: forgets all of it. */
void hak_stock_forget(void);
#ifdef __cplusplus
}
#endif

#endif
