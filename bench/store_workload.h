// Stores: what a program keeps, blocks of many sizes, the most of them small.
#ifndef HAKMEM_BENCH_STORE_WORKLOAD_H_
#define HAKMEM_BENCH_STORE_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

enum class Store : std::int64_t {
    kCache,   // a queue of so many bytes: the newest block in, the oldest ones out
    kReplace, // slots: a random one is freed when it is full, filled when it is empty
    kBuffers, // slots: a random one is freed and filled with another block
    kWritten, // the same, of smaller blocks, which are written whole
    kLarge,   // the same, of blocks of a size between
};

// Params: store, bytes (kCache: of a thread's queue), slots (all but kCache: of a thread), cycles
// (steps a thread), threads, seed.
//
// Sizes, in kCache: log-normal, half of them below 1200 bytes, one in a hundred above 8 KiB. In
// kReplace: 16 B to 1 MiB, each doubling three quarters as often as the one before. All as often in
// the others; in kBuffers 5 to 25 MiB, in kWritten 64 KiB to 1 MiB, in kLarge 1 to 2 MiB. What is
// written: in kBuffers a byte of every page, in kWritten all, else a block's first and last byte.
class Stores : public Workload {
  public:
    explicit Stores(const Params &params);
    ~Stores() override;

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override;
    void RunEmpty(int thread) override;
    // Pairs are two each: a step is a pair, one of kReplace half of one.
    double operations() const override;

  private:
    struct Block {
        char *bytes;
        std::uint64_t size;
    };

    // A thread's own; whole cache lines, so that threads share none.
    struct alignas(64) Shelf {
        Block *blocks = nullptr;  // mapped, not allocated; capacity_ of them
        char *stand_in = nullptr; // what the empty loop gets for every block
        std::uint64_t first = 0;  // kCache: of the blocks, the oldest
        std::uint64_t count = 0;  // of them that are there
        std::uint64_t bytes = 0;  // in them
        std::uint64_t random = 0;
        bool failed = false;
    };

    template <class Heap> char *Fresh(Shelf *shelf, std::uint64_t size) const;
    template <class Heap> void Drop(Shelf *shelf, Block *block) const;
    template <class Heap> void CacheStep(Shelf *shelf, std::uint64_t size) const;
    template <class Heap> void SlotStep(Shelf *shelf, std::uint64_t size) const;
    template <class Heap> void Steps(Shelf *shelf, std::uint64_t steps) const;

    const Store store_;
    const std::uint64_t bytes_;
    const std::uint64_t capacity_;
    const std::uint64_t steps_;
    const std::uint64_t seed_;
    std::vector<std::uint32_t> sizes_; // a random one is as good as one of the distribution
    std::vector<Shelf> threads_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_STORE_WORKLOAD_H_
