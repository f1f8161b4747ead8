/* Under a limit, what fits is served: a request waits for what other threads have in hand. */
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/hakmem.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

constexpr size_t kMiB = 1024 * 1024;

std::atomic<bool> armed{false}, in_purge{false}, go_on{false};

/* Stops the first purge until `go_on`; refuses none. */
bool stop_first_purge(os_call call) {
    if (call != OS_PURGE || !armed || in_purge.exchange(true)) return false;
    while (!go_on) std::this_thread::yield();
    return false;
}

class Reclaim : public testing::Test {
  protected:
    void SetUp() override {
        hak_trim(0);
        armed = in_purge = go_on = false;
        hak_os_set_fault(stop_first_purge);
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_budget_set_limit(0);
        hak_trim(0);
        EXPECT_TRUE(hak_check_counts());
    }
    static void SetLimit(size_t bytes) { hak_budget_set_limit(hak_budget_used() + bytes); }

    /* Runs `gives`, which comes to a purge and stops there; then `asks`; then lets it go on, at a
     * moment when what is asked for was refused already, unless it waits. */
    template <typename Gives, typename Asks> static void Beside(Gives gives, Asks asks) {
        std::thread giver(gives);
        while (!in_purge) std::this_thread::yield();
        std::thread asker(asks);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        go_on = true;
        asker.join();
        giver.join();
    }
};

std::vector<void *> Exhaust(size_t size) {
    std::vector<void *> blocks;
    for (void *b = hak_malloc(size); b != nullptr; b = hak_malloc(size)) blocks.push_back(b);
    return blocks;
}

TEST_F(Reclaim, WaitsForATrim) {
    SetLimit(24 * kMiB);
    Beside(
        [] {
            for (void *b : Exhaust(kMiB)) hak_free(b);
            armed = true;
            hak_trim(0);
        },
        [] {
            void *b = hak_malloc(22 * kMiB);
            EXPECT_NE(b, nullptr);
            hak_free(b);
        });
}

TEST_F(Reclaim, WaitsForAFreeThatPurges) {
    SetLimit(40 * kMiB);
    std::atomic<size_t> freed{0};
    Beside(
        [&freed] {
            std::vector<void *> blocks = Exhaust(kMiB);
            armed = true;
            for (void *b : blocks) {
                hak_free(b);
                freed++;
            }
        },
        [&freed] {
            /* The last one is still being freed. */
            size_t least = freed;
            std::vector<void *> blocks = Exhaust(kMiB);
            EXPECT_GE(blocks.size(), least);
            for (void *b : blocks) hak_free(b);
        });
}

TEST_F(Reclaim, WaitsForALargeBlockOnItsWayFromListToList) {
    SetLimit(12 * kMiB);
    hak_options.large_cache_calm_mb = 8; /* so that it is kept at first */
    Beside(
        [] {
            hak_free(hak_malloc(5 * kMiB));
            armed = true;
            uint64_t now = clock_ms();
            for (int i = 1; i < 5; i++) hak_large_tick(now + 1000 * i);
        },
        [] {
            void *b = hak_malloc(10 * kMiB);
            EXPECT_NE(b, nullptr);
            hak_free(b);
        });
    hak_options.large_cache_calm_mb = 0;
}

/* Every thread has one large block at most: all of them fit, whatever is cached. */
TEST_F(Reclaim, WhatFitsIsServed) {
    constexpr int kThreads = 4, kRounds = 1500;
    SetLimit(kThreads * 5 * kMiB + 2 * kMiB);
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([&refused, i] {
            uint64_t random = 77 + i;
            for (int n = 0; n < kRounds; n++) {
                random = random * 6364136223846793005 + 1442695040888963407;
                void *b = hak_malloc(kMiB + 1 + (random >> 33) % (4 * kMiB));
                if (b == nullptr) refused++;
                hak_free(b);
            }
        });
    }
    for (std::thread &t : threads) t.join();
    EXPECT_EQ(refused, 0);
}

std::atomic<int> handled{0};

/* Blocks of this size never take the hot path: a handler may ask for them anywhere. */
void AllocateInHandler(int) {
    int saved = errno;
    void *b = hak_malloc(3 * kMiB);
    hak_free(b);
    handled++;
    errno = saved;
}

/* A handler comes while its own thread reclaims, waits for its turn, or has memory in hand: it is
 * served aside, and never waits for itself. */
TEST_F(Reclaim, ASignalHandlerNeverWaitsForItsOwnThread) {
    constexpr int kThreads = 3;
    struct sigaction action = {}, before;
    action.sa_handler = AllocateInHandler;
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    SetLimit(9 * kMiB);
    std::atomic<bool> stop{false};
    std::atomic<long> refused{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([&stop, &refused, i] {
            for (size_t n = 0; !stop; n++) {
                /* The last one never fits: it reclaims each time. */
                void *b = hak_malloc(kMiB + 1 + (i + n) % 4 * 4 * kMiB);
                if (b == nullptr) refused++;
                hak_free(b);
            }
        });
    }
    handled = 0;
    while (handled < 3000) {
        for (std::thread &t : threads) pthread_kill(t.native_handle(), SIGUSR1);
    }
    stop = true;
    for (std::thread &t : threads) t.join();
    EXPECT_GT(refused, 0);
    sigaction(SIGUSR1, &before, nullptr);
}

} // namespace
