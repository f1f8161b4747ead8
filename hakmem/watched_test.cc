/* What Address Sanitizer sees of a program that uses hak_*. Without it there is nothing to see. */
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <thread>
#include <vector>

#include "hakmem/base/watch.h"
#include "hakmem/hakmem.h"

namespace {

constexpr size_t kMiB = 1 << 20;
/* Of a class, with slack, of a run of slabs, large, of whole pages. */
const size_t kSizes[] = {1, 13, 16, 64, 100, 1000, 1024, 5000, 65536, 700000, kMiB, 3 * kMiB + 5};
#define SEEN "use-after-poison"

/* The compiler must not see what is wrong here. */
volatile char sink;
__attribute__((noinline)) void read_at(const volatile char *p) { sink = *p; }
__attribute__((noinline)) void write_at(volatile char *p) { *p = 1; }

char *allocate(size_t bytes) {
    auto *p = static_cast<char *>(hak_malloc(bytes));
    if (p == nullptr) abort();
    return p;
}

class WatchedDeathTest : public testing::Test {
  protected:
    void SetUp() override {
        if (!hak_watch_find()) GTEST_SKIP() << "no tool watches: run with --config=asan";
        testing::FLAGS_gtest_death_test_style = "threadsafe";
    }
};
using Watched = WatchedDeathTest;

TEST_F(WatchedDeathTest, AReadOfAFreedBlockIsSeen) {
    for (size_t bytes : kSizes) {
        char *p = allocate(bytes);
        hak_free(p);
        EXPECT_DEATH(read_at(p), SEEN) << bytes;
        EXPECT_DEATH(read_at(p + bytes - 1), SEEN) << bytes;
    }
}

TEST_F(WatchedDeathTest, AWriteToAFreedBlockIsSeen) {
    for (size_t bytes : kSizes) {
        char *p = allocate(bytes);
        hak_free(p);
        EXPECT_DEATH(write_at(p + bytes / 2), SEEN) << bytes;
    }
}

TEST_F(WatchedDeathTest, WhatWasNeverABlockIsSeen) {
    char *p = allocate(3000);
    /* The last block of the 64 KiB around it: the lowest go out first. */
    char *last = reinterpret_cast<char *>(reinterpret_cast<uintptr_t>(p) | 65535) - 3000;
    EXPECT_DEATH(read_at(last), SEEN);
    hak_free(p);
}

TEST_F(WatchedDeathTest, AByteTooManyIsSeen) {
    for (size_t bytes : kSizes) {
        char *p = allocate(bytes), *q = allocate(bytes);
        EXPECT_DEATH(write_at(p + bytes), SEEN) << bytes;
        EXPECT_DEATH(read_at(q + bytes), SEEN) << bytes;
        hak_free(p);
        hak_free(q);
    }
}

TEST_F(WatchedDeathTest, AByteBeforeASlabsBlockIsSeen) {
    for (size_t bytes : {1, 64, 1000}) {
        std::vector<char *> blocks;
        for (int i = 0; i < 4; i++) blocks.push_back(allocate(bytes));
        for (int i = 1; i < 4; i++) EXPECT_DEATH(read_at(blocks[i] - 1), SEEN) << bytes;
        for (char *p : blocks) hak_free(p);
    }
}

TEST_F(WatchedDeathTest, SlackOfCallocAndOfAlignedBlocksIsSeen) {
    auto *zeros = static_cast<char *>(hak_calloc(3, 7));
    EXPECT_DEATH(write_at(zeros + 21), SEEN);
    hak_free(zeros);
    for (size_t alignment : {64, 4096, 1 << 21}) {
        auto *p = static_cast<char *>(hak_aligned_alloc(alignment, 100));
        EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignment, 0u);
        write_at(p + 99);
        EXPECT_DEATH(write_at(p + 100), SEEN) << alignment;
        hak_free(p);
        EXPECT_DEATH(read_at(p), SEEN) << alignment;
    }
}

TEST_F(WatchedDeathTest, ADoubleFreeIsHakmemsToTell) {
    for (size_t bytes : kSizes) {
        char *p = allocate(bytes);
        hak_free(p);
        EXPECT_DEATH(hak_free(p), "hakmem: double free") << bytes;
        EXPECT_DEATH(hak_realloc(p, 10), "hakmem: invalid realloc") << bytes;
    }
    char *p = allocate(100);
    EXPECT_DEATH(hak_free(p + 16), "hakmem: invalid free");
    EXPECT_DEATH(hak_free_sized(p, 5000), "hakmem: wrong size in free_sized");
    hak_free_sized(p, 100);
}

TEST_F(WatchedDeathTest, ReallocMovesSoThatTheOldBlockIsSeen) {
    char *p = allocate(100);
    std::memset(p, 7, 100);
    auto *q = static_cast<char *>(hak_realloc(p, 101));
    ASSERT_NE(q, p);
    EXPECT_DEATH(read_at(p), SEEN);
    EXPECT_DEATH(write_at(q + 101), SEEN);
    auto *smaller = static_cast<char *>(hak_realloc(q, 50));
    for (int i = 0; i < 50; i++) EXPECT_EQ(smaller[i], 7);
    EXPECT_DEATH(read_at(smaller + 50), SEEN);
    EXPECT_EQ(hak_realloc(smaller, 0), nullptr);
    EXPECT_DEATH(read_at(smaller), SEEN);
}

TEST_F(WatchedDeathTest, UsableBytesAreShownOnceTheProgramAsks) {
    for (size_t bytes : kSizes) {
        char *p = allocate(bytes);
        size_t usable = hak_usable_size(p);
        ASSERT_GE(usable, bytes);
        std::memset(p, 1, usable);
        EXPECT_DEATH(write_at(p + usable), SEEN) << bytes;
        auto *q =
            static_cast<char *>(hak_realloc(p, 2 * usable)); /* takes what was written there */
        EXPECT_EQ(q[usable - 1], 1);
        hak_free(q);
    }
}

TEST_F(WatchedDeathTest, BlocksOfAThreadThatEndedAreSeen) {
    char *freed = nullptr, *kept = nullptr;
    std::thread([&] {
        kept = allocate(48);
        freed = allocate(48);
        hak_free(freed);
    }).join();
    write_at(kept);
    EXPECT_DEATH(read_at(freed), SEEN);
    hak_free(kept);
    EXPECT_DEATH(read_at(kept), SEEN);
}

TEST_F(WatchedDeathTest, BlocksThatAnotherThreadFreedAreSeen) {
    char *p = allocate(48);
    std::thread([&] { hak_free(p); }).join();
    EXPECT_DEATH(read_at(p), SEEN);
}

TEST_F(Watched, MemoryThatComesOutForOtherSizesIsShown) {
    for (int round = 0; round < 3; round++) {
        for (size_t bytes : {48, 4000, 160, 70000, 16, 2000000, 1000}) {
            std::vector<char *> blocks;
            for (size_t sum = 0; sum < 4 * kMiB; sum += bytes) {
                blocks.push_back(allocate(bytes));
                std::memset(blocks.back(), round, bytes);
            }
            for (char *p : blocks) hak_free(p);
            if (round == 1) hak_trim(0);
        }
    }
    EXPECT_TRUE(hak_check_counts());
}

TEST_F(Watched, CallocOfMemoryThatWasFreedIsZero) {
    std::vector<size_t> sizes(std::begin(kSizes), std::end(kSizes));
    sizes.push_back(40 * kMiB + 12345); /* purged but for its ends, while it is free */
    for (size_t bytes : sizes) {
        for (int i = 0; i < 3; i++) {
            char *p = allocate(bytes);
            std::memset(p, 0xff, bytes);
            hak_free(p);
            auto *q = static_cast<char *>(hak_calloc(1, bytes));
            for (size_t at = 0; at < bytes; at++) ASSERT_EQ(q[at], 0) << bytes << " " << at;
            hak_free(q);
        }
    }
}

/* Whatever the kernel puts where a block was is somebody else's. */
TEST_F(Watched, AnAddressThatIsNoLongerHakmemsIsNotHidden) {
    std::vector<char *> blocks;
    for (int i = 0; i < 4000; i++) blocks.push_back(allocate(4000));
    char *large = allocate(8 * kMiB);
    blocks.push_back(large);
    for (char *p : blocks) hak_free(p);
    hak_trim(0);
    int ours = 0;
    for (char *p : blocks) {
        auto page = reinterpret_cast<uintptr_t>(p) & ~uintptr_t{4095};
        void *m = mmap(reinterpret_cast<void *>(page), 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (m == MAP_FAILED) continue;
        std::memset(m, 1, 4096);
        munmap(m, 4096);
        ours++;
    }
    EXPECT_GT(ours, 0) << "no address of the blocks was free";
}

TEST_F(Watched, AForkedChildUsesItsBlocks) {
    char *p = allocate(100), *freed = allocate(100);
    hak_free(freed);
    pid_t child = fork();
    if (child == 0) {
        std::memset(p, 1, 100);
        hak_free(p);
        for (int i = 0; i < 1000; i++) std::memset(allocate(100), 1, 100);
        hak_trim(0);
        _exit(hak_check_counts() ? 0 : 1);
    }
    int status;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    hak_free(p);
}

TEST_F(Watched, ThreadsAllocateAndFreeAsEver) {
    std::vector<std::thread> threads;
    std::vector<char *> passed[4];
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 20000; i++) {
                size_t bytes = 1 + i * 37 % 3000;
                char *p = allocate(bytes);
                std::memset(p, t, bytes);
                if (i % 8 == 0) {
                    passed[t].push_back(p);
                } else {
                    hak_free(p);
                }
            }
        });
    }
    for (auto &thread : threads) thread.join();
    for (auto &blocks : passed) {
        for (char *p : blocks) hak_free(p);
    }
    hak_trim(0);
    EXPECT_TRUE(hak_check_counts());
}

} // namespace
