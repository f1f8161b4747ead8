/* A large block and its end: served by the cache, and by the kernel each time. No page of the block
 * is touched; os_backend_benchmark says what pages cost. */
#include "hakmem/large/large.h"

#include <benchmark/benchmark.h>

#include "hakmem/config/config.h"
#include "hakmem/registry/registry.h"

namespace {

/* Allocates and frees `bytes`; expects `cached` bytes to stay behind. */
void alloc_and_free(benchmark::State &state, size_t bytes, uint64_t cached) {
    bool failed = false;
    for (auto _ : state) {
        bool zero = false;
        void *block = hak_large_alloc(bytes, 16, false, &zero);
        if (HAK_UNLIKELY(block == nullptr)) {
            failed = true;
            continue;
        }
        hak_large_free(block, registry_word(block), false);
    }
    large_stats after;
    hak_large_stats(&after);
    hak_large_trim(0);
    if (failed) return state.SkipWithError("out of memory");
    if (after.cached_bytes != cached) state.SkipWithError("the cache did otherwise");
}

void AllocAndFreeCached(benchmark::State &state) { alloc_and_free(state, 2 * MiB, 2 * MiB); }
BENCHMARK(AllocAndFreeCached);

/* So much is never kept. */
void AllocAndFreeUncached(benchmark::State &state) {
    alloc_and_free(state, LARGE_CACHED_MAX + 1 * MiB, 0);
}
BENCHMARK(AllocAndFreeUncached);

} // namespace
