/* What the kernel takes for a range's way from nothing to resident and back. The argument is the
 * range in KiB: a slab, and a superslab. */
#include "hakmem/os_backend/os_backend.h"

#include <benchmark/benchmark.h>

#include <chrono>

#include "hakmem/config/config.h"

namespace {

void touch(char *base, size_t bytes) {
    for (size_t at = 0; at < bytes; at += hak_os_page_bytes()) base[at] = 1;
    benchmark::ClobberMemory();
}

void MapTouchUnmap(benchmark::State &state) {
    size_t bytes = static_cast<size_t>(state.range(0)) * KiB;
    bool failed = false;
    for (auto _ : state) {
        auto *base = static_cast<char *>(hak_os_map(bytes, bytes));
        if (HAK_UNLIKELY(base == nullptr)) {
            failed = true;
            continue;
        }
        touch(base, bytes);
        failed |= !hak_os_unmap(base, bytes);
    }
    if (failed) state.SkipWithError("the kernel refused");
}
BENCHMARK(MapTouchUnmap)->Arg(64)->Arg(2048);

/* Only the purge counts, not the touching that makes the next one possible. */
void Purge(benchmark::State &state) {
    using clock = std::chrono::steady_clock;
    size_t bytes = static_cast<size_t>(state.range(0)) * KiB;
    auto *base = static_cast<char *>(hak_os_map(bytes, bytes));
    if (base == nullptr) return state.SkipWithError("the kernel refused");
    bool failed = false;
    for (auto _ : state) {
        touch(base, bytes);
        auto start = clock::now();
        failed |= !hak_os_purge(base, bytes);
        state.SetIterationTime(std::chrono::duration<double>(clock::now() - start).count());
    }
    hak_os_unmap(base, bytes);
    if (failed) state.SkipWithError("pages may remain");
}
BENCHMARK(Purge)->Arg(64)->Arg(2048)->UseManualTime();

} // namespace
