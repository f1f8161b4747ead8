#include "bench/latency_workload.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

std::uint64_t SwitchesOfThread() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return static_cast<std::uint64_t>(usage.ru_nivcsw);
}

int Log2(std::uint64_t value) { return 63 - __builtin_clzll(value); }

} // namespace

const std::vector<LatencyShare> &LatencyShares() {
    static const auto *shares = new std::vector<LatencyShare>{
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1},
    };
    return *shares;
}

Latency::Latency(const Params &params)
    : cycles_(static_cast<std::uint64_t>(params.at("cycles"))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))),
      ws_(static_cast<std::uint64_t>(params.at("ws"))),
      min_size_(static_cast<std::uint64_t>(params.at("min_size"))),
      max_size_(static_cast<std::uint64_t>(params.at("max_size"))), wide_(params.at("wide") != 0),
      shared_(params.at("shared") != 0), lanes_(static_cast<std::size_t>(params.at("threads"))) {
    if (shared_) all_slots_ = static_cast<Slot *>(MapOrDie(ws_ * sizeof(Slot)));
}

Latency::~Latency() {
    for (Lane *lane : lanes_) {
        if (lane == nullptr) continue;
        if (!shared_) munmap(lane->slots, ws_ * sizeof(Slot));
        munmap(lane->stand_in, kStandInBytes);
        munmap(lane, sizeof(*lane));
    }
    if (shared_) munmap(all_slots_, ws_ * sizeof(Slot));
}

void Latency::Prepare(int thread) {
    Lane *&lane = lanes_[static_cast<std::size_t>(thread)];
    lane = new (MapOrDie(sizeof(Lane))) Lane;
    lane->slots = shared_ ? all_slots_ : static_cast<Slot *>(MapOrDie(ws_ * sizeof(Slot)));
    lane->stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
    // xorshift stays at zero for ever, so zero is no state.
    lane->random = SplitMix(seed_ + (static_cast<std::uint64_t>(thread) << 32)) | 1;
}

std::size_t Latency::SizeFrom(std::uint64_t random) const {
    const std::uint64_t bits = random & 0xffffffffU;
    if (!wide_) return min_size_ + Below(bits, max_size_ - min_size_ + 1);
    const auto powers = static_cast<std::uint64_t>(Log2(max_size_) - Log2(min_size_));
    const std::uint64_t power = min_size_ << Below(bits, std::max<std::uint64_t>(powers, 1));
    return std::min(power + Below(bits * 0x9e3779b9U & 0xffffffffU, power), max_size_);
}

// Frees what is in a random slot, else fills it. Where slots are shared, another thread may fill it
// meanwhile: that block is freed too.
template <class Heap>
bool Latency::Step(Lane *lane, TickHistogram *mallocs, TickHistogram *frees) const {
    lane->random = NextRandom(lane->random);
    Slot &slot = lane->slots[Below(lane->random >> 32, ws_)];
    char *old = slot.exchange(nullptr, std::memory_order_acq_rel);
    if (old == nullptr) {
        const std::size_t size = SizeFrom(lane->random);
        const std::uint64_t begin = Ticks();
        char *const block = Heap::Allocate(size, lane->stand_in);
        mallocs->Add(Ticks() - begin);
        if (block == nullptr) return false;
        block[0] = 1;
        block[Heap::LastByte(size)] = 1;
        old = slot.exchange(block, std::memory_order_acq_rel);
        if (old == nullptr) return true;
    }
    const std::uint64_t begin = Ticks();
    Heap::Free(old);
    frees->Add(Ticks() - begin);
    return true;
}

template <class Heap>
bool Latency::Steps(Lane *lane, std::uint64_t count, TickHistogram *mallocs,
                    TickHistogram *frees) const {
    for (std::uint64_t i = 0; i < count; ++i) {
        if (!Step<Heap>(lane, mallocs, frees)) return false;
    }
    return true;
}

void Latency::WarmUp(int thread) {
    // Each slot is hit four times on average: about half of them are full from then on.
    constexpr std::uint64_t kHitsASlot = 4;
    Lane *lane = lanes_[static_cast<std::size_t>(thread)];
    Steps<RealHeap>(lane, kHitsASlot * ws_, &lane->mallocs, &lane->frees);
    lane->mallocs = lane->frees = TickHistogram();
}

bool Latency::Run(int thread) {
    Lane *lane = lanes_[static_cast<std::size_t>(thread)];
    const std::uint64_t switches = SwitchesOfThread();
    const double begin_ns = Nanoseconds(CLOCK_MONOTONIC);
    const std::uint64_t begin = Ticks();
    const bool good = Steps<RealHeap>(lane, cycles_, &lane->mallocs, &lane->frees);
    lane->ns_a_tick =
        (Nanoseconds(CLOCK_MONOTONIC) - begin_ns) / static_cast<double>(Ticks() - begin);
    lane->switches = static_cast<double>(SwitchesOfThread() - switches);
    return good;
}

void Latency::Release(int thread) {
    Lane *lane = lanes_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < ws_; ++i) std::free(lane->slots[i].exchange(nullptr));
}

// Not Steps: an empty slot would be found empty again, and a stand-in is nobody's block.
void Latency::RunEmpty(int thread) {
    Lane *lane = lanes_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < cycles_; ++i) {
        const std::uint64_t begin = Ticks();
        asm volatile("" : : : "memory");
        lane->clock.Add(Ticks() - begin);
    }
}

std::map<std::string, double> Latency::figures() const {
    TickHistogram mallocs;
    TickHistogram frees;
    TickHistogram clock;
    std::map<std::string, double> out;
    for (const Lane *lane : lanes_) {
        mallocs.Add(lane->mallocs);
        frees.Add(lane->frees);
        clock.Add(lane->clock);
        out["switches"] += lane->switches;
    }
    const double ns_a_tick = lanes_[0]->ns_a_tick;
    for (const LatencyShare &share : LatencyShares()) {
        const auto ns = [&](const TickHistogram &histogram) {
            return static_cast<double>(histogram.Percentile(share.share)) * ns_a_tick;
        };
        out[std::string("malloc_") + share.name] = ns(mallocs);
        out[std::string("free_") + share.name] = ns(frees);
        out[std::string("clock_") + share.name] = ns(clock);
    }
    return out;
}

} // namespace hak_bench
