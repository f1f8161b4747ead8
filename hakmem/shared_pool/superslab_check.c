/* Every count of the superslabs against what it counts. */
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/superslab.h"

/* Its slabs lie side by side and are the units that its mask names. */
static bool slabs_agree(const struct superslab *ss) {
    uint32_t used = ss->moving;
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        const struct slab *slab = &ss->slabs[i];
        bool in_use = (ss->used >> i & 1) != 0, moving = (ss->moving >> i & 1) != 0;
        bool empty = !in_use || moving || slab->stocked;
        if (empty && registry_word(ss->base + i * SLAB_BYTES) != WORD_UNUSED) return false;
        if (slab->stocked) used |= run_mask(i, 1);
        if (slab->span == 0) continue;
        uint32_t units = run_mask(i, slab->span);
        if ((used & units) != 0 || !hak_slab_agrees(slab)) return false;
        used |= units;
    }
    return used == ss->used && (ss->used & ~ss->resident) == 0;
}

static bool buckets_agree(const struct superslab *ss) {
    uint32_t idle = ss->resident & ~ss->used;
    if (ss->used == 0) return ss->cached == (idle != 0);
    return ss->run == longest_run(~ss->used) && ss->resident_run == longest_run(idle);
}

bool hak_superslabs_agree(const struct superslabs *all) {
    size_t mapped = 0, used = 0, resident_free = 0, cached = 0, cached_resident = 0;
    for (const struct superslab *ss = all->all; ss != NULL; ss = ss->next) {
        if (!ss->mapped) continue;
        if (!slabs_agree(ss) || !buckets_agree(ss)) return false;
        unsigned idle = popcount(ss->resident & ~ss->used);
        mapped++;
        used += popcount(ss->used);
        resident_free += idle;
        if (!ss->cached) continue;
        cached++;
        cached_resident += idle;
    }
    return mapped == all->mapped && used == all->used && resident_free == all->resident_free &&
           cached == all->cached && cached_resident == all->cached_resident;
}
