/* Orphans with few blocks outside lose the pages between. */
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/pool.h"

/* At most a quarter of the blocks are outside, and clearly fewer than at the last purge. */
static bool may_lose_pages(const struct slab *slab) {
    if (slab->out > slab->capacity / 4u) return false;
    return slab->purged_out == UINT16_MAX ||
           (unsigned)(slab->purged_out - slab->out) > slab->capacity / SPARSE_STEPS;
}

void hak_sparse_add(struct slab *slab) {
    if (!list_empty(&slab->owned) || !may_lose_pages(slab)) return;
    slab->placed = hak_pool.ticks;
    list_push_back(&hak_pool.sparse, &slab->owned);
}

/* The lock is given up meanwhile. False: the kernel refused each time. */
static bool purge_pages(struct slab *slab) {
    size_t page = hak_os_page_bytes(), offset = 0, bytes;
    bool any = false;
    hak_pool.purging = true;
    struct superslab *ss = slab_superslab(slab);
    bool split = hak_huge_ends(ss);
    hak_pool_release();
    if (HAK_UNLIKELY(split)) hak_os_split_huge(ss->base, SUPERSLAB_BYTES);
    for (;;) {
        offset = hak_slab_free_pages(slab, offset, page, &bytes);
        if (bytes == 0) break;
        any |= hak_os_purge(slab_base(slab) + offset, bytes);
        offset += bytes;
    }
    hak_pool_acquire();
    hak_pool.purging = false;
    ss->parted |= any;
    return any;
}

/* While its pages go the slab is the purger's, as it might be a thread's: others free into it as
 * ever, and nobody takes it. Its bits and words change under the lock only, so that whoever has
 * the lock finds the slab whole. */
static void purge_one(struct slab *slab) {
    hak_orphans_remove(slab);
    hak_slab_set_owner(slab, &hak_pool.purger);
    hak_slab_collect(slab);
    size_t bytes;
    hak_slab_free_pages(slab, 0, hak_os_page_bytes(), &bytes);
    if (slab->out != 0 && bytes != 0) {
        bool had_marks = !slab->checked;
        /* The marks go with the pages: the words first. */
        if (had_marks) hak_slab_set_checked(slab);
        if (!purge_pages(slab) && had_marks) hak_slab_keep_marks(slab);
    }
    slab->purged_out = slab->out;
    hak_orphans_add(slab);
    hak_orphans_collect();
}

void hak_sparse_purge(unsigned slabs) {
    /* One at a time: the purger owns one slab. */
    for (; slabs > 0 && !hak_pool.purging && !list_empty(&hak_pool.sparse); slabs--) {
        struct slab *slab = list_entry(hak_pool.sparse.next, struct slab, owned);
        if (hak_pool.ticks - slab->placed < SPARSE_TICKS) return;
        purge_one(slab);
    }
}
