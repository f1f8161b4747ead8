/* What is counted against the limit: to the byte, and by many threads at once. */
#include "hakmem/os_backend/budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

class Budget : public testing::Test {
  protected:
    void TearDown() override {
        EXPECT_EQ(hak_budget_used(), used_);
        hak_budget_set_limit(0);
    }
    const size_t used_ = hak_budget_used();
};

TEST_F(Budget, IsGivenOutToTheLastByte) {
    hak_budget_set_limit(used_ + 100);
    EXPECT_EQ(hak_budget_left(), 100u);
    EXPECT_FALSE(hak_budget_take(101));
    EXPECT_TRUE(hak_budget_take(99));
    EXPECT_TRUE(hak_budget_take(1));
    EXPECT_EQ(hak_budget_left(), 0u);
    EXPECT_FALSE(hak_budget_take(1));
    hak_budget_give(100);
}

TEST_F(Budget, RefusesAllWhereMoreIsUsedThanItsLimit) {
    ASSERT_TRUE(hak_budget_take(1000));
    hak_budget_set_limit(used_ + 10);
    EXPECT_EQ(hak_budget_left(), 0u);
    EXPECT_FALSE(hak_budget_take(1));
    EXPECT_FALSE(hak_budget_take(SIZE_MAX / 2));
    hak_budget_give(1000);
    EXPECT_TRUE(hak_budget_take(1));
    hak_budget_give(1);
}

TEST_F(Budget, LosesNothingBesideOtherThreads) {
    for (size_t limit : {size_t{0}, used_ + 3}) {
        hak_budget_set_limit(limit);
        std::atomic<size_t> most{0};
        std::atomic<int> ready{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++) {
            threads.emplace_back([&] {
                ready++;
                while (ready < 4) std::this_thread::yield();
                for (int i = 0; i < 200000; i++) {
                    if (!hak_budget_take(1)) continue;
                    size_t now = hak_budget_used();
                    if (now > most) most = now;
                    hak_budget_give(1);
                }
            });
        }
        for (auto &t : threads) t.join();
        EXPECT_EQ(hak_budget_used(), used_);
        EXPECT_LE(most, limit != 0 ? limit : SIZE_MAX);
    }
}

TEST_F(Budget, CountsWhatIsMapped) {
    hak_budget_set_limit(used_ + 4 * MiB);
    void *a = hak_os_map(3 * MiB, 64 * KiB);
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(hak_budget_used(), used_ + 3 * MiB);
    EXPECT_EQ(hak_os_map(2 * MiB, 64 * KiB), nullptr);
    EXPECT_EQ(hak_budget_used(), used_ + 3 * MiB);
    EXPECT_TRUE(hak_os_unmap(a, 3 * MiB));
    void *b = hak_os_map(4 * MiB, 64 * KiB);
    ASSERT_NE(b, nullptr);
    EXPECT_FALSE(hak_os_resize(b, 4 * MiB, 5 * MiB));
    EXPECT_TRUE(hak_os_resize(b, 4 * MiB, 1 * MiB));
    EXPECT_EQ(hak_budget_used(), used_ + 1 * MiB);
    hak_os_discard(b, 1 * MiB);
}

TEST_F(Budget, CountsNoTargetOfAMoveThatFails) {
    char *from = static_cast<char *>(hak_os_map(64 * KiB, 64 * KiB));
    void *to = hak_os_map(1 * MiB, 64 * KiB);
    ASSERT_TRUE(hak_os_unmap(from, 64 * KiB)); /* nothing to move */
    EXPECT_FALSE(hak_os_move(from, 64 * KiB, to, 1 * MiB));
}

} // namespace
