#include "bench/batch_ring.h"

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(BatchRing, IsEmptyThenHoldsItsBatchesThenIsFull) {
    const auto ring = std::make_unique<BatchRing>();
    EXPECT_EQ(ring->Oldest(), nullptr);
    for (std::size_t i = 0; i < kRingBatches; ++i) {
        ASSERT_NE(ring->Vacant(), nullptr);
        ring->Publish();
    }
    EXPECT_EQ(ring->Vacant(), nullptr);
    ASSERT_NE(ring->Oldest(), nullptr);
    ring->Release();
    EXPECT_NE(ring->Vacant(), nullptr);
}

TEST(BatchRing, DoesNotShowABatchBeforeItIsPublished) {
    const auto ring = std::make_unique<BatchRing>();
    EXPECT_NE(ring->Vacant(), nullptr);
    EXPECT_EQ(ring->Oldest(), nullptr);
}

TEST(BatchRing, HandsEveryPointerOverOnceAndInOrder) {
    constexpr std::size_t kBatches = 10000;
    std::vector<char> bytes(kBatches * kBatchBlocks);
    const auto ring = std::make_unique<BatchRing>();
    std::thread sender([&] {
        char *next = bytes.data();
        for (std::size_t sent = 0; sent < kBatches;) {
            Batch *const batch = ring->Vacant();
            if (batch == nullptr) {
                std::this_thread::yield();
                continue;
            }
            for (char *&block : *batch) block = next++;
            ring->Publish();
            ++sent;
        }
    });
    const char *expected = bytes.data();
    std::size_t wrong = 0;
    for (std::size_t got = 0; got < kBatches;) {
        const Batch *const batch = ring->Oldest();
        if (batch == nullptr) {
            std::this_thread::yield();
            continue;
        }
        for (const char *const block : *batch) wrong += block == expected++ ? 0U : 1U;
        ring->Release();
        ++got;
    }
    sender.join();
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(ring->Oldest(), nullptr);
}

} // namespace
} // namespace hak_bench
