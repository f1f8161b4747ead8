#include "bench/store_workload.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr std::uint64_t kMib = 1024 * 1024;
constexpr std::size_t kPage = 4096;
// Of the sizes that are drawn before the run.
constexpr std::size_t kSizes = 4096;
// Room in a queue: blocks are larger than this on the average.
constexpr std::uint64_t kCacheBlockBytes = 512;

// A number in [0, 1).
double Uniform(std::uint64_t *random) {
    *random = NextRandom(*random);
    return static_cast<double>(*random >> 11) / static_cast<double>(std::uint64_t{1} << 53);
}

std::uint32_t LogNormal(std::uint64_t *random) {
    constexpr int kTerms = 6; // their sum is normal enough
    constexpr double kScale = 1.2;
    constexpr double kShift = 3.5;
    double sum = 0;
    for (int i = 0; i < kTerms; ++i) sum += Uniform(random);
    return static_cast<std::uint32_t>(std::exp(kShift + kScale * sum));
}

std::uint32_t MostlySmall(std::uint64_t *random) {
    constexpr std::uint32_t kFrom = 16;
    constexpr std::uint32_t kTo = kMib;
    constexpr double kOnward = 0.75;
    std::uint32_t doubling = kFrom;
    while (doubling < kTo / 2 && Uniform(random) < kOnward) doubling *= 2;
    return doubling + static_cast<std::uint32_t>(Uniform(random) * doubling);
}

std::uint32_t Between(double from, double to, std::uint64_t *random) {
    return static_cast<std::uint32_t>(from + Uniform(random) * (to - from));
}

std::uint32_t SizeOf(Store store, std::uint64_t *random) {
    switch (store) {
    case Store::kCache:
        return LogNormal(random);
    case Store::kReplace:
        return MostlySmall(random);
    case Store::kBuffers:
        return Between(5 * kMib, 25 * kMib, random);
    case Store::kWritten:
        return Between(kMib / 16.0, kMib, random);
    case Store::kLarge:
        return Between(kMib, 2 * kMib, random);
    }
    return 1;
}

} // namespace

Stores::Stores(const Params &params)
    : store_(static_cast<Store>(params.at("store"))),
      bytes_(static_cast<std::uint64_t>(params.at("bytes"))),
      capacity_(store_ == Store::kCache ? std::max<std::uint64_t>(bytes_ / kCacheBlockBytes, 1)
                                        : static_cast<std::uint64_t>(params.at("slots"))),
      steps_(static_cast<std::uint64_t>(params.at("cycles"))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))), sizes_(kSizes),
      threads_(static_cast<std::size_t>(params.at("threads"))) {
    std::uint64_t random = SplitMix(seed_) | 1;
    for (std::uint32_t &size : sizes_) size = SizeOf(store_, &random);
}

Stores::~Stores() {
    for (const Shelf &shelf : threads_) {
        if (shelf.blocks == nullptr) continue;
        munmap(shelf.blocks, capacity_ * sizeof(Block));
        munmap(shelf.stand_in, kStandInBytes);
    }
}

double Stores::operations() const {
    return static_cast<double>(steps_) * (store_ == Store::kReplace ? 1 : 2);
}

void Stores::Prepare(int thread) {
    Shelf &shelf = threads_[static_cast<std::size_t>(thread)];
    shelf.blocks = static_cast<Block *>(MapOrDie(capacity_ * sizeof(Block)));
    shelf.stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
    // xorshift stays at zero for ever, so zero is no state.
    shelf.random = SplitMix(seed_ + (static_cast<std::uint64_t>(thread + 1) << 32)) | 1;
}

template <class Heap> char *Stores::Fresh(Shelf *shelf, std::uint64_t size) const {
    char *const bytes = Heap::Allocate(size, shelf->stand_in);
    if (bytes == nullptr) {
        shelf->failed = true;
        return nullptr;
    }
    if (store_ == Store::kBuffers) {
        for (std::uint64_t at = 0; at < size; at += kPage) bytes[Heap::LastByte(at + 1)] = 1;
    }
    if (store_ == Store::kWritten) std::memset(bytes, 1, Heap::LastByte(size) + 1);
    bytes[0] = 1;
    bytes[Heap::LastByte(size)] = 1;
    shelf->bytes += size;
    return bytes;
}

template <class Heap> void Stores::Drop(Shelf *shelf, Block *block) const {
    Heap::Free(block->bytes);
    shelf->bytes -= block->size;
    *block = {nullptr, 0};
}

template <class Heap> void Stores::CacheStep(Shelf *shelf, std::uint64_t size) const {
    while (shelf->count != 0 && (shelf->bytes + size > bytes_ || shelf->count == capacity_)) {
        Drop<Heap>(shelf, &shelf->blocks[shelf->first]);
        if (++shelf->first == capacity_) shelf->first = 0;
        --shelf->count;
    }
    const std::uint64_t at = shelf->first + shelf->count;
    shelf->blocks[at < capacity_ ? at : at - capacity_] = {Fresh<Heap>(shelf, size), size};
    ++shelf->count;
}

template <class Heap> void Stores::SlotStep(Shelf *shelf, std::uint64_t size) const {
    Block *const block = &shelf->blocks[Below(shelf->random & 0xffffffffU, capacity_)];
    if (block->bytes != nullptr) {
        Drop<Heap>(shelf, block);
        if (store_ == Store::kReplace) return;
    }
    *block = {Fresh<Heap>(shelf, size), size};
}

template <class Heap> void Stores::Steps(Shelf *shelf, std::uint64_t steps) const {
    for (std::uint64_t i = 0; i < steps && !shelf->failed; ++i) {
        shelf->random = NextRandom(shelf->random);
        const std::uint64_t size = sizes_[Below(shelf->random >> 32, kSizes)];
        if (store_ == Store::kCache) {
            CacheStep<Heap>(shelf, size);
        } else {
            SlotStep<Heap>(shelf, size);
        }
    }
}

void Stores::WarmUp(int thread) {
    Shelf &shelf = threads_[static_cast<std::size_t>(thread)];
    // A queue goes round twice; each slot is hit four times on the average.
    constexpr std::uint64_t kHitsASlot = 4;
    std::uint64_t left = kHitsASlot * capacity_;
    if (store_ == Store::kCache) left = std::min(left / 2, 2 * bytes_ / kCacheBlockBytes);
    Steps<RealHeap>(&shelf, left);
}

bool Stores::Run(int thread) {
    Shelf &shelf = threads_[static_cast<std::size_t>(thread)];
    Steps<RealHeap>(&shelf, steps_);
    return !shelf.failed;
}

void Stores::Release(int thread) {
    Shelf &shelf = threads_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < capacity_; ++i) {
        if (shelf.blocks[i].bytes != nullptr) Drop<RealHeap>(&shelf, &shelf.blocks[i]);
    }
    shelf.first = shelf.count = 0;
}

void Stores::RunEmpty(int thread) {
    Steps<EmptyHeap>(&threads_[static_cast<std::size_t>(thread)], steps_);
}

} // namespace hak_bench
