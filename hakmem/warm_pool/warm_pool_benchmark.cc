/* A slab for a refill: the one in use, and an empty one from the stock. */
#include "hakmem/warm_pool/warm_pool.h"

#include <benchmark/benchmark.h>

#include "hakmem/registry/registry.h"

namespace {

constexpr unsigned kClass = 3;      /* 64 bytes */
constexpr unsigned kOtherClass = 5; /* 96 bytes */

void *take_one(warm_pool *wp, unsigned c) {
    slab *s = hak_warm_pool_get(wp, c);
    void *block = nullptr;
    if (s == nullptr) return nullptr;
    hak_slab_take(s, 1, &block, 0);
    hak_warm_pool_taken(wp, s);
    return block;
}

void give_one(warm_pool *wp, void *block) {
    slab *s = hak_slab_of(block);
    unsigned before = s->out;
    hak_slab_give(s, block);
    hak_warm_pool_given(wp, s, before);
}

uint64_t misses(const warm_pool &wp) {
    return wp.classes[kClass].misses + wp.classes[kOtherClass].misses;
}

void GetTheSlabInUse(benchmark::State &state) {
    static warm_pool wp;
    hak_warm_pool_init(&wp);
    void *held = take_one(&wp, kClass);
    if (held == nullptr) return state.SkipWithError("out of memory");
    uint64_t before = misses(wp);
    for (auto _ : state) {
        slab *s = hak_warm_pool_get(&wp, kClass);
        benchmark::DoNotOptimize(s);
    }
    if (misses(wp) != before) state.SkipWithError("the slab left its list");
    give_one(&wp, held);
    hak_warm_pool_release(&wp);
}
BENCHMARK(GetTheSlabInUse);

/* One block at a time, so that its slab is empty and in the stock again. The argument is the class
 * of every other block: when it is another, each get carves. */
void GetFromStock(benchmark::State &state) {
    static warm_pool wp;
    hak_warm_pool_init(&wp);
    void *first = take_one(&wp, kClass);
    if (first == nullptr) return state.SkipWithError("out of memory");
    give_one(&wp, first);
    uint64_t before = misses(wp);
    unsigned c = kClass, change = kClass ^ static_cast<unsigned>(state.range(0));
    for (auto _ : state) {
        c ^= change;
        give_one(&wp, take_one(&wp, c));
    }
    if (misses(wp) != before) state.SkipWithError("the stock was empty");
    hak_warm_pool_release(&wp);
}
BENCHMARK(GetFromStock)->Arg(kClass)->Arg(kOtherClass);

} // namespace
