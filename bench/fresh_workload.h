// Fresh: memory that nobody had before. Blocks are allocated, a byte of each of their pages is
// written, and nothing is freed until the end.
#ifndef HAKMEM_BENCH_FRESH_WORKLOAD_H_
#define HAKMEM_BENCH_FRESH_WORKLOAD_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

// Params: bytes (of all threads), min_size, max_size, zeroed (1: calloc), threads, seed.
// Figures: live_mb, the sizes that were asked for.
class FreshBlocks : public Workload {
  public:
    explicit FreshBlocks(const Params &params);
    ~FreshBlocks() override;

    void Prepare(int thread) override;
    // None: what was allocated once is not fresh.
    void WarmUp(int /*thread*/) override {}
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    double operations() const override { return static_cast<double>(count_); }
    // The threads' processor time: with other work on the machine it holds better.
    double worked_ns() const override;
    std::map<std::string, double> figures() const override;

  private:
    struct alignas(64) Slots {
        char **blocks = nullptr;  // mapped, not allocated; count_ of them
        char *stand_in = nullptr; // what the empty loop gets for every block
        double worked_ns = 0;     // in the last Run or RunEmpty
    };

    template <class Heap> bool Steps(Slots *slots) const;
    std::size_t SizeFrom(std::uint64_t random) const;

    const std::uint64_t min_size_;
    const std::uint64_t max_size_;
    const bool zeroed_;
    const std::uint64_t seed_;
    std::uint64_t count_ = 0; // blocks of a thread
    double thread_bytes_ = 0; // in them
    std::vector<Slots> threads_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_FRESH_WORKLOAD_H_
