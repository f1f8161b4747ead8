// Realloc: blocks that grow step by step, vectors that double, blocks that shrink, and blocks whose
// size stays as it is.
#ifndef HAKMEM_BENCH_REALLOC_WORKLOAD_H_
#define HAKMEM_BENCH_REALLOC_WORKLOAD_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

enum class Resize : std::int64_t {
    kGrow,   // one block from 4 KiB to 64 MiB by eighths; a byte of each further page is written
    kDouble, // a random one of many vectors doubles, from 16 B to 8 KiB, and then begins anew
    kShrink, // one block from 64 KiB to 64 B by eighths
    kSame,   // a random one of many blocks of 16 B to 64 KiB
};

// Steps from the first size to the last one; 0 for ways that have neither.
std::int64_t StepsOf(Resize resize);

// Params: resize, cycles (reallocs a thread), threads, seed. Figures: moved_share (of the reallocs
// of a block; 0 to 1), steps (StepsOf).
class Reallocs : public Workload {
  public:
    explicit Reallocs(const Params &params);
    ~Reallocs() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    double operations() const override { return static_cast<double>(cycles_); }
    // The threads' processor time: with other work on the machine it holds better.
    double worked_ns() const override;
    std::map<std::string, double> figures() const override;

  private:
    struct Block {
        char *bytes;
        std::size_t size;
    };

    // A thread's own; whole cache lines, so that threads share none.
    struct alignas(64) Slots {
        Block *blocks = nullptr;  // mapped, not allocated
        char *stand_in = nullptr; // what the empty loop gets for every block
        std::uint64_t random = 0;
        std::uint64_t moved = 0;   // in Run
        std::uint64_t resized = 0; // reallocs of a block, in Run
        double worked_ns = 0;      // in the last Run or RunEmpty
        bool failed = false;
    };

    template <class Heap> bool Step(Slots *slots, Block *block, std::size_t size) const;
    template <class Heap> void StepsByEighths(Slots *slots, std::uint64_t count) const;
    template <class Heap> void StepsAtRandom(Slots *slots, std::uint64_t count) const;
    template <class Heap> void Steps(Slots *slots, std::uint64_t count) const;
    void FillSame(Slots *slots) const;

    const Resize resize_;
    const std::uint64_t cycles_;
    const std::uint64_t seed_;
    std::vector<Slots> threads_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_REALLOC_WORKLOAD_H_
