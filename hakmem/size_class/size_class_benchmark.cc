/* A request's size to its class, sizes drawn uniformly. */
#include "hakmem/size_class/size_class.h"

#include <benchmark/benchmark.h>

#include <array>
#include <random>

namespace {

/* A power of two, small enough for the sizes to stay in the L1 cache. */
constexpr size_t kSizes = 1024;

std::array<uint32_t, kSizes> sizes(size_t from, size_t to) {
    std::mt19937 random(1);
    std::uniform_int_distribution<uint32_t> size(static_cast<uint32_t>(from),
                                                 static_cast<uint32_t>(to));
    std::array<uint32_t, kSizes> all;
    for (uint32_t &s : all) s = size(random);
    return all;
}

void LookupSmall(benchmark::State &state) {
    auto all = sizes(1, SMALL_MAX);
    size_t i = 0;
    for (auto _ : state) {
        unsigned c = scaled_class_of_small(all[i++ % kSizes]);
        benchmark::DoNotOptimize(c);
    }
}
BENCHMARK(LookupSmall);

void LookupMedium(benchmark::State &state) {
    auto all = sizes(SMALL_MAX + 1, MEDIUM_MAX);
    size_t i = 0;
    for (auto _ : state) {
        unsigned c = size_class_of(all[i++ % kSizes]);
        benchmark::DoNotOptimize(c);
    }
}
BENCHMARK(LookupMedium);

} // namespace
