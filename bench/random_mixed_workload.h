// Random mixed: each step picks a random slot, frees it when it is full, and else fills it with
// a block of random size whose first and last bytes are written.
#ifndef HAKMEM_BENCH_RANDOM_MIXED_WORKLOAD_H_
#define HAKMEM_BENCH_RANDOM_MIXED_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

// Params: cycles, threads, seed, ws (slots a thread), min_size and max_size (bytes).
class RandomMixed : public Workload {
  public:
    explicit RandomMixed(const Params &params);
    ~RandomMixed() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    double operations() const override { return static_cast<double>(cycles_); }

  private:
    // A thread's own; whole cache lines, so that threads share none.
    struct alignas(64) Slots {
        char **blocks = nullptr;  // mapped, not allocated; ws_ of them
        char *stand_in = nullptr; // what the empty loop gets for every block
        std::uint64_t random = 0;
        bool failed = false;
    };

    template <class Heap> void Steps(Slots *slots, std::uint64_t count) const;

    const std::uint64_t cycles_;
    const std::uint64_t seed_;
    const std::uint64_t ws_;
    const std::uint64_t min_size_;
    const std::uint64_t max_size_;
    std::vector<Slots> threads_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_RANDOM_MIXED_WORKLOAD_H_
