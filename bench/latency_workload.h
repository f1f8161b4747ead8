// Latency: how long single calls of malloc and free take, while threads do the steps of
// random_mixed. Every call is timed.
#ifndef HAKMEM_BENCH_LATENCY_WORKLOAD_H_
#define HAKMEM_BENCH_LATENCY_WORKLOAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"
#include "bench/ticks.h"

namespace hak_bench {

struct LatencyShare {
    const char *name; // of the figure, and of the column
    double share;     // of the calls that took no longer
};

// Ascending; the last is the longest call of all.
const std::vector<LatencyShare> &LatencyShares();

// Params: cycles, threads, seed, ws (slots), min_size and max_size (bytes), wide (1: each power of
// two between them is as likely), shared (1: all threads use the same slots, so that blocks are
// freed by others). Figures: malloc_NAME, free_NAME and clock_NAME, ns, for each LatencyShare;
// clock is the clock read twice with nothing between, which is in every figure. switches: times
// that a thread lost its core within a timed run, each of which is some call's time.
class Latency : public Workload {
  public:
    explicit Latency(const Params &params);
    ~Latency() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    double operations() const override { return static_cast<double>(cycles_); }
    std::map<std::string, double> figures() const override;

  private:
    using Slot = std::atomic<char *>;

    // Mapped: it is large, and the allocator's caches are not its.
    struct Lane {
        Slot *slots = nullptr;
        char *stand_in = nullptr; // what the empty loop gets for every block
        std::uint64_t random = 0;
        double ns_a_tick = 0;
        double switches = 0;
        TickHistogram mallocs;
        TickHistogram frees;
        TickHistogram clock;
    };

    std::size_t SizeFrom(std::uint64_t random) const;
    template <class Heap> bool Step(Lane *lane, TickHistogram *mallocs, TickHistogram *frees) const;
    template <class Heap>
    bool Steps(Lane *lane, std::uint64_t count, TickHistogram *mallocs, TickHistogram *frees) const;

    const std::uint64_t cycles_;
    const std::uint64_t seed_;
    const std::uint64_t ws_;
    const std::uint64_t min_size_;
    const std::uint64_t max_size_;
    const bool wide_;
    const bool shared_;
    Slot *all_slots_ = nullptr; // when shared
    std::vector<Lane *> lanes_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_LATENCY_WORKLOAD_H_
