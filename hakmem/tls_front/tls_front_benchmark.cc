/* The hot path without the entry files: a block out of the loaded list and into it again. */
#include "hakmem/tls_front/tls_front.h"

#include <benchmark/benchmark.h>

namespace {

constexpr unsigned kClass = 3; /* 64 bytes */
constexpr uint32_t kScaled = kClass << CLASS_SCALE;

void *refill() {
    if (!front_enter()) return nullptr;
    void *block = hak_front_take(kClass);
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

void give(void *block) {
    if (front_push(block)) return;
    uint32_t word = registry_word(block);
    if ((front_make_room(word) && front_push_of(block, word)) || !front_enter()) return;
    hak_front_free(block, kClass);
    front_leave();
}

/* A first block of a list that was just filled, of a class that is warm. NULL: no heap, or out of
 * memory. */
void *start() {
    if (hak_front.heap == nullptr && !hak_front_start()) return nullptr;
    flush();
    for (int i = 0; i < 100; i++) {
        void *block = refill();
        if (block == nullptr) return nullptr;
        give(block);
    }
    return refill();
}

/* Free looks closer once in a cap's blocks. */
void PopAndPush(benchmark::State &state) {
    void *block = start();
    if (block == nullptr) return state.SkipWithError("no front");
    give(block);
    uint64_t before = slab_requests();
    bool failed = false;
    for (auto _ : state) {
        block = front_pop(kScaled);
        if (HAK_UNLIKELY(block == nullptr)) block = refill();
        benchmark::DoNotOptimize(block);
        give(block);
    }
    failed |= slab_requests() != before;
    flush();
    if (failed) state.SkipWithError("the front was not enough");
}
BENCHMARK(PopAndPush);

} // namespace
