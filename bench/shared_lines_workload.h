// Shared lines: do two threads get small blocks of one cache line? Each allocates a small block,
// writes it many times and frees it, again and again. Where another thread's block lies in the same
// line, every write waits for the line's way between two cores.
#ifndef HAKMEM_BENCH_SHARED_LINES_WORKLOAD_H_
#define HAKMEM_BENCH_SHARED_LINES_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/cores.h"
#include "bench/harness/bench.h"

namespace hak_bench {

enum class Sharing : std::int64_t {
    kThrash,  // each thread has blocks of its own from the beginning
    kScratch, // one thread allocates neighbours, one for each; each frees its first, then goes on
};

// Params: sharing, cycles (pairs a thread), threads, size (bytes), writes (a block).
class SharedLines : public Workload {
  public:
    explicit SharedLines(const Params &params);
    ~SharedLines() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    // A pair is two: a malloc and a free.
    double operations() const override { return 2 * static_cast<double>(cycles_); }

  private:
    struct alignas(64) Lane {
        char *first = nullptr;    // of kScratch, from thread 0; null for none
        char *stand_in = nullptr; // what the empty loop gets for every block
    };

    template <class Heap> bool Steps(const Lane &lane) const;

    const Sharing sharing_;
    const std::uint64_t cycles_;
    const std::size_t size_;
    const std::uint64_t writes_;
    const Cores cores_;
    std::vector<Lane> lanes_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_SHARED_LINES_WORKLOAD_H_
