// Patterns: blocks that come and go in a fixed order. Both ends of every block are written.
#ifndef HAKMEM_BENCH_PATTERNS_WORKLOAD_H_
#define HAKMEM_BENCH_PATTERNS_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

enum class Order : std::int64_t {
    kLifo,         // a block is freed before the next one is allocated
    kBatch,        // blocks are allocated, then freed, oldest first, again and again
    kFifo,         // a queue: each step frees the oldest block and takes a new one
    kCalloc,       // as kLifo, by calloc
    kOnce,         // blocks are allocated, then freed, oldest first, once: nothing was done before
    kOnceShuffled, // the same, freed in random order
};

// Params: order, blocks (that are held at once; 1 for kLifo and kCalloc), cycles (pairs a thread;
// for kOnce as many as blocks), threads, seed, min_size and max_size (bytes).
class Patterns : public Workload {
  public:
    explicit Patterns(const Params &params);
    ~Patterns() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    // A pair is two: a malloc and a free.
    double operations() const override;

  private:
    // A thread's own; whole cache lines, so that threads share none.
    struct alignas(64) Slots {
        char **blocks = nullptr;        // mapped, not allocated; blocks_ of them
        char *stand_in = nullptr;       // what the empty loop gets for every block
        std::uint32_t *order = nullptr; // in which blocks are freed; mapped, for kOnceShuffled
        std::uint64_t random = 0;
    };

    void Shuffle(Slots *slots) const;
    template <class Heap> char *Fresh(Slots *slots) const;
    template <class Heap> bool Batch(Slots *slots) const;
    template <class Heap> bool Steps(Slots *slots, std::uint64_t rounds) const;
    std::uint64_t RoundsOf(std::uint64_t pairs) const;

    const Order order_;
    const std::uint64_t blocks_;
    const std::uint64_t rounds_; // each of blocks_ pairs
    const std::uint64_t seed_;
    const std::uint64_t min_size_;
    const std::uint64_t max_size_;
    std::vector<Slots> threads_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_PATTERNS_WORKLOAD_H_
