#include "hakmem/shared_pool/superslab.h"

#include "hakmem/base/clock.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/numa.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

void hak_superslabs_init(struct superslabs *all) {
    for (unsigned i = 0; i <= SLABS_PER_SUPERSLAB; i++) {
        list_init(&all->by_run[i]);
        list_init(&all->by_resident_run[i]);
    }
    list_init(&all->cache);
    list_init(&all->dropped);
    list_init(&all->unmapped);
    all->region_bytes = REGION_FIRST_BYTES;
}

static bool is_of(const struct superslab *ss, int node) {
    return node == NODE_ANY || ss->node == node;
}

struct superslab *hak_superslabs_first(const struct list *list, int node) {
    for (struct list *l = list->next; l != list; l = l->next) {
        struct superslab *ss = list_entry(l, struct superslab, by_run);
        if (is_of(ss, node)) return ss;
    }
    return NULL;
}

static struct superslab *first_resident(const struct list *bucket, int node) {
    for (struct list *l = bucket->next; l != bucket; l = l->next) {
        struct superslab *ss = list_entry(l, struct superslab, by_resident_run);
        if (is_of(ss, node)) return ss;
    }
    return NULL;
}

struct superslab *hak_superslabs_find(struct superslabs *all, unsigned span, bool resident,
                                      int node) {
    uint64_t fits = (resident ? all->resident_runs : all->runs) >> span << span;
    for (; fits != 0; fits &= fits - 1) {
        unsigned bucket = (unsigned)__builtin_ctzll(fits);
        struct superslab *ss = resident ? first_resident(&all->by_resident_run[bucket], node)
                                        : hak_superslabs_first(&all->by_run[bucket], node);
        if (ss != NULL) return ss;
    }
    return NULL;
}

static void unlist(struct superslabs *all, struct superslab *ss) {
    list_remove(&ss->by_run);
    list_remove(&ss->by_resident_run);
    uint32_t resident = ss->resident & ~ss->used;
    all->resident_free -= popcount(resident);
    all->used -= popcount(ss->used);
    if (ss->used == 0) {
        if (ss->cached) {
            all->cached--;
            all->cached_resident -= popcount(resident);
            ss->cached = false;
        }
        return;
    }
    if (list_empty(&all->by_run[ss->run])) all->runs &= ~((uint64_t)1 << ss->run);
    if (list_empty(&all->by_resident_run[ss->resident_run])) {
        all->resident_runs &= ~((uint64_t)1 << ss->resident_run);
    }
}

static void enlist(struct superslabs *all, struct superslab *ss) {
    uint32_t resident = ss->resident & ~ss->used;
    all->resident_free += popcount(resident);
    all->used += popcount(ss->used);
    if (ss->used == 0) {
        ss->cached = resident != 0;
        if (ss->cached) {
            all->cached++;
            all->cached_resident += popcount(resident);
        }
        list_push_front(ss->cached ? &all->cache : &all->dropped, &ss->by_run);
        return;
    }
    ss->run = (uint8_t)longest_run(~ss->used);
    ss->resident_run = (uint8_t)longest_run(resident);
    list_push_front(&all->by_run[ss->run], &ss->by_run);
    list_push_front(&all->by_resident_run[ss->resident_run], &ss->by_resident_run);
    all->runs |= (uint64_t)1 << ss->run;
    all->resident_runs |= (uint64_t)1 << ss->resident_run;
}

static void give_budget(uint32_t units) {
    if (units != 0) hak_budget_give(popcount(units) * SLAB_BYTES);
}

void hak_superslabs_set(struct superslabs *all, struct superslab *ss, uint32_t used,
                        uint32_t resident) {
    unlist(all, ss);
    if (ss->used != 0 && used == 0) ss->freed_ms = clock_ms();
    give_budget(ss->resident & ~resident);
    ss->used = used;
    ss->resident = resident;
    enlist(all, ss);
}

/* Address space for one superslab, from the current region or a new one. */
static char *take_address_space(struct superslabs *all) {
    if (all->region == all->region_end) {
        size_t bytes = all->region_bytes;
        char *region = NULL;
        for (; bytes >= SUPERSLAB_BYTES; bytes /= 2) {
            region = hak_os_reserve(bytes, SUPERSLAB_BYTES);
            if (region != NULL) break;
        }
        if (region == NULL) return NULL;
        all->region = region;
        all->region_end = region + bytes;
        bool grows = bytes == all->region_bytes && bytes >= REGION_FIRST_BYTES;
        if (grows && bytes < REGION_BYTES) all->region_bytes *= 2;
    }
    char *base = all->region;
    all->region += SUPERSLAB_BYTES;
    return base;
}

static struct superslab *take_record(struct superslabs *all) {
    if (!list_empty(&all->unmapped)) {
        struct superslab *ss = list_entry(all->unmapped.next, struct superslab, by_run);
        list_remove(&ss->by_run);
        return ss;
    }
    struct superslab *ss = hak_os_meta_alloc(sizeof(struct superslab));
    if (ss == NULL) return NULL;
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        ss->slabs[i].index = (uint8_t)i;
        ss->heads[i] = (uint8_t)i;
        list_init(&ss->slabs[i].owned);
        list_init(&ss->slabs[i].listed);
    }
    list_init(&ss->by_run);
    list_init(&ss->by_resident_run);
    ss->next = all->all;
    all->all = ss;
    return ss;
}

struct superslab *hak_superslabs_map(struct superslabs *all, int node) {
    struct superslab *ss = take_record(all);
    if (ss == NULL) return NULL;
    char *base = take_address_space(all);
    if (base == NULL || !hak_registry_reserve(base, SUPERSLAB_BYTES)) {
        /* The address space stays the region's: the next try begins with it. */
        if (base != NULL) all->region = base;
        list_push_front(&all->unmapped, &ss->by_run);
        return NULL;
    }
    ss->base = base;
    ss->mapped = true;
    ss->huge = false;
    ss->node = (int8_t)node;
    if (node != NODE_ANY) hak_numa_bind(base, SUPERSLAB_BYTES, (unsigned)node);
    hak_registry_set(base, SLABS_PER_SUPERSLAB, WORD_UNUSED);
    hak_registry_set_record(base, ss);
    all->mapped++;
    enlist(all, ss);
    return ss;
}

bool hak_superslabs_unmap(struct superslabs *all, struct superslab *ss) {
    hak_assert(ss->used == 0);
    /* The words go before the range does: whoever maps it next sets them anew. */
    hak_registry_set(ss->base, SLABS_PER_SUPERSLAB, 0);
    hak_registry_set_record(ss->base, NULL);
    if (!hak_os_release(ss->base, SUPERSLAB_BYTES)) {
        hak_registry_set(ss->base, SLABS_PER_SUPERSLAB, WORD_UNUSED);
        hak_registry_set_record(ss->base, ss);
        return false;
    }
    unlist(all, ss);
    give_budget(ss->resident);
    ss->resident = 0;
    ss->mapped = false;
    list_push_front(&all->unmapped, &ss->by_run);
    all->mapped--;
    return true;
}
