// Cross-thread: blocks that another thread frees than allocated them. A block's first and last
// bytes are written by its sender, the first is read by its receiver.
#ifndef HAKMEM_BENCH_CROSS_THREAD_WORKLOAD_H_
#define HAKMEM_BENCH_CROSS_THREAD_WORKLOAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/batch_ring.h"
#include "bench/cores.h"
#include "bench/harness/bench.h"

namespace hak_bench {

// How blocks go from thread to thread. A thread without a partner is its own.
enum class Pattern {
    kOneWay = 0,    // threads in pairs: the first allocates, the second frees
    kSymmetric = 1, // threads in pairs: both send to the other, and free what they get
    kRing = 2,      // each thread sends to the next; a quarter of what it gets it passes on
    kExchange = 3,  // each thread swaps a new block for a random one of those that all share
};

// Params: cycles, threads, seed, pattern, min_size and max_size (bytes).
class CrossThread : public Workload {
  public:
    explicit CrossThread(const Params &params);
    ~CrossThread() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    // Whole batches: a little above cycles.
    double operations() const override;
    double worked_ns() const override;

  private:
    // A thread's own; whole cache lines, so that threads share none.
    struct alignas(64) Lane {
        BatchRing *in = nullptr;  // what it frees comes from here; null when it only sends
        BatchRing *out = nullptr; // what it allocates goes here; null when it only receives
        char *stand_in = nullptr; // what the empty loop gets for every block
        std::uint64_t random = 0;
        double looked_ns = 0; // processor time of waiting for a ring
        double worked_ns = 0; // processor time of the last steps, without looked_ns
    };

    void Connect(std::size_t thread);
    std::uint64_t OperationsAStep() const;
    template <class Next> Batch *Await(Lane *lane, Next next);
    template <class Heap> char *Fresh(Lane *lane);
    template <class Heap> bool Send(Lane *lane);
    template <class Heap> bool Receive(Lane *lane);
    template <class Heap> bool PassOn(Lane *lane);
    template <class Heap> bool Exchange(Lane *lane);
    template <class Heap> bool Step(Lane *lane);
    template <class Heap> bool Preload(Lane *lane);
    template <class Heap> void Steps(Lane *lane, std::uint64_t count);

    const Pattern pattern_;
    const std::uint64_t seed_;
    const std::uint64_t min_size_;
    const std::uint64_t max_size_;
    const std::uint64_t steps_;
    const Cores cores_;
    std::vector<Lane> lanes_;
    std::vector<BatchRing> rings_;            // rings_[i] leads to thread i
    std::vector<std::atomic<char *>> shared_; // kExchange's blocks; null: none yet
    std::atomic<bool> failed_{false};         // malloc returned NULL: nobody waits any more
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_CROSS_THREAD_WORKLOAD_H_
