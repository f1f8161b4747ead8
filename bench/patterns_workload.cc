#include "bench/patterns_workload.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr std::uint64_t kWarmUpPairs = 4096;
// Where the slots begin in their mapping. Many an allocator's first block begins with a page, and a
// processor takes a load for one of what was stored last at the same place of another page: with
// the slots there too a pair would take twice as long.
constexpr std::size_t kAside = 1032;

// calloc of the process, and one that does nothing.
char *Zeroed(RealHeap /*heap*/, std::size_t size, char * /*stand_in*/) {
    return static_cast<char *>(std::calloc(1, size));
}
char *Zeroed(EmptyHeap /*heap*/, std::size_t size, char *stand_in) {
    return EmptyHeap::Allocate(size, stand_in);
}

} // namespace

Patterns::Patterns(const Params &params)
    : order_(static_cast<Order>(params.at("order"))),
      blocks_(static_cast<std::uint64_t>(params.at("blocks"))),
      rounds_(RoundsOf(static_cast<std::uint64_t>(params.at("cycles")))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))),
      min_size_(static_cast<std::uint64_t>(params.at("min_size"))),
      max_size_(static_cast<std::uint64_t>(params.at("max_size"))),
      threads_(static_cast<std::size_t>(params.at("threads"))) {}

Patterns::~Patterns() {
    for (const Slots &slots : threads_) {
        if (slots.blocks == nullptr) continue;
        munmap(reinterpret_cast<char *>(slots.blocks) - kAside, kAside + blocks_ * sizeof(char *));
        munmap(slots.stand_in, kStandInBytes);
        if (slots.order != nullptr) munmap(slots.order, blocks_ * sizeof(std::uint32_t));
    }
}

std::uint64_t Patterns::RoundsOf(std::uint64_t pairs) const {
    return (pairs + blocks_ - 1) / blocks_;
}

double Patterns::operations() const { return 2 * static_cast<double>(rounds_ * blocks_); }

void Patterns::Prepare(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    void *const slots_at =
        static_cast<char *>(MapOrDie(kAside + blocks_ * sizeof(char *))) + kAside;
    slots.blocks = static_cast<char **>(slots_at);
    slots.stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
    // xorshift stays at zero for ever, so zero is no state.
    slots.random = SplitMix(seed_ + (static_cast<std::uint64_t>(thread) << 32)) | 1;
    if (order_ == Order::kOnceShuffled) Shuffle(&slots);
}

void Patterns::Shuffle(Slots *slots) const {
    slots->order = static_cast<std::uint32_t *>(MapOrDie(blocks_ * sizeof(std::uint32_t)));
    for (std::uint32_t i = 0; i < blocks_; ++i) slots->order[i] = i;
    for (std::uint64_t left = blocks_; left > 1; --left) {
        slots->random = NextRandom(slots->random);
        std::swap(slots->order[left - 1], slots->order[Below(slots->random & 0xffffffffU, left)]);
    }
}

template <class Heap> char *Patterns::Fresh(Slots *slots) const {
    slots->random = NextRandom(slots->random);
    const std::size_t size =
        min_size_ + Below(slots->random & 0xffffffffU, max_size_ - min_size_ + 1);
    char *const block = order_ == Order::kCalloc ? Zeroed(Heap(), size, slots->stand_in)
                                                 : Heap::Allocate(size, slots->stand_in);
    if (block == nullptr) return nullptr;
    block[0] = 1;
    block[Heap::LastByte(size)] = 1;
    return block;
}

// blocks_ pairs: a new block takes a slot, the block that was there is freed before it, or all are
// freed when all were taken.
template <class Heap> bool Patterns::Batch(Slots *slots) const {
    for (std::uint64_t i = 0; i < blocks_; ++i) {
        if (order_ == Order::kFifo) Heap::Free(slots->blocks[i]);
        slots->blocks[i] = Fresh<Heap>(slots);
        if (slots->blocks[i] == nullptr) return false;
    }
    if (order_ == Order::kFifo) return true;
    for (std::uint64_t i = 0; i < blocks_; ++i) {
        char *&block = slots->blocks[slots->order != nullptr ? slots->order[i] : i];
        Heap::Free(block);
        block = nullptr;
    }
    return true;
}

template <class Heap> bool Patterns::Steps(Slots *slots, std::uint64_t rounds) const {
    for (std::uint64_t i = 0; i < rounds; ++i) {
        if (!Batch<Heap>(slots)) return false;
    }
    return true;
}

void Patterns::WarmUp(int thread) {
    if (order_ == Order::kOnce || order_ == Order::kOnceShuffled) return;
    Steps<RealHeap>(&threads_[static_cast<std::size_t>(thread)], RoundsOf(kWarmUpPairs));
}

bool Patterns::Run(int thread) {
    return Steps<RealHeap>(&threads_[static_cast<std::size_t>(thread)], rounds_);
}

void Patterns::Release(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < blocks_; ++i) {
        std::free(slots.blocks[i]);
        slots.blocks[i] = nullptr;
    }
}

void Patterns::RunEmpty(int thread) {
    Steps<EmptyHeap>(&threads_[static_cast<std::size_t>(thread)], rounds_);
}

} // namespace hak_bench
