#include "hakmem/registry/registry.h"

#include "hakmem/os_backend/os_backend.h"

uintptr_t hak_registry_top[TOP_ENTRIES];

static uintptr_t bias(uintptr_t top) {
    return (top << (LEAF_SHIFT - SLAB_SHIFT)) * sizeof(uint32_t);
}

static struct leaf *leaf_of(uintptr_t a) {
    uintptr_t top = a >> LEAF_SHIFT;
    if (top >= TOP_ENTRIES) return NULL;
    /* Acquire pairs with the publication in hak_registry_reserve. */
    uintptr_t biased = load_acquire(&hak_registry_top[top]);
    return biased == 0 ? NULL : (struct leaf *)(biased + bias(top));
}

bool hak_registry_reserve(const void *base, size_t bytes) {
    uintptr_t first = (uintptr_t)base >> LEAF_SHIFT;
    uintptr_t last = ((uintptr_t)base + bytes - 1) >> LEAF_SHIFT;
    if (last >= TOP_ENTRIES) return false;
    for (uintptr_t top = first; top <= last; top++) {
        if (load_acquire(&hak_registry_top[top]) != 0) continue;
        struct leaf *leaf = hak_os_meta_alloc(sizeof(struct leaf));
        if (leaf == NULL) return false;
        uintptr_t none = 0;
        /* The loser's leaf stays unused: once in the life of a GiB, and metadata is never
         * given back. */
        cas_acq_rel(&hak_registry_top[top], &none, (uintptr_t)leaf - bias(top));
    }
    return true;
}

void hak_registry_set(const void *base, size_t slabs, uint32_t word) {
    uintptr_t a = (uintptr_t)base;
    struct leaf *leaf = NULL;
    for (size_t i = 0; i < slabs; i++, a += SLAB_BYTES) {
        size_t n = (a >> SLAB_SHIFT) & (LEAF_WORDS - 1);
        if (n == 0 || leaf == NULL) leaf = leaf_of(a);
        hak_assert(leaf != NULL);
        store_release(&leaf->words[n], word);
    }
}

void *hak_registry_record(const void *address) {
    struct leaf *leaf = leaf_of((uintptr_t)address);
    if (leaf == NULL) return NULL;
    /* Acquire pairs with hak_registry_set_record: the record's contents are seen. */
    return load_acquire(
        &leaf->records[((uintptr_t)address >> SUPERSLAB_SHIFT) & (LEAF_RECORDS - 1)]);
}

void hak_registry_set_record(const void *superslab, void *record) {
    struct leaf *leaf = leaf_of((uintptr_t)superslab);
    store_release(&leaf->records[((uintptr_t)superslab >> SUPERSLAB_SHIFT) & (LEAF_RECORDS - 1)],
                  record);
}
