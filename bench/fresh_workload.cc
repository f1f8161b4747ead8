#include "bench/fresh_workload.h"

#include <sys/mman.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr std::size_t kPage = 4096;

struct ZeroedHeap : RealHeap {
    static char *Allocate(std::size_t size, char * /*stand_in*/) {
        return static_cast<char *>(std::calloc(1, size));
    }
};

} // namespace

FreshBlocks::FreshBlocks(const Params &params)
    : min_size_(static_cast<std::uint64_t>(params.at("min_size"))),
      max_size_(static_cast<std::uint64_t>(params.at("max_size"))),
      zeroed_(params.at("zeroed") != 0),
      seed_(SplitMix(static_cast<std::uint64_t>(params.at("seed"))) | 1),
      threads_(static_cast<std::size_t>(params.at("threads"))) {
    const double wanted =
        static_cast<double>(params.at("bytes")) / static_cast<double>(threads_.size());
    for (std::uint64_t random = seed_; thread_bytes_ < wanted; ++count_) {
        random = NextRandom(random);
        thread_bytes_ += static_cast<double>(SizeFrom(random));
    }
}

FreshBlocks::~FreshBlocks() {
    for (const Slots &slots : threads_) {
        if (slots.blocks == nullptr) continue;
        munmap(slots.blocks, count_ * sizeof(char *));
        munmap(slots.stand_in, kStandInBytes);
    }
}

std::size_t FreshBlocks::SizeFrom(std::uint64_t random) const {
    return min_size_ + Below(random >> 32, max_size_ - min_size_ + 1);
}

void FreshBlocks::Prepare(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    slots.blocks = static_cast<char **>(MapOrDie(count_ * sizeof(char *)));
    slots.stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
}

// All threads have the same sizes. False when memory ran out.
template <class Heap> bool FreshBlocks::Steps(Slots *slots) const {
    std::uint64_t random = seed_;
    for (std::uint64_t i = 0; i < count_; ++i) {
        random = NextRandom(random);
        const std::size_t size = SizeFrom(random);
        char *const block = Heap::Allocate(size, slots->stand_in);
        if (block == nullptr) return false;
        for (std::size_t end = 1; end < size; end += kPage) block[Heap::LastByte(end)] = 1;
        block[Heap::LastByte(size)] = 1;
        slots->blocks[i] = block;
    }
    return true;
}

bool FreshBlocks::Run(int thread) {
    Slots *const slots = &threads_[static_cast<std::size_t>(thread)];
    const double begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    const bool good = zeroed_ ? Steps<ZeroedHeap>(slots) : Steps<RealHeap>(slots);
    slots->worked_ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    return good;
}

void FreshBlocks::Release(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < count_; ++i) std::free(slots.blocks[i]);
}

void FreshBlocks::RunEmpty(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    const double begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    Steps<EmptyHeap>(&slots);
    slots.worked_ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin;
}

double FreshBlocks::worked_ns() const {
    double ns = 0;
    for (const Slots &slots : threads_) ns += slots.worked_ns;
    return ns;
}

std::map<std::string, double> FreshBlocks::figures() const {
    constexpr double kMb = 1 << 20;
    return {{"live_mb", thread_bytes_ * static_cast<double>(threads_.size()) / kMb}};
}

} // namespace hak_bench
