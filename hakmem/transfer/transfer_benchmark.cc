/* A full chain into the stock and one out again, alone and with others at the same lock. */
#include "hakmem/transfer/transfer.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace {

constexpr unsigned kClass = 3; /* 64 bytes */
constexpr uint32_t kBlocks = 512;

void PushAndPop(benchmark::State &state) {
    struct block {
        void *next, *cookie;
    };
    std::vector<block> blocks(kBlocks);
    for (size_t i = 0; i + 1 < blocks.size(); i++) blocks[i].next = &blocks[i + 1];
    chain mine = {blocks.data(), kBlocks};
    bool failed = false;
    /* Each thread pushes before it pops, so the stock holds at most a chain for each. What a thread
     * pops may be another's; all leave the loop together, before the blocks go. */
    for (auto _ : state) {
        failed |= !hak_transfer_push(kClass, mine);
        mine = hak_transfer_pop(kClass);
        failed |= mine.head == nullptr;
    }
    if (failed) return state.SkipWithError("a chain was refused or lost");
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(PushAndPop)->Threads(1)->Threads(2)->Threads(4)->UseRealTime();

} // namespace
