/* Correct programs in corners: frees at a thread's end, copies of what was never written, blocks
 * that shrink, large blocks that are used again. */
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

namespace {

/* From before hakmem reads its options, when no mode holds yet. */
void *early[4];
__attribute__((constructor(101))) void allocate_early() {
    size_t size = 100;
    for (void *&block : early) block = hak_malloc(size *= 20);
}

TEST(Edge, BlocksFromBeforeTheOptionsAreAsAnyOther) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "these were watched still, and the test is not";
#endif
    for (void *&block : early) {
        memset(block, 1, hak_usable_size(block));
        size_t usable = hak_usable_size(block);
        block = hak_realloc(block, 2 * usable);
        ASSERT_NE(block, nullptr);
        memset(block, 1, hak_usable_size(block));
        hak_free(block);
    }
}

constexpr size_t kMiB = 1 << 20;

/* Threads that have a heap. */
uint64_t threads() {
    hak_stats s = {};
    s.size = sizeof(s);
    EXPECT_TRUE(hak_stats_get(&s));
    return s.threads;
}

TEST(Edge, AThreadThatFreesAFewBlocksMakesNoHeap) {
    std::vector<void *> blocks;
    for (int i = 0; i < 10; i++) blocks.push_back(hak_malloc(100));
    uint64_t before = threads();
    std::mutex hold;
    hold.lock();
    std::atomic<bool> freed{false};
    std::thread thread([&] {
        for (void *b : blocks) hak_free(b);
        freed = true;
        std::lock_guard<std::mutex> wait(hold);
    });
    while (!freed) std::this_thread::yield();
    EXPECT_EQ(threads(), before); /* nothing would end it, if the thread were at its end */
    hold.unlock();
    thread.join();
}

TEST(Edge, AThreadThatFreesManyBlocksHasAHeap) {
    std::vector<void *> blocks;
    for (int i = 0; i < 200; i++) blocks.push_back(hak_malloc(100));
    uint64_t before = threads(), within = 0;
    std::thread([&] {
        for (void *b : blocks) hak_free(b);
        within = threads();
    }).join();
    EXPECT_EQ(within, before + 1); /* each free aside costs atomic operations */
    EXPECT_EQ(threads(), before);
}

/* A block that is served aside has a mapping of its own, and its pages. */
size_t usable_at_the_end;

TEST(Edge, DestructorsOfAThreadsKeysHaveItsHeap) {
    std::thread([] {
        hak_free(hak_malloc(100)); /* the heap's key is the older one */
        pthread_key_t key;
        ASSERT_EQ(pthread_key_create(&key,
                                     [](void *) {
                                         void *block = hak_malloc(100);
                                         usable_at_the_end = hak_usable_size(block);
                                         hak_free(block);
                                     }),
                  0);
        ASSERT_EQ(pthread_setspecific(key, &usable_at_the_end), 0);
    }).join();
    EXPECT_EQ(usable_at_the_end, 112u);
}

/* Marks of free blocks lie in members that the program never wrote, and it copies them. */
void copy_unwritten_members() {
    struct node {
        void *key, *unused;
    };
    constexpr int kNodes = 40000, kArrays = 39, kLength = 1024;
    std::vector<node *> nodes(kNodes), arrays(kArrays), grown(kArrays);
    for (node *&n : nodes) n = static_cast<node *>(hak_malloc(sizeof(node)));
    for (node *n : nodes) hak_free(n);
    for (int a = 0; a < kArrays; a++) {
        arrays[a] = static_cast<node *>(hak_malloc(kLength * sizeof(node)));
        for (int i = 0; i < kLength; i++) arrays[a][i].key = &arrays[a][i];
    }
    for (int a = 0; a < kArrays; a++) {
        grown[a] = static_cast<node *>(hak_malloc(2 * kLength * sizeof(node)));
        std::memcpy(static_cast<void *>(grown[a]), arrays[a], kLength * sizeof(node));
        hak_free(arrays[a]);
    }
    for (int i = 0; i < kNodes; i++) {
        nodes[i] = static_cast<node *>(hak_malloc(sizeof(node)));
        if (i >= kArrays * kLength) continue;
        std::memcpy(static_cast<void *>(nodes[i]), &grown[i / kLength][i % kLength], sizeof(node));
    }
    for (node *n : nodes) hak_free(n);
    std::exit(0);
}

TEST(EdgeDeathTest, WhatWasNeverWrittenAccusesNobody) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(copy_unwritten_members(), testing::ExitedWithCode(0), "");
}

TEST(Edge, ABlockStaysWhereItIsWhileEnoughOfItServes) {
    for (size_t bytes : {64ul, 512ul, 1024ul, 1152ul, 20480ul, kMiB}) { /* of a class */
        size_t least = bytes <= 1024 ? bytes - bytes / 4 : bytes / 2;
        size_t few =
            bytes <= 1024 ? 11 : 1; /* a little less stays as well, if it is cheaper told */
        void *b = hak_malloc(bytes);
        ASSERT_EQ(hak_usable_size(b), bytes);
        EXPECT_EQ(hak_realloc(b, bytes), b);
        EXPECT_EQ(hak_realloc(b, least), b);
        EXPECT_EQ(hak_realloc(b, bytes), b);
        void *smaller = hak_realloc(b, least - few);
        EXPECT_EQ(smaller == b, bytes == 64) << bytes; /* a cache line is not worth it */
        hak_free_sized(smaller, least - few);
    }
}

TEST(Edge, ABlockThatIsResizedToNothingIsFree) {
    hak_stats before = {}, after = {};
    before.size = after.size = sizeof(before);
    ASSERT_TRUE(hak_stats_get(&before));
    for (size_t bytes : {1ul, 16ul, 17ul, 64ul, 1024ul, 20480ul, kMiB, 3 * kMiB}) {
        EXPECT_EQ(hak_realloc(hak_malloc(bytes), 0), nullptr);
    }
    ASSERT_TRUE(hak_stats_get(&after));
    EXPECT_EQ(after.live_bytes, before.live_bytes);
}

/* The program may use what it learned of. */
TEST(Edge, ALargeBlockThatWasUsedToItsEndIsZeroForCalloc) {
    size_t bytes = 40 * kMiB + 12345;
    auto *b = static_cast<unsigned char *>(hak_malloc(bytes));
    size_t all = hak_usable_size(b);
    ASSERT_GT(all, bytes + 100000);
    std::memset(b, 0xff, all);
    hak_free(b);
    b = static_cast<unsigned char *>(hak_calloc(1, all));
    EXPECT_EQ(std::count(b, b + all, 0), static_cast<ptrdiff_t>(all));
    hak_free(b);
}

TEST(Edge, ALargeBlockOfTheCacheIsZeroForCalloc) {
    for (size_t bytes : {3 * kMiB / 2, 5 * kMiB - 1, 40 * kMiB + 12345}) {
        for (int i = 0; i < 8; i++) { /* purged at first, then kept */
            auto *b = static_cast<unsigned char *>(hak_malloc(bytes));
            ASSERT_NE(b, nullptr);
            std::memset(b, 0xff, bytes);
            hak_free(b);
            b = static_cast<unsigned char *>(hak_calloc(2, bytes / 2));
            ASSERT_NE(b, nullptr);
            EXPECT_EQ(std::count(b, b + bytes / 2 * 2, 0), static_cast<ptrdiff_t>(bytes / 2 * 2));
            hak_free(b);
        }
    }
}

} // namespace
