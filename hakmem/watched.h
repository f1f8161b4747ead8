/* The API while a tool watches (base/watch.h): what hakmem.c's slow paths lead to. The blocks are
 * hakmem.c's own, with room for WATCH_GAP bytes more, so that no two that are out touch:
 *
 *      |-- shown: as asked for --|-- hidden: slack and gap --|
 *
 * realloc always moves, so that what still points to the old block is found. */
#ifndef HAKMEM_WATCHED_H_
#define HAKMEM_WATCHED_H_

#include "hakmem/base/watch.h"
#include "hakmem/raw.h"

#define WATCH_GAP 16

/* As hak_malloc and so on; also when it turns out at the process's first call that none watches.
 * `align`: a power of two, BLOCK_MIN at least. */
void *hak_watched_alloc(size_t align, size_t size);
void *hak_watched_calloc(size_t size);
/* `block`: not NULL. */
void *hak_watched_realloc(void *block, size_t size);
void hak_watched_free(void *block);
/* A block's usable bytes; 0: it is none, as was reported. */
size_t hak_watched_bytes(const void *block, const struct verb *verb);
/* The same, and the program may use them all: they are shown. */
size_t hak_watched_usable(const void *block);

#endif
