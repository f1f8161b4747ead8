// Single patterns, each on the malloc that the process has: preload another to measure it.
// Figures are of one process: to compare allocators, use a bench of the harness, which interleaves.
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "benchmark/benchmark.h"

namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kOsPage = 4096;

// Writes both ends, as a program that uses its block does.
void Touch(void *block, std::size_t size) {
    static_cast<char *>(block)[0] = 1;
    static_cast<char *>(block)[size - 1] = 1;
    benchmark::DoNotOptimize(static_cast<void *const>(block));
}

// malloc, free: the block that was freed last is the next one.
void Lifo(benchmark::State &state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        void *block = std::malloc(size);
        Touch(block, size);
        std::free(block);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Lifo)->Arg(16)->Arg(64)->Arg(256)->Arg(1024)->Arg(8192)->Arg(32768)->Arg(131072)->Arg(
    1 << 20);

// 100 blocks, then all freed in the order they came.
void Batch100(benchmark::State &state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    std::vector<void *> blocks(100);
    for (auto _ : state) {
        for (void *&block : blocks) {
            block = std::malloc(size);
            Touch(block, size);
        }
        for (void *block : blocks) std::free(block);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(blocks.size()));
}
BENCHMARK(Batch100)->Arg(16)->Arg(64)->Arg(256)->Arg(1024);

// A queue of 1000: each step frees the oldest block and takes a new one.
void Fifo1000(benchmark::State &state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    std::vector<void *> queue(1000, nullptr);
    std::size_t oldest = 0;
    for (auto _ : state) {
        std::free(queue[oldest]);
        queue[oldest] = std::malloc(size);
        Touch(queue[oldest], size);
        oldest = oldest + 1 == queue.size() ? 0 : oldest + 1;
    }
    for (void *block : queue) std::free(block);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Fifo1000)->Arg(16)->Arg(64)->Arg(256)->Arg(1024);

// A block that grows by an eighth until it has range(0) bytes, as a vector of text does.
// One item is one realloc.
void ReallocGrowth(benchmark::State &state) {
    const auto limit = static_cast<std::size_t>(state.range(0));
    int64_t steps = 0;
    for (auto _ : state) {
        void *block = nullptr;
        for (std::size_t size = 64; size <= limit; size += size / 8) {
            block = std::realloc(block, size);
            Touch(block, size);
            ++steps;
        }
        std::free(block);
    }
    state.SetItemsProcessed(steps);
}
BENCHMARK(ReallocGrowth)->Arg(1024)->Arg(32768)->Arg(1 << 20)->Arg(1 << 24);

void Calloc(benchmark::State &state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        void *block = std::calloc(1, size);
        Touch(block, size);
        std::free(block);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Calloc)->Arg(16)->Arg(64)->Arg(1024)->Arg(32768)->Arg(1 << 20);

// range(0): the alignment; the size is four times as much.
void Aligned(benchmark::State &state) {
    const auto alignment = static_cast<std::size_t>(state.range(0));
    const std::size_t size = 4 * alignment;
    for (auto _ : state) {
        void *block = std::aligned_alloc(alignment, size);
        Touch(block, size);
        std::free(block);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Aligned)->Arg(32)->Arg(kCacheLine)->Arg(512)->Arg(kOsPage);

} // namespace
