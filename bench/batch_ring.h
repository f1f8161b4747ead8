// A bounded queue of batches of blocks from one sender to one receiver. Both work in the queue's
// own memory: nothing is copied, nothing allocated. Whether and how to wait is the caller's.
#ifndef HAKMEM_BENCH_BATCH_RING_H_
#define HAKMEM_BENCH_BATCH_RING_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hak_bench {

// Enough that a block's hand-over costs a fraction of a cache line's way between two cores.
inline constexpr std::size_t kBatchBlocks = 64;
// Enough that neither side waits for the other's every step; few enough that the blocks in it fit
// in a second-level cache when they are small.
inline constexpr std::size_t kRingBatches = 8;

using Batch = std::array<char *, kBatchBlocks>;

// Invariant: released_ <= published_ <= released_ + kRingBatches.
class BatchRing {
  public:
    // The sender's: a batch to fill, then Publish; nullptr when the ring is full.
    Batch *Vacant() {
        const std::uint64_t next = published_.load(std::memory_order_relaxed);
        if (next - released_seen_ == kRingBatches) {
            released_seen_ = released_.load(std::memory_order_acquire);
            if (next - released_seen_ == kRingBatches) return nullptr;
        }
        return &batches_[next % kRingBatches];
    }
    void Publish() {
        published_.store(published_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    // The receiver's: the oldest batch, then Release; nullptr when the ring is empty.
    Batch *Oldest() {
        const std::uint64_t next = released_.load(std::memory_order_relaxed);
        if (next == published_seen_) {
            published_seen_ = published_.load(std::memory_order_acquire);
            if (next == published_seen_) return nullptr;
        }
        return &batches_[next % kRingBatches];
    }
    void Release() {
        released_.store(released_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

  private:
    // The sender's line: it writes both, the receiver reads the first.
    alignas(64) std::atomic<std::uint64_t> published_{0}; // batches ever
    std::uint64_t released_seen_ = 0;
    // The receiver's line.
    alignas(64) std::atomic<std::uint64_t> released_{0}; // batches ever
    std::uint64_t published_seen_ = 0;
    alignas(64) std::array<Batch, kRingBatches> batches_{};
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_BATCH_RING_H_
