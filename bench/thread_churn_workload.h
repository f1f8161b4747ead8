// Thread churn: threads that live briefly. In kGenerations a thread takes over the blocks that the
// one before it left, replaces some and leaves the rest to the next; in kLives it frees all it has
// allocated. The harness's threads only start and join: as many as there are live at once.
#ifndef HAKMEM_BENCH_THREAD_CHURN_WORKLOAD_H_
#define HAKMEM_BENCH_THREAD_CHURN_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

enum class Churn {
    kGenerations = 0,
    kLives = 1,
};

// Params: cycles, threads, seed, churn, blocks (that a line of threads has), replaced (of them by
// each thread; all of them in kLives), min_size and max_size (bytes).
class ThreadChurn : public Workload {
  public:
    explicit ThreadChurn(const Params &params);
    ~ThreadChurn() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    // Whole lives: a little above cycles.
    double operations() const override;
    double worked_ns() const override;

  private:
    // One line of threads, each after the other; whole cache lines, so that lines share none.
    struct alignas(64) Line {
        const ThreadChurn *churn = nullptr;
        char **blocks = nullptr;  // mapped, not allocated; blocks_ of them, null: not yet there
        char *stand_in = nullptr; // what the empty loop gets for every block
        std::uint64_t random = 0;
        double cpu_begin = 0; // the process's clock around the last lives, ns
        double cpu_end = 0;
        bool failed = false;
    };

    template <class Heap> void Replace(Line *line, std::uint64_t slot) const;
    template <class Heap> void Generation(Line *line) const;
    template <class Heap> void Life(Line *line) const;
    template <class Heap> void Lives(Line *line, std::uint64_t count) const;

    const Churn churn_;
    const std::uint64_t seed_;
    const std::uint64_t blocks_;
    const std::uint64_t replaced_;
    const std::uint64_t min_size_;
    const std::uint64_t max_size_;
    const std::uint64_t lives_; // a line, in Run
    std::vector<Line> lines_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_THREAD_CHURN_WORKLOAD_H_
