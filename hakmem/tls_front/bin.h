/* Lists of blocks on their way back. Internal to the layer. */
#ifndef HAKMEM_TLS_FRONT_BIN_H_
#define HAKMEM_TLS_FRONT_BIN_H_

#include "hakmem/tls_front/tls_front.h"

#ifdef __cplusplus
extern "C" {
#endif
/* Gives a list of blocks of class `c` back to their slabs, whoever owns those. Returns bytes. */
size_t hak_bin_return(struct heap *heap, unsigned c, void *head);
/* The same for one block. False: its slab is another living thread's. */
bool hak_bin_return_one(struct heap *heap, unsigned c, void *block);
/* As hak_bin_return; or hands the chain, another thread's blocks, over to whoever needs it, as it
 * is: true. */
bool hak_bin_hand_over(struct heap *heap, unsigned c, struct chain chain);
/* Returns the list without the blocks of other threads' slabs, which go back to them. */
struct chain hak_bin_keep_own(struct heap *heap, unsigned c, void *head);
/* Marks a block as free, if the address is one. For frees without a heap. False: it was free, as
 * was reported. */
bool hak_front_mark(void *block);
/* Threads that have a heap now. */
uint64_t hak_front_threads(void);
/* Reports a misuse that giving back a block found. */
void hak_bin_check(enum slab_result result, void *block, unsigned c);
#ifdef __cplusplus
}
#endif

#endif
