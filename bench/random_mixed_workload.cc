#include "bench/random_mixed_workload.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "bench/workload_parts.h"

namespace hak_bench {

RandomMixed::RandomMixed(const Params &params)
    : cycles_(static_cast<std::uint64_t>(params.at("cycles"))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))),
      ws_(static_cast<std::uint64_t>(params.at("ws"))),
      min_size_(static_cast<std::uint64_t>(params.at("min_size"))),
      max_size_(static_cast<std::uint64_t>(params.at("max_size"))),
      threads_(static_cast<std::size_t>(params.at("threads"))) {}

RandomMixed::~RandomMixed() {
    for (const Slots &slots : threads_) {
        if (slots.blocks == nullptr) continue;
        munmap(slots.blocks, ws_ * sizeof(char *));
        munmap(slots.stand_in, kStandInBytes);
    }
}

void RandomMixed::Prepare(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    slots.blocks = static_cast<char **>(MapOrDie(ws_ * sizeof(char *)));
    slots.stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
    // xorshift stays at zero for ever, so zero is no state.
    slots.random = SplitMix(seed_ + (static_cast<std::uint64_t>(thread) << 32)) | 1;
}

template <class Heap> void RandomMixed::Steps(Slots *slots, std::uint64_t count) const {
    // Locals: a store into a block may alias any member.
    char **const blocks = slots->blocks;
    char *const stand_in = slots->stand_in;
    const std::uint64_t ws = ws_;
    const std::uint64_t min_size = min_size_;
    const std::uint64_t sizes = max_size_ - min_size_ + 1;
    std::uint64_t random = slots->random;
    for (std::uint64_t i = 0; i < count; ++i) {
        random = NextRandom(random);
        char *&block = blocks[Below(random >> 32, ws)];
        if (block != nullptr) {
            Heap::Free(block);
            block = nullptr;
            continue;
        }
        const std::size_t size = min_size + Below(random & 0xffffffffU, sizes);
        char *const fresh = Heap::Allocate(size, stand_in);
        if (fresh == nullptr) {
            slots->failed = true;
            break;
        }
        fresh[0] = 1;
        fresh[Heap::LastByte(size)] = 1;
        block = fresh;
    }
    slots->random = random;
}

void RandomMixed::WarmUp(int thread) {
    // Each slot is hit four times on average: about half of them are full from then on.
    constexpr std::uint64_t kHitsASlot = 4;
    Steps<RealHeap>(&threads_[static_cast<std::size_t>(thread)], kHitsASlot * ws_);
}

bool RandomMixed::Run(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    Steps<RealHeap>(&slots, cycles_);
    return !slots.failed;
}

void RandomMixed::Release(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < ws_; ++i) {
        std::free(slots.blocks[i]);
        slots.blocks[i] = nullptr;
    }
}

void RandomMixed::RunEmpty(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    Steps<EmptyHeap>(&slots, cycles_);
}

} // namespace hak_bench
