/* The API of guarded blocks: what slow paths lead to while guard_is_on(). Each block is one as any
 * other (raw.h), asked for with room for its trailer (guard/trailer.h): so addresses, alignments
 * and all that is checked of them are as ever.
 *
 *   free: whose block is it -> trailer -> kind -> slack -> size, then filled -> quarantine
 *         -> what comes out of it: still as it was filled? -> free.c
 *
 * guarded.c allocates and resizes, guarded_free.c frees. Above MEDIUM_MAX a page that nobody may
 * touch follows. */
#ifndef HAKMEM_GUARDED_H_
#define HAKMEM_GUARDED_H_

#include "hakmem/guard/guard.h"
#include "hakmem/hakmem.h"

/* The options are read: what holds from now on. */
void hak_guarded_start(void);
/* No call may find lists: blocks are guarded, or may be, or signal handlers may come anywhere. */
bool hak_lists_stay_hidden(void);

/* A block of `size` bytes at a multiple of `align`, a power of two of BLOCK_MIN at least; zeros, if
 * so. NULL and ENOMEM. */
void *hak_guarded_alloc(size_t align, size_t size);
void *hak_guarded_calloc(size_t size);
/* The same for operator new and new[]. Where there is none, what `otherwise` gives. */
void *hak_guarded_new(size_t align, size_t size, enum block_kind kind,
                      void *(*otherwise)(size_t align, size_t size));
/* `block`: not NULL. */
void *hak_guarded_realloc(void *block, size_t size);
/* `word`: the block's. */
void hak_guarded_free(void *block, uint32_t word, enum block_kind kind);
/* `wrong_size`: what is said of a size that the block was not asked for with. */
void hak_guarded_free_sized(void *block, size_t size, enum block_kind kind, const char *wrong_size);
/* Exactly what was asked for; 0 when it is no block, as was reported, and for 0 bytes. */
size_t hak_guarded_usable(const void *block);

/* Everything but other threads' batches leaves the quarantine and is looked at. True when there was
 * something. */
bool hak_guarded_flush(void);
/* The calling thread rests: its batch goes to the others. */
void hak_guarded_idle(void);
/* The calling thread ends; before its lists. */
void hak_guarded_thread_ends(void);
/* In a forked child, when all else is put right: what other threads had freed goes back. */
void hak_guarded_fork_child(void);
/* Bytes that wait. */
size_t hak_guarded_waiting_bytes(void);
/* Completes a report with the places that are noted in its block. */
void hak_guarded_describe(struct hak_error *error);

#endif
