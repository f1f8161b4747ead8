/* What others free into the slabs of a thread that sleeps does not wait until it wakes. */
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "hakmem/os_backend/budget.h"

namespace {

constexpr size_t kMiB = 1024 * 1024;

hak_stats Stats() {
    hak_stats stats{};
    stats.size = sizeof(stats);
    hak_stats_get(&stats);
    return stats;
}

/* Threads that allocate `mib` MiB each of blocks of `size` bytes, and sleep. */
class Sleepers {
  public:
    Sleepers(int threads, size_t mib, size_t size) : blocks(threads) {
        for (int i = 0; i < threads; i++) {
            threads_.emplace_back([this, i, mib, size] {
                for (size_t n = 0; n < mib * kMiB / size; n++) {
                    char *b = static_cast<char *>(hak_malloc(size));
                    b[0] = b[size - 1] = 1;
                    blocks[i].push_back(b);
                }
                asleep_++;
                while (!wake_) usleep(1000);
                /* It finds its heap in order. */
                std::vector<void *> more;
                for (size_t n = 0; n < 1000; n++) more.push_back(hak_malloc(size));
                for (void *b : more) hak_free(b);
            });
        }
        while (asleep_ != threads) usleep(1000);
    }
    ~Sleepers() { Wake(); }
    void Wake() {
        wake_ = true;
        for (std::thread &t : threads_) t.join();
        threads_.clear();
    }
    void FreeAll() {
        for (std::vector<char *> &of_one : blocks) {
            for (char *b : of_one) hak_free(b);
        }
    }

    std::vector<std::vector<char *>> blocks;

  private:
    std::vector<std::thread> threads_;
    std::atomic<int> asleep_{0};
    std::atomic<bool> wake_{false};
};

class Sleeper : public testing::Test {
  protected:
    void TearDown() override {
        hak_trim(0);
        EXPECT_EQ(Stats().live_bytes, 0u);
        EXPECT_TRUE(hak_check_counts());
    }
};

TEST_F(Sleeper, HasWhatOthersFreedTakenInByAThreadThatGoesOn) {
    Sleepers sleepers(4, 12, 1000);
    uint64_t before = Stats().counted_bytes;
    sleepers.FreeAll();
    /* Ticks come by the way; the alarm ends what never comes. */
    alarm(100);
    while (Stats().counted_bytes + 36 * kMiB > before) {
        std::vector<void *> blocks;
        for (size_t n = 0; n < 200; n++) blocks.push_back(hak_malloc(16 + 20 * n));
        for (void *b : blocks) hak_free(b);
    }
    alarm(0);
}

TEST_F(Sleeper, HasWhatOthersFreedTakenInWhenMemoryIsShort) {
    hak_trim(0);
    hak_budget_set_limit(hak_budget_used() + 40 * kMiB);
    Sleepers sleepers(4, 8, 1000);
    sleepers.FreeAll();
    void *block = hak_malloc(32 * kMiB);
    EXPECT_NE(block, nullptr);
    hak_free(block);
    hak_budget_set_limit(0);
}

/* Owners wake, work and sleep, while others free into their slabs, trim, and run out of memory. */
TEST_F(Sleeper, MayWakeAtAnyTime) {
    constexpr int kThreads = 4, kBlocks = 300;
    static std::atomic<void *> slots[kThreads][kBlocks];
    std::atomic<bool> stop{false};
    std::atomic<int> rounds{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([&stop, &rounds, i] {
            for (size_t n = 0; !stop; n++) {
                /* Each frees what its neighbour made. */
                for (std::atomic<void *> &slot : slots[i]) {
                    hak_free(slot.exchange(hak_malloc(200 + n % 7 * 900)));
                }
                for (std::atomic<void *> &slot : slots[(i + 1) % kThreads]) {
                    hak_free(slot.exchange(nullptr));
                }
                rounds++;
                if (n % 8 == 0) usleep(200);
            }
            for (std::atomic<void *> &slot : slots[i]) hak_free(slot.exchange(nullptr));
        });
    }
    for (int n = 0; n < 300 || rounds < 2000; n++) hak_trim(0);
    stop = true;
    for (std::thread &t : threads) t.join();
    for (auto &of_one : slots) {
        for (std::atomic<void *> &slot : of_one) hak_free(slot.exchange(nullptr));
    }
}

} // namespace
