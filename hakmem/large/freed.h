/* Addresses of large blocks that were freed lately: a later free of one is called a double free,
 * where nothing else tells it from an address that never was hakmem's. Internal to the layer. */
#ifndef HAKMEM_LARGE_FREED_H_
#define HAKMEM_LARGE_FREED_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/config/config.h"

extern const void *hak_large_freed[LARGE_FREED_ENTRIES];

/* A place for each address; a later one takes it from an earlier one. */
HAK_INLINE const void **large_freed_entry(const void *block) {
    uint64_t mixed = ((uintptr_t)block >> SLAB_SHIFT) * 0x9e3779b97f4a7c15u;
    return &hak_large_freed[mixed >> 32 & (LARGE_FREED_ENTRIES - 1)];
}

HAK_INLINE void large_note_freed(const void *block) {
    store_relaxed(large_freed_entry(block), block);
}

#endif
