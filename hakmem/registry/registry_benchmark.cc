/* The word of an address: one of ours, and one of a GiB where nothing is ours. */
#include "hakmem/registry/registry.h"

#include <benchmark/benchmark.h>

#include "hakmem/os_backend/os_backend.h"

namespace {

const uint32_t kWord = word_of_class(3);
/* Added to a block's address it gives one of the next unit, so that loads are not all the same. */
constexpr uintptr_t kStep = SLAB_BYTES + 64;

/* Looks up addresses all over the 2 MiB at `base` and expects `word` for each. */
void look_up(benchmark::State &state, uintptr_t base, uint32_t word) {
    uintptr_t offset = 0;
    uint32_t different = 0;
    for (auto _ : state) {
        uint32_t found = registry_word(reinterpret_cast<const void *>(base + offset));
        different |= found ^ word;
        benchmark::DoNotOptimize(different);
        offset = (offset + kStep) & (SUPERSLAB_BYTES - 1);
    }
    if (different != 0) state.SkipWithError("the registry gave another word");
}

/* A superslab's range that the registry knows; 0: the kernel refused. */
uintptr_t map_ours() {
    void *base = hak_os_map(SUPERSLAB_BYTES, SUPERSLAB_BYTES);
    if (base == nullptr || !hak_registry_reserve(base, SUPERSLAB_BYTES)) return 0;
    hak_registry_set(base, SLABS_PER_SUPERSLAB, kWord);
    return reinterpret_cast<uintptr_t>(base);
}

void unmap_ours(uintptr_t ours) {
    void *base = reinterpret_cast<void *>(ours);
    hak_registry_set(base, SLABS_PER_SUPERSLAB, 0);
    hak_os_unmap(base, SUPERSLAB_BYTES);
}

void WordOfOurs(benchmark::State &state) {
    uintptr_t ours = map_ours();
    if (ours == 0) return state.SkipWithError("out of memory");
    look_up(state, ours, kWord);
    unmap_ours(ours);
}
BENCHMARK(WordOfOurs);

void WordOfForeign(benchmark::State &state) {
    uintptr_t ours = map_ours();
    if (ours == 0) return state.SkipWithError("out of memory");
    /* A TiB away: covered by the registry, but no leaf is there. */
    look_up(state, ours ^ static_cast<uintptr_t>(1) << 40, 0);
    unmap_ours(ours);
}
BENCHMARK(WordOfForeign);

} // namespace
