// Sizes: one block size after another, from 16 bytes to 32 MiB; ns a pair of malloc and free at
// each. Both ends of every block are written.
#ifndef HAKMEM_BENCH_SIZES_WORKLOAD_H_
#define HAKMEM_BENCH_SIZES_WORKLOAD_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

enum class Pairs : std::int64_t {
    kLifo,  // a block is freed before the next one is allocated
    kBatch, // blocks are allocated sixteen at a time, then freed, oldest first
};

// The powers of two and three sizes between two of them, ascending, up to `max_size`.
std::vector<std::size_t> SweepSizes(std::size_t max_size);

// The name of the figure that is ns a pair at `size`.
std::string SweepFigure(Pairs pairs, std::size_t size);

// Params: span_us (processor time for each figure), max_size (bytes), threads (1).
// Figures: a SweepFigure for each size and way, and loop_lifo and loop_batch: ns a pair of the same
// loops without an allocator.
class SizeSweep : public Workload {
  public:
    explicit SizeSweep(const Params &params);
    ~SizeSweep() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    // How many a span takes is found out by running it; loops without an allocator take more.
    double operations() const override { return operations_; }
    std::map<std::string, double> figures() const override;

  private:
    template <class Heap> bool Steps(Pairs pairs, std::size_t size, std::uint64_t count) const;
    template <class Heap> double NsAPair(Pairs pairs, std::size_t size);

    const double span_ns_;
    const std::vector<std::size_t> sizes_;
    std::vector<double> lifo_; // ns a pair, by place in sizes_
    std::vector<double> batch_;
    double loop_lifo_ = 0;
    double loop_batch_ = 0;
    double operations_ = 0;
    char *stand_in_ = nullptr;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_SIZES_WORKLOAD_H_
