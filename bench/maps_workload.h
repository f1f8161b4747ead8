// Maps: a C++ program's containers. Each round fills an ordered map of strings, a hash table of
// vectors and a list of strings, takes elements out again, and drops them all.
#ifndef HAKMEM_BENCH_MAPS_WORKLOAD_H_
#define HAKMEM_BENCH_MAPS_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

// Params: cycles (elements that a thread puts into each container), threads, seed. Memory that runs
// out ends the process, as an exception that nobody catches does.
class Maps : public Workload {
  public:
    explicit Maps(const Params &params);

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    // There is no loop without its containers.
    void RunEmpty(int thread) override;
    // Elements are two each.
    double operations() const override;

  private:
    // A thread's own; whole cache lines, so that threads share none.
    struct alignas(64) Thread {
        std::uint64_t random = 0;
        std::uint64_t left = 0; // elements in the last round: so that it is not left out
    };

    void Round(Thread *thread) const;

    const std::uint64_t rounds_;
    const std::uint64_t seed_;
    std::vector<Thread> threads_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_MAPS_WORKLOAD_H_
