/* Correct programs in corners: frees at a thread's end, copies of what was never written. */
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

namespace {

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

} // namespace
