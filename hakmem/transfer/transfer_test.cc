/* Chains are handed over whole, bounded, and none is lost between threads. */
#include "hakmem/transfer/transfer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace {

/* A chain of `count` words that stand for blocks: only a first word is ever looked at. */
struct blocks {
    explicit blocks(uint32_t count) : words(count) {
        for (uint32_t i = 0; i + 1 < count; i++) words[i] = &words[i + 1];
    }
    chain as_chain() { return {words.data(), static_cast<uint32_t>(words.size())}; }
    std::vector<void *> words;
};

class Transfer : public testing::Test {
  protected:
    void TearDown() override {
        for (unsigned c = 0; c < CLASSES; c++) drain(c);
        EXPECT_EQ(hak_transfer_bytes(), 0u);
    }
    static unsigned drain(unsigned c) {
        unsigned n = 0;
        while (hak_transfer_pop(c).head != nullptr) n++;
        return n;
    }
};

TEST_F(Transfer, HasNothingAtFirst) {
    for (unsigned c = 0; c < CLASSES; c++) {
        chain none = hak_transfer_pop(c);
        EXPECT_EQ(none.head, nullptr);
        EXPECT_EQ(none.count, 0u);
    }
    EXPECT_EQ(hak_transfer_bytes(), 0u);
}

TEST_F(Transfer, HandsAChainOverWhole) {
    blocks b(5);
    ASSERT_TRUE(hak_transfer_push(3, b.as_chain()));
    EXPECT_EQ(hak_transfer_bytes(), 5u * hak_size_class[3].block_bytes);
    EXPECT_EQ(hak_transfer_pop(2).head, nullptr);
    EXPECT_EQ(hak_transfer_pop(4).head, nullptr);
    chain got = hak_transfer_pop(3);
    EXPECT_EQ(got.head, b.words.data());
    EXPECT_EQ(got.count, 5u);
    uint32_t walked = 0;
    for (void *p = got.head; p != nullptr; p = *static_cast<void **>(p)) walked++;
    EXPECT_EQ(walked, 5u);
    EXPECT_EQ(hak_transfer_pop(3).head, nullptr);
}

TEST_F(Transfer, RefusesAboveAClassesBoundAndChangesNothing) {
    for (unsigned c = 0; c < CLASSES; c++) {
        uint64_t block_bytes = hak_size_class[c].block_bytes;
        uint32_t count = block_bytes > 32 * KiB ? 1 : static_cast<uint32_t>(32 * KiB / block_bytes);
        std::vector<blocks> all;
        for (int i = 0; i < TRANSFER_CHAINS + 1; i++) all.emplace_back(count);
        unsigned taken = 0;
        while (taken < all.size() && hak_transfer_push(c, all[taken].as_chain())) taken++;
        EXPECT_GE(taken, 1u) << c; /* one chain always, however big its blocks */
        EXPECT_LE(taken, static_cast<unsigned>(TRANSFER_CHAINS)) << c;
        uint64_t bytes = hak_transfer_bytes();
        EXPECT_EQ(bytes, taken * count * block_bytes);
        EXPECT_LE(bytes, taken == 1 ? MEDIUM_MAX : TRANSFER_CLASS_BYTES) << c;
        EXPECT_FALSE(hak_transfer_push(c, all[taken].as_chain())) << c;
        EXPECT_EQ(hak_transfer_bytes(), bytes);
        EXPECT_EQ(drain(c), taken) << c;
    }
}

TEST_F(Transfer, AllStocksTogetherAreBounded) {
    blocks b(1);
    for (unsigned c = 0; c < CLASSES; c++) {
        for (int i = 0; i < TRANSFER_CHAINS; i++) hak_transfer_push(c, b.as_chain());
        EXPECT_LE(hak_transfer_bytes(), TRANSFER_BYTES);
    }
    EXPECT_GT(hak_transfer_bytes(), TRANSFER_BYTES - MEDIUM_MAX); /* the bound was met */
}

TEST_F(Transfer, GivesUpWhatNobodyCameFor) {
    std::vector<blocks> b(4, blocks(1));
    for (blocks &one : b) one = blocks(3);
    for (blocks &one : b) ASSERT_TRUE(hak_transfer_push(5, one.as_chain()));
    EXPECT_EQ(hak_transfer_pop_idle(5).head, nullptr) << "it counts from now on";
    EXPECT_EQ(hak_transfer_pop(5).head, b[3].words.data());
    ASSERT_TRUE(hak_transfer_push(5, b[3].as_chain()));
    for (int i = 0; i < 3; i++) EXPECT_EQ(hak_transfer_pop_idle(5).head, b[i].words.data());
    EXPECT_EQ(hak_transfer_pop_idle(5).head, nullptr) << "the last one came later";
    EXPECT_EQ(hak_transfer_bytes(), 3u * hak_size_class[5].block_bytes);
    EXPECT_EQ(hak_transfer_pop_idle(5).head, b[3].words.data());
    EXPECT_EQ(hak_transfer_bytes(), 0u);
}

TEST_F(Transfer, GoesOnAfterTheLocksOfAFork) {
    blocks b(2);
    hak_transfer_lock();
    hak_transfer_unlock();
    EXPECT_TRUE(hak_transfer_push(9, b.as_chain()));
    EXPECT_EQ(drain(9), 1u);
}

TEST_F(Transfer, PushersAndPoppersLoseNothing) {
    constexpr unsigned kClass = 7;
    constexpr int kPushers = 2, kChains = 3000;
    std::vector<std::vector<void *>> words(kPushers, std::vector<void *>(kChains));
    std::atomic<int> pushing{kPushers};
    std::mutex mutex;
    std::multiset<void *> popped; /* guarded by mutex */
    std::vector<std::thread> threads;
    for (int t = 0; t < kPushers; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kChains; i++) {
                words[t][i] = nullptr; /* the popper must see this write */
                while (!hak_transfer_push(kClass, {&words[t][i], 1})) std::this_thread::yield();
            }
            pushing--;
        });
    }
    for (int t = 0; t < 2; t++) {
        threads.emplace_back([&] {
            std::vector<void *> mine;
            for (;;) {
                bool last = pushing == 0;
                chain got = hak_transfer_pop(kClass);
                if (got.head != nullptr) {
                    *static_cast<void **>(got.head) = got.head; /* it is ours now */
                    mine.push_back(got.head);
                } else if (last) {
                    break;
                } else {
                    std::this_thread::yield();
                }
            }
            std::lock_guard<std::mutex> hold(mutex);
            popped.insert(mine.begin(), mine.end());
        });
    }
    for (auto &t : threads) t.join();
    EXPECT_EQ(popped.size(), static_cast<size_t>(kPushers) * kChains);
    for (auto &row : words) {
        for (void *&word : row) EXPECT_EQ(popped.count(&word), 1u);
    }
}

} // namespace
