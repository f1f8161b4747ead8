/* The hot path without the entry files: a block out of a list and into the other. */
#include "hakmem/tls_front/tls_front.h"

#include <benchmark/benchmark.h>

namespace {

constexpr unsigned kClass = 3; /* 64 bytes */

void *refill() {
    if (!front_enter()) return nullptr;
    void *block = hak_front_refill(kClass);
    front_leave();
    return block;
}

void flush() {
    if (!front_enter()) return;
    hak_front_flush();
    front_leave();
}

/* Slabs that the thread's front has asked its warm pool for. */
uint64_t slab_requests() {
    front_stats s;
    hak_front_stats(&s, CLASSES);
    return s.hits + s.misses;
}

/* A first block of a list that was just filled from a slab. NULL: no heap, or out of memory. */
void *start() {
    if (hak_front.heap == nullptr && !hak_front_start()) return nullptr;
    flush();
    return refill();
}

/* All of a list's blocks go through, then the lists swap: once in a cap's blocks. */
void PopAndPush(benchmark::State &state) {
    void *block = start();
    if (block == nullptr || !front_push(block)) return state.SkipWithError("no front");
    uint64_t before = slab_requests();
    bool failed = false;
    for (auto _ : state) {
        block = front_pop(kClass);
        if (HAK_UNLIKELY(block == nullptr)) block = refill();
        benchmark::DoNotOptimize(block);
        failed |= !front_push(block);
    }
    failed |= slab_requests() != before;
    flush();
    if (failed) state.SkipWithError("the front was not enough");
}
BENCHMARK(PopAndPush);

/* The lists hold one block between them, so that each pop fails and each refill swaps. */
void SwapRefill(benchmark::State &state) {
    void *block = start();
    if (block == nullptr) return state.SkipWithError("no front");
    void *held = nullptr;
    while (void *other = front_pop(kClass)) {
        block_set_next(other, held);
        held = other;
    }
    bool failed = !front_push(block);
    uint64_t before = slab_requests();
    for (auto _ : state) {
        block = front_pop(kClass);
        if (HAK_LIKELY(block == nullptr)) block = refill();
        failed |= !front_push(block);
    }
    failed |= slab_requests() != before;
    while (held != nullptr) {
        void *next = block_next(held);
        failed |= !front_push(held);
        held = next;
    }
    flush();
    if (failed) state.SkipWithError("the front did more than swap");
}
BENCHMARK(SwapRefill);

} // namespace
