#include "bench/cross_thread_workload.h"

#include <sys/mman.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

// A thread that sends and receives starts with so many batches on their way to it, so that neither
// partner waits for the other's every step. Half: the ring is never full for long.
constexpr std::size_t kPreloadedBatches = kRingBatches / 2;
// As many as are on their way in a ring, at the most.
constexpr std::size_t kSharedBlocks = kRingBatches * kBatchBlocks;
// Of a batch in kRing. What is passed on stands at the front of the next thread's batch and is
// freed there: blocks of two threads mix in every batch, and no block lives for ever.
constexpr std::size_t kPassedOn = kBatchBlocks / 4;
constexpr std::size_t kReplaced = kBatchBlocks - kPassedOn;
// Rings and caches are filled several times over.
constexpr std::uint64_t kWarmUpBatches = 64;
// Looks at a ring before the core is given up: a few microseconds, about a batch's time.
constexpr int kLooks = 8192;

std::uint64_t StepsFor(std::uint64_t cycles, std::uint64_t operations_a_step) {
    return (cycles + operations_a_step - 1) / operations_a_step;
}

} // namespace

CrossThread::CrossThread(const Params &params)
    : pattern_(static_cast<Pattern>(params.at("pattern"))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))),
      min_size_(static_cast<std::uint64_t>(params.at("min_size"))),
      max_size_(static_cast<std::uint64_t>(params.at("max_size"))),
      steps_(StepsFor(static_cast<std::uint64_t>(params.at("cycles")), OperationsAStep())),
      lanes_(static_cast<std::size_t>(params.at("threads"))), rings_(lanes_.size()),
      shared_(kSharedBlocks) {}

CrossThread::~CrossThread() {
    for (const Lane &lane : lanes_) {
        if (lane.stand_in != nullptr) munmap(lane.stand_in, kStandInBytes);
    }
}

std::uint64_t CrossThread::OperationsAStep() const {
    switch (pattern_) {
    case Pattern::kOneWay:
        return kBatchBlocks;
    case Pattern::kSymmetric:
        return 2 * kBatchBlocks;
    case Pattern::kRing:
        return 2 * kReplaced;
    case Pattern::kExchange:
        return 2;
    }
    return 1;
}

double CrossThread::operations() const { return static_cast<double>(steps_ * OperationsAStep()); }

double CrossThread::worked_ns() const {
    double sum = 0;
    for (const Lane &lane : lanes_) sum += lane.worked_ns;
    return sum;
}

void CrossThread::Connect(std::size_t thread) {
    if (pattern_ == Pattern::kExchange) return;
    Lane &lane = lanes_[thread];
    const bool alone = (thread ^ 1U) == lanes_.size();
    std::size_t to = alone ? thread : thread ^ 1U;
    if (pattern_ == Pattern::kRing) to = (thread + 1) % lanes_.size();
    const bool one_way = pattern_ == Pattern::kOneWay && !alone;
    const bool first = thread % 2 == 0;
    if (!one_way || first) lane.out = &rings_[to];
    if (!one_way || !first) lane.in = &rings_[thread];
}

void CrossThread::Prepare(int thread) {
    cores_.Pin(static_cast<std::size_t>(thread));
    Connect(static_cast<std::size_t>(thread));
    Lane &lane = lanes_[static_cast<std::size_t>(thread)];
    lane.stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
    // xorshift stays at zero for ever, so zero is no state.
    lane.random = SplitMix(seed_ + (static_cast<std::uint64_t>(thread) << 32)) | 1;
}

// What `next` returns as soon as it is not null; null only when a thread has failed.
template <class Next> Batch *CrossThread::Await(Lane *lane, Next next) {
    Batch *batch = next();
    if (batch != nullptr) return batch;
    const double begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    for (int looks = 1; !failed_.load(std::memory_order_relaxed); ++looks) {
        batch = next();
        if (batch != nullptr) break;
        if (looks % kLooks == 0) std::this_thread::yield();
    }
    lane->looked_ns += Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    return batch;
}

// Null, and failed_ set, when memory ran out.
template <class Heap> char *CrossThread::Fresh(Lane *lane) {
    lane->random = NextRandom(lane->random);
    const std::size_t size =
        min_size_ + Below(lane->random & 0xffffffffU, max_size_ - min_size_ + 1);
    char *const block = Heap::Allocate(size, lane->stand_in);
    if (block == nullptr) {
        failed_ = true;
        return nullptr;
    }
    block[0] = 1;
    block[Heap::LastByte(size)] = 1;
    return block;
}

template <class Heap> bool CrossThread::Send(Lane *lane) {
    Batch *const batch = Await(lane, [&] { return lane->out->Vacant(); });
    if (batch == nullptr) return false;
    for (char *&block : *batch) {
        block = Fresh<Heap>(lane);
        if (block == nullptr) return false;
    }
    lane->out->Publish();
    return true;
}

template <class Heap> bool CrossThread::Receive(Lane *lane) {
    const Batch *const batch = Await(lane, [&] { return lane->in->Oldest(); });
    if (batch == nullptr) return false;
    for (char *const block : *batch) {
        Heap::Read(block, lane->stand_in);
        Heap::Free(block);
    }
    lane->in->Release();
    return true;
}

// Frees the first blocks of a batch, and sends a batch of the others and of as many new ones.
template <class Heap> bool CrossThread::PassOn(Lane *lane) {
    const Batch *const got = Await(lane, [&] { return lane->in->Oldest(); });
    Batch *const sent = Await(lane, [&] { return lane->out->Vacant(); });
    if (got == nullptr || sent == nullptr) return false;
    for (std::size_t i = 0; i < kReplaced; ++i) {
        Heap::Read((*got)[i], lane->stand_in);
        Heap::Free((*got)[i]);
    }
    for (std::size_t i = 0; i < kPassedOn; ++i) (*sent)[i] = (*got)[kReplaced + i];
    lane->in->Release();
    for (std::size_t i = kPassedOn; i < kBatchBlocks; ++i) {
        (*sent)[i] = Fresh<Heap>(lane);
        if ((*sent)[i] == nullptr) return false;
    }
    lane->out->Publish();
    return true;
}

template <class Heap> bool CrossThread::Exchange(Lane *lane) {
    char *const fresh = Fresh<Heap>(lane);
    if (fresh == nullptr) return false;
    std::atomic<char *> &slot = shared_[Below(lane->random >> 32, kSharedBlocks)];
    char *const got = slot.exchange(fresh, std::memory_order_acq_rel);
    if (got == nullptr) return true;
    Heap::Read(got, lane->stand_in);
    Heap::Free(got);
    return true;
}

template <class Heap> bool CrossThread::Step(Lane *lane) {
    switch (pattern_) {
    case Pattern::kRing:
        return PassOn<Heap>(lane);
    case Pattern::kExchange:
        return Exchange<Heap>(lane);
    default:
        // Receive first: the rings hold what was preloaded, and never run full.
        return (lane->in == nullptr || Receive<Heap>(lane)) &&
               (lane->out == nullptr || Send<Heap>(lane));
    }
}

template <class Heap> bool CrossThread::Preload(Lane *lane) {
    if (lane->in == nullptr || lane->out == nullptr) return true;
    for (std::size_t i = 0; i < kPreloadedBatches; ++i) {
        if (!Send<Heap>(lane)) return false;
    }
    return true;
}

template <class Heap> void CrossThread::Steps(Lane *lane, std::uint64_t count) {
    lane->looked_ns = 0;
    const double begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (!Step<Heap>(lane)) break;
    }
    lane->worked_ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin - lane->looked_ns;
}

void CrossThread::WarmUp(int thread) {
    Lane &lane = lanes_[static_cast<std::size_t>(thread)];
    if (!Preload<RealHeap>(&lane)) return;
    Steps<RealHeap>(&lane, StepsFor(kWarmUpBatches * kBatchBlocks, OperationsAStep()));
}

bool CrossThread::Run(int thread) {
    Steps<RealHeap>(&lanes_[static_cast<std::size_t>(thread)], steps_);
    return !failed_;
}

void CrossThread::Release(int thread) {
    const std::size_t first = static_cast<std::size_t>(thread);
    BatchRing &ring = rings_[first];
    for (const Batch *batch = ring.Oldest(); batch != nullptr; batch = ring.Oldest()) {
        for (char *const block : *batch) RealHeap::Free(block);
        ring.Release();
    }
    for (std::size_t i = first; i < kSharedBlocks; i += lanes_.size()) {
        RealHeap::Free(shared_[i].exchange(nullptr));
    }
}

void CrossThread::RunEmpty(int thread) {
    Lane &lane = lanes_[static_cast<std::size_t>(thread)];
    cores_.Pin(static_cast<std::size_t>(thread)); // not the thread that Prepare was called on
    if (Preload<EmptyHeap>(&lane)) Steps<EmptyHeap>(&lane, steps_);
}

} // namespace hak_bench
