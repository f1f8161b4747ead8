/* Pages that are there before they are needed: superslabs for one class at once (prewarm), or at
 * its first needs (lazy), or ahead of a class that grows, as much as it did lately (adaptive). */
#include "hakmem/base/clock.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/pool.h"

/* Guarded by the pool's lock. */
static struct {
    uint32_t owed; /* lazy: superslabs to take when the class next needs slabs */
    uint32_t most; /* adaptive: units populated ahead in a second, at most; 0: off */
    uint32_t step; /* units to populate at the next need: doubles from need to need */
    uint32_t done; /* units populated ahead in this second */
    uint64_t second_ms;
} ahead[CLASSES];
static bool any; /* some class has one of them */

bool hak_pool_populate(struct superslab *ss, uint32_t units) {
    unsigned index = (unsigned)__builtin_ctz(units);
    size_t bytes = popcount(units) * SLAB_BYTES;
    if (!hak_budget_take(bytes)) return false;
    if (!hak_os_populate(ss->base + index * SLAB_BYTES, bytes)) {
        hak_budget_give(bytes);
        return false;
    }
    hak_superslabs_set(&hak_pool.all, ss, ss->used, ss->resident | units);
    return true;
}

static bool prewarm_one(unsigned c) {
    unsigned span = hak_size_class[c].span;
    struct superslab *ss = hak_superslabs_map(&hak_pool.all, hak_pool_node());
    if (ss == NULL) return false;
    hak_pool_populate(ss, UINT32_MAX);
    for (unsigned i = 0; i + span <= SLABS_PER_SUPERSLAB; i += span) {
        struct slab *slab = hak_pool_carve(ss, ~ss->used, c, &hak_pool.orphans);
        if (slab == NULL) return false;
        hak_orphans_add_fresh(slab);
    }
    return true;
}

bool hak_shared_pool_prewarm(unsigned c, unsigned count) {
    bool ok = true;
    for (unsigned n = 0; n < count && ok; n++) { /* others come in between */
        hak_pool_acquire();
        ok = prewarm_one(c);
        hak_pool_release();
    }
    return ok;
}

void hak_shared_pool_prewarm_lazily(unsigned c, unsigned count) {
    hak_pool_acquire();
    ahead[c].owed += count;
    any |= count != 0;
    hak_pool_release();
}

void hak_shared_pool_prewarm_adaptively(unsigned c, unsigned count) {
    hak_pool_acquire();
    ahead[c].most = count * SLABS_PER_SUPERSLAB;
    any |= count != 0;
    hak_pool_release();
}

bool hak_prewarm_lazy(unsigned c) {
    if (HAK_LIKELY(!any) || ahead[c].owed == 0) return false;
    ahead[c].owed--;
    return prewarm_one(c);
}

/* What was populated in a second says how much the next begins with. */
static void seconds_pass(unsigned c) {
    uint64_t now = clock_ms(), seconds = (now - ahead[c].second_ms) / REFAULT_MS;
    if (seconds == 0) return;
    ahead[c].step = seconds == 1 ? ahead[c].step / 2 : 0;
    ahead[c].done = 0;
    ahead[c].second_ms = now;
}

void hak_prewarm_adaptive(struct superslab *ss, unsigned c, unsigned from) {
    if (HAK_LIKELY(!any) || ahead[c].most == 0) return;
    seconds_pass(c);
    unsigned step = ahead[c].step, room = ahead[c].most - ahead[c].done;
    ahead[c].step = step == 0 ? 1 : step < SLABS_PER_SUPERSLAB ? 2 * step : step;
    if (step > room) step = room;
    /* The units behind the one in need, as long as they are untouched. */
    uint32_t untouched = ~(ss->used | ss->resident);
    unsigned n = 0;
    while (n < step && from + n < SLABS_PER_SUPERSLAB && (untouched >> (from + n) & 1) != 0) n++;
    if (n != 0 && hak_pool_populate(ss, run_mask(from, n))) ahead[c].done += n;
}
