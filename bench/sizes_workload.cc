#include "bench/sizes_workload.h"

#include <sys/mman.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr std::size_t kMinSize = 16;
constexpr std::size_t kStepsBetween = 4; // from one power of two to the next
constexpr std::size_t kBatch = 16;
// Fewer pairs than this are the caches' and not the allocator's.
constexpr std::uint64_t kFewestPairs = 64;
constexpr double kOutOfMemory = -1;

} // namespace

std::vector<std::size_t> SweepSizes(std::size_t max_size) {
    std::vector<std::size_t> sizes;
    for (std::size_t power = kMinSize; power <= max_size; power *= 2) {
        for (std::size_t step = 0; step < kStepsBetween; ++step) {
            const std::size_t size = power + power / kStepsBetween * step;
            if (size <= max_size) sizes.push_back(size);
        }
    }
    return sizes;
}

std::string SweepFigure(Pairs pairs, std::size_t size) {
    return (pairs == Pairs::kLifo ? "lifo_" : "batch_") + std::to_string(size);
}

SizeSweep::SizeSweep(const Params &params)
    : span_ns_(static_cast<double>(params.at("span_us")) * 1e3),
      sizes_(SweepSizes(static_cast<std::size_t>(params.at("max_size")))), lifo_(sizes_.size()),
      batch_(sizes_.size()) {}

SizeSweep::~SizeSweep() {
    if (stand_in_ != nullptr) munmap(stand_in_, kStandInBytes);
}

void SizeSweep::Prepare(int /*thread*/) {
    stand_in_ = static_cast<char *>(MapOrDie(kStandInBytes));
}

// One size's pairs. False when memory ran out.
template <class Heap>
bool SizeSweep::Steps(Pairs pairs, std::size_t size, std::uint64_t count) const {
    char *const stand_in = stand_in_;
    const std::size_t last = Heap::LastByte(size);
    const std::size_t held = pairs == Pairs::kLifo ? 1 : kBatch;
    char *blocks[kBatch];
    for (std::uint64_t i = 0; i < count; i += held) {
        for (std::size_t k = 0; k < held; ++k) {
            blocks[k] = Heap::Allocate(size, stand_in);
            if (blocks[k] == nullptr) {
                while (k > 0) Heap::Free(blocks[--k]);
                return false;
            }
            blocks[k][0] = 1;
            blocks[k][last] = 1;
        }
        for (std::size_t k = 0; k < held; ++k) Heap::Free(blocks[k]);
    }
    return true;
}

// Twice as many pairs until they take a span. The thread's time in the processor: with other work
// on the machine the clock on the wall has that work in some sizes and not in others.
template <class Heap> double SizeSweep::NsAPair(Pairs pairs, std::size_t size) {
    for (std::uint64_t count = kFewestPairs;; count *= 2) {
        const double begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
        if (!Steps<Heap>(pairs, size, count)) return kOutOfMemory;
        const double ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin;
        operations_ += 2 * static_cast<double>(count);
        if (ns >= span_ns_) return ns / static_cast<double>(count);
    }
}

// The first pairs of a process pay for the processor's waking up.
void SizeSweep::WarmUp(int /*thread*/) {
    constexpr int kSpans = 4;
    for (int i = 0; i < kSpans; ++i) NsAPair<RealHeap>(Pairs::kLifo, kMinSize);
    operations_ = 0;
}

bool SizeSweep::Run(int /*thread*/) {
    bool good = true;
    for (std::size_t i = 0; i < sizes_.size() && good; ++i) {
        lifo_[i] = NsAPair<RealHeap>(Pairs::kLifo, sizes_[i]);
        batch_[i] = NsAPair<RealHeap>(Pairs::kBatch, sizes_[i]);
        good = lifo_[i] != kOutOfMemory && batch_[i] != kOutOfMemory;
    }
    return good;
}

void SizeSweep::Release(int /*thread*/) {}

void SizeSweep::RunEmpty(int /*thread*/) {
    loop_lifo_ = NsAPair<EmptyHeap>(Pairs::kLifo, kMinSize);
    loop_batch_ = NsAPair<EmptyHeap>(Pairs::kBatch, kMinSize);
}

std::map<std::string, double> SizeSweep::figures() const {
    std::map<std::string, double> out = {{"loop_lifo", loop_lifo_}, {"loop_batch", loop_batch_}};
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
        out[SweepFigure(Pairs::kLifo, sizes_[i])] = lifo_[i];
        out[SweepFigure(Pairs::kBatch, sizes_[i])] = batch_[i];
    }
    return out;
}

} // namespace hak_bench
