/* The limit on resident memory: what exceeds it is refused, what is counted is there. */
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/api_workload.h"
#include "hakmem/hakmem.h"
#include "hakmem/large/large.h"
#include "hakmem/limit.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"

namespace {

constexpr size_t kMiB = 1024 * 1024;

/* What the layers say that they hold. */
size_t Held() {
    shared_pool_stats pool;
    large_stats large;
    hak_shared_pool_stats(&pool);
    hak_large_stats(&large);
    return pool.resident_bytes + large.live_bytes + large.cached_bytes + hak_os_meta_bytes();
}

/* Bytes between threads. */
uint64_t Transit() {
    hak_stats s = {};
    s.size = sizeof(s);
    EXPECT_TRUE(hak_stats_get(&s));
    return s.transfer_bytes;
}

struct Taken {
    std::vector<void *> blocks;
    size_t bytes = 0;
};

/* Blocks until one is refused, all written to. */
Taken Exhaust(size_t size) {
    Taken t;
    for (;;) {
        errno = 0;
        void *b = hak_malloc(size);
        if (b == nullptr) break;
        std::memset(b, 0x5a, size);
        t.blocks.push_back(b);
        t.bytes += size;
    }
    EXPECT_EQ(errno, ENOMEM);
    return t;
}

void Free(Taken *t) {
    for (void *b : t->blocks) hak_free(b);
    t->blocks.clear();
}

class Limit : public testing::Test {
  protected:
    /* The limit is above what is there already: it differs from test to test. */
    void SetLimit(size_t bytes) {
        hak_trim(0);
        base_ = hak_budget_used();
        limit_ = base_ + bytes;
        hak_budget_set_limit(limit_);
    }
    void TearDown() override {
        hak_set_limit_callback(nullptr);
        EXPECT_EQ(hakmem_test::WhatIsLost(), "");
        EXPECT_EQ(hak_budget_used(), Held());
        hak_budget_set_limit(0);
    }
    /* Metadata is counted, and never refused. */
    void ExpectWithinLimit() { EXPECT_LE(hak_budget_used(), limit_ + 2 * kMiB); }

    size_t base_ = 0, limit_ = 0;
};

TEST_F(Limit, WithoutOneEverythingIsCounted) {
    std::vector<void *> blocks;
    for (size_t size = 16; size < 10 * kMiB; size += size / 3) blocks.push_back(hak_malloc(size));
    EXPECT_EQ(hak_budget_used(), Held());
    for (void *b : blocks) hak_free(b);
    EXPECT_EQ(hak_budget_used(), Held());
    hak_trim(0);
    EXPECT_EQ(hak_budget_used(), Held());
}

TEST_F(Limit, WhatExceedsItIsRefusedAndComesBack) {
    SetLimit(40 * kMiB);
    for (size_t size : {size_t{48}, size_t{1000}, size_t{20000}, size_t{600000}, 3 * kMiB}) {
        for (int round = 0; round < 3; round++) {
            Taken t = Exhaust(size);
            ExpectWithinLimit();
            EXPECT_LE(t.bytes, 40 * kMiB) << size;
            EXPECT_GE(t.bytes, 28 * kMiB) << size;
            EXPECT_EQ(hak_budget_used(), Held());
            EXPECT_EQ(hak_malloc(60 * kMiB), nullptr);
            EXPECT_EQ(hak_calloc(60, kMiB), nullptr);
            EXPECT_EQ(hak_aligned_alloc(kMiB, 60 * kMiB), nullptr);
            EXPECT_EQ(hak_realloc(t.blocks[0], 60 * kMiB), nullptr);
            Free(&t);
        }
    }
}

/* What another thread freed waits for one that wants it: it is in nobody's way. */
TEST_F(Limit, ChainsInTransitMakeRoom) {
    SetLimit(8 * kMiB);
    Taken blocks;
    for (int i = 0; i < 4000; i++) blocks.blocks.push_back(hak_malloc(900));
    std::thread([&blocks] { Free(&blocks); }).join();
    ASSERT_GT(Transit(), 0u);
    void *most = hak_malloc(limit_ - base_ - kMiB / 2);
    EXPECT_NE(most, nullptr);
    EXPECT_EQ(Transit(), 0u);
    hak_free(most);
}

/* Of the count alone: a thread that reclaims may hold what another could have had. */
TEST_F(Limit, WhatIsRefusedRefusesNobodyElse) {
    SetLimit(64 * kMiB);
    ASSERT_GT(hak_budget_left(), 40 * kMiB);
    std::atomic<bool> stop{false};
    std::thread asks_too_much([&stop] {
        while (!stop) EXPECT_FALSE(hak_budget_take(size_t{1} << 40));
    });
    int refused = 0;
    for (int i = 0; i < 50000; i++) {
        if (hak_budget_take(40 * kMiB)) {
            hak_budget_give(40 * kMiB);
        } else {
            refused++;
        }
    }
    stop = true;
    asks_too_much.join();
    EXPECT_EQ(refused, 0);
}

TEST_F(Limit, ResidentMemoryKeepsWithinIt) {
    SetLimit(64 * kMiB);
    size_t before = hakmem_test::ResidentBytes();
    Taken t = Exhaust(500);
    size_t now = hakmem_test::ResidentBytes();
    EXPECT_TRUE(SHADOWED || now <= before + 70 * kMiB) << (now - before) / kMiB << " MiB";
    Free(&t);
}

TEST_F(Limit, AResizeThatExceedsItLeavesTheBlock) {
    SetLimit(32 * kMiB);
    char *block = static_cast<char *>(hak_malloc(10 * kMiB));
    ASSERT_NE(block, nullptr);
    block[10 * kMiB - 1] = 7;
    EXPECT_EQ(hak_realloc(block, 40 * kMiB), nullptr);
    EXPECT_EQ(block[10 * kMiB - 1], 7);
    char *shrunk = static_cast<char *>(hak_realloc(block, 5 * kMiB));
    ASSERT_NE(shrunk, nullptr);
    EXPECT_EQ(hak_budget_used(), Held());
    char *grown = static_cast<char *>(hak_realloc(shrunk, 20 * kMiB));
    ASSERT_NE(grown, nullptr);
    EXPECT_EQ(hak_budget_used(), Held());
    hak_free(grown);
}

TEST_F(Limit, ThreadsShareIt) {
    SetLimit(48 * kMiB);
    for (int round = 0; round < 3; round++) {
        std::atomic<size_t> sum{0}, arrived{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++) {
            threads.emplace_back([&, i] {
                Taken t = Exhaust(static_cast<size_t>(100) << (3 * i));
                sum += t.bytes;
                ExpectWithinLimit();
                arrived++;
                while (arrived < 4) std::this_thread::yield();
                Free(&t);
            });
        }
        for (std::thread &t : threads) t.join();
        EXPECT_LE(sum, 48 * kMiB);
        EXPECT_GE(sum, 24 * kMiB);
    }
}

TEST_F(Limit, TheMixSurvivesIt) {
    for (size_t mib : {4, 12, 30}) {
        SetLimit(mib * kMiB);
        for (uint64_t seed = 1; seed <= 3; seed++) {
            hakmem_test::Outcome o = hakmem_test::RunMix({.seed = seed, .steps = 1000});
            EXPECT_EQ(o.wrong, "") << mib << " MiB, seed " << seed;
            EXPECT_EQ(hakmem_test::WhatIsLost(), "");
            EXPECT_TRUE(mib != 4 || o.refused > 0);
        }
    }
}

/* ---- The callback */

std::vector<void *> cache; /* the program's own */
std::atomic<int> asked{0};
size_t asked_for;

bool FreeOneOfTheCache(size_t bytes) {
    asked++;
    asked_for = bytes;
    if (cache.empty()) return false;
    hak_free(cache.back());
    cache.pop_back();
    return true;
}

TEST_F(Limit, TheCallbackMayMakeRoom) {
    SetLimit(40 * kMiB);
    EXPECT_EQ(hak_set_limit_callback(FreeOneOfTheCache), nullptr);
    for (int i = 0; i < 10; i++) cache.push_back(hak_malloc(3 * kMiB));
    asked = 0;
    std::vector<void *> blocks;
    for (int i = 0; i < 200; i++) {
        blocks.push_back(hak_malloc(100000));
        ASSERT_NE(blocks.back(), nullptr) << i;
    }
    EXPECT_GT(asked, 0);
    EXPECT_LT(cache.size(), 10u);
    EXPECT_EQ(asked_for, 100000u);
    /* More than all of it: asked until there is nothing left, then NULL. */
    EXPECT_EQ(hak_malloc(100 * kMiB), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_TRUE(cache.empty());
    for (void *b : blocks) hak_free(b);
    EXPECT_EQ(hak_set_limit_callback(nullptr), FreeOneOfTheCache);
    int before = asked;
    EXPECT_EQ(hak_malloc(100 * kMiB), nullptr);
    EXPECT_EQ(asked, before);
}

bool AllocateTooMuch(size_t) {
    asked++;
    EXPECT_EQ(hak_malloc(100 * kMiB), nullptr);
    void *little = hak_malloc(100);
    EXPECT_NE(little, nullptr);
    hak_free(little);
    hak_trim(0);
    return false;
}

TEST_F(Limit, ARequestInTheCallbackFailsWithoutAnother) {
    SetLimit(20 * kMiB);
    hak_set_limit_callback(AllocateTooMuch);
    asked = 0;
    EXPECT_EQ(hak_malloc(50 * kMiB), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(asked, 1);
    /* What no address space holds is not asked about. */
    EXPECT_EQ(hak_malloc(SIZE_MAX / 2), nullptr);
    EXPECT_EQ(asked, 1);
}

bool refuse_maps(os_call call) { return call == OS_MAP; }

TEST_F(Limit, TheCallbackIsAskedWhenTheSystemRefusesToo) {
    hak_set_limit_callback(FreeOneOfTheCache);
    hak_os_set_fault(refuse_maps);
    asked = 0;
    EXPECT_EQ(hak_malloc(50 * kMiB), nullptr);
    hak_os_set_fault(nullptr);
    EXPECT_EQ(asked, 1);
}

TEST(LimitInPercent, IsOfTheLessOfCgroupAndRam) {
    namespace fs = std::filesystem;
    std::string root = testing::TempDir() + "/limit_in_percent";
    auto write = [&root](const std::string &path, const std::string &text) {
        fs::path file = root + path;
        fs::create_directories(file.parent_path());
        std::ofstream(file) << text;
    };
    auto of_ten_percent = [&root] { return hak_limit_of_percent(root.c_str(), 10); };
    fs::remove_all(root);
    EXPECT_EQ(of_ten_percent(), 0u);
    write("/proc/meminfo", "MemTotal:       1024000 kB\n");
    EXPECT_EQ(of_ten_percent(), 102400 * 1024u);
    write("/proc/self/cgroup", "0::/a\n");
    write("/proc/self/mountinfo", "30 23 0:26 / /cgroup rw - cgroup2 cgroup2 rw\n");
    write("/cgroup/a/memory.max", "1000000\n");
    EXPECT_EQ(of_ten_percent(), 100000u);
    write("/cgroup/a/memory.max", "900000000000\n");
    EXPECT_EQ(of_ten_percent(), 102400 * 1024u);
    fs::remove(root + "/proc/meminfo");
    EXPECT_EQ(of_ten_percent(), 90000000000u);
    fs::remove_all(root);
}

} // namespace
