/* What waits to be unmapped and is taken again, and chunks of metadata that are not used. */
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/os_backend/discard.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

bool refuses_to_unmap(os_call call) { return call == OS_UNMAP; }

/* Address space of the process. */
size_t mapped_bytes() {
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    EXPECT_EQ(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    return pages * static_cast<size_t>(getpagesize());
}

/* Ranges of 16 pages that wait, side by side or not. */
class Discarded : public testing::Test {
  protected:
    static constexpr int kRanges = 3;
    void SetUp() override {
        hak_os_set_fault(refuses_to_unmap);
        for (int i = 0; i < kRanges; i++) {
            char *range = static_cast<char *>(hak_os_map(bytes_, page_));
            ASSERT_NE(range, nullptr);
            std::memset(range, 0x77, bytes_);
            hak_os_discard(range, bytes_);
        }
        EXPECT_FALSE(hak_os_retry_discarded(true)); /* into the queue */
        EXPECT_EQ(hak_os_discarded_bytes(), kRanges * bytes_);
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_os_retry_discarded(true);
        EXPECT_EQ(hak_os_discarded_bytes(), 0u);
    }
    const size_t page_ = hak_os_page_bytes(), bytes_ = 16 * page_;
};

TEST_F(Discarded, ARangeThatIsTooShortIsNotTaken) {
    EXPECT_EQ(hak_os_take_discarded(bytes_ + page_, page_), nullptr);
    EXPECT_EQ(hak_os_take_discarded(bytes_ + 1, page_), nullptr);
    EXPECT_EQ(hak_os_discarded_bytes(), kRanges * bytes_);
}

TEST_F(Discarded, AllOfARangeIsTakenBitByBitAndIsClean) {
    std::vector<char *> taken;
    for (int i = 0; i < 16 * kRanges; i++) {
        char *p = static_cast<char *>(hak_os_take_discarded(page_, page_));
        ASSERT_NE(p, nullptr) << i;
        for (size_t at = 0; at < page_; at++) ASSERT_EQ(p[at], 0);
        std::memset(p, 0x33, page_);
        taken.push_back(p);
    }
    EXPECT_EQ(hak_os_discarded_bytes(), 0u);
    EXPECT_EQ(hak_os_take_discarded(page_, page_), nullptr);
    for (char *p : taken) EXPECT_EQ(p[page_ - 1], 0x33);
    for (char *p : taken) hak_os_discard_untouched(p, page_);
}

TEST_F(Discarded, WhatTheKernelWillNotPurgeStays) {
    hak_os_set_fault([](os_call call) { return call == OS_UNMAP || call == OS_PURGE; });
    EXPECT_EQ(hak_os_take_discarded(page_, page_), nullptr);
    EXPECT_EQ(hak_os_discarded_bytes(), kRanges * bytes_);
}

/* Chunks that other threads were faster with go back. */
TEST(Metadata, OfThreadsThatRaceIsAllThatIsMapped) {
    constexpr int kThreads = 3, kRounds = 2000;
    std::atomic<int> round{0}, done{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([&] {
            for (int r = 1; r <= kRounds; r++) {
                while (round < r) std::this_thread::yield();
                hak_os_meta_alloc(200 * KiB);
                done++;
            }
            while (round == kRounds) std::this_thread::yield(); /* an end may map, too */
        });
    }
    auto run_until = [&](int r) {
        while (round < r) {
            round++;
            while (done < kThreads * round) std::this_thread::yield();
        }
    };
    run_until(3); /* the threads' stacks are mapped now */
    size_t mapped = mapped_bytes(), metadata = hak_os_meta_bytes();
    run_until(kRounds);
    size_t grown = hak_os_meta_bytes() - metadata;
    size_t guards = grown / (512 * KiB) * 2 * hak_os_page_bytes();
    EXPECT_EQ(mapped_bytes() - mapped, grown + guards);
    round++;
    for (auto &t : threads) t.join();
}

/* The kernel gives address space, and then no memory for it. */
TEST(MetadataDeathTest, ThatMayNotBeUsedGoesBack) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            hak_os_meta_alloc(64);
            rlimit before;
            getrlimit(RLIMIT_DATA, &before);
            rlimit none = before;
            none.rlim_cur = 8 * KiB;
            mapped_bytes();
            size_t mapped = mapped_bytes();
            setrlimit(RLIMIT_DATA, &none);
            bool refused = hak_os_meta_alloc(3 * MiB) == nullptr;
            setrlimit(RLIMIT_DATA, &before);
            /* Where a kernel counts otherwise, there is nothing to see. */
            _exit(!refused || mapped_bytes() == mapped ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

} // namespace
