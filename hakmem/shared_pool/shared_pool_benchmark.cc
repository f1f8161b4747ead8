/* A slab whose pages are there, out of the pool and back. */
#include "hakmem/shared_pool/shared_pool.h"

#include <benchmark/benchmark.h>

#include "hakmem/registry/registry.h"

namespace {

/* The argument is the class: 64 bytes is one unit, 1 MiB a run of them. */
void TakeAndGiveEmptyResident(benchmark::State &state) {
    static slab_owner owner = {};
    auto c = static_cast<unsigned>(state.range(0));
    /* Held, so that the superslab stays in its buckets and out of the cache of empty ones. */
    slab *held = hak_shared_pool_take(0, &owner, false);
    slab *first = hak_shared_pool_take(c, &owner, false);
    if (held == nullptr || first == nullptr) return state.SkipWithError("out of memory");
    hak_shared_pool_give_empty(first);
    shared_pool_stats before, after;
    hak_shared_pool_stats(&before);
    for (auto _ : state) {
        slab *s = hak_shared_pool_take(c, &owner, false);
        hak_shared_pool_give_empty(s);
    }
    hak_shared_pool_stats(&after);
    hak_shared_pool_give_empty(held);
    uint64_t resident = after.stage[STAGE_RESIDENT] - before.stage[STAGE_RESIDENT];
    if (resident != static_cast<uint64_t>(state.iterations())) {
        state.SkipWithError("another stage served");
    }
}
BENCHMARK(TakeAndGiveEmptyResident)->Arg(3)->Arg(CLASSES - 1);

} // namespace
