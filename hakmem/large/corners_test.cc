/* Large blocks where a step of an allocation or a resize fails, and what remains of those steps:
 * records, words, address space, the budget. */
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace {

char *allocate(size_t bytes) {
    bool zero = false;
    return static_cast<char *>(hak_large_alloc(bytes, 16, false, &zero));
}

void give(void *block) { hak_large_free(block, registry_word(block), false); }
size_t usable(void *block) { return hak_large_usable(block, registry_word(block)); }

char *resize(void *block, size_t bytes) {
    return static_cast<char *>(hak_large_resize(block, registry_word(block), bytes));
}

/* Calls that the kernel refuses from now on: so many of each, -1: all. */
int refuse[OS_META + 1];

bool is_refused(os_call call) {
    if (refuse[call] == 0) return false;
    if (refuse[call] > 0) refuse[call]--;
    return true;
}

/* Address space of the process. */
size_t mapped_bytes() {
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    EXPECT_EQ(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    return pages * static_cast<size_t>(getpagesize());
}

class LargeCorners : public testing::Test {
  protected:
    void SetUp() override {
        mapped_bytes(); /* stdio's own */
        std::memset(refuse, 0, sizeof(refuse));
        hak_os_set_fault(is_refused);
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_large_trim(0);
        EXPECT_EQ(hak_large_mapped_bytes(), 0u);
        EXPECT_EQ(hak_budget_used(), hak_os_meta_bytes());
    }
};

TEST_F(LargeCorners, ARecordServesAgainAfterAMappingThatFailed) {
    char *b = allocate(3 * MiB);
    uint32_t id = word_large_id(registry_word(b));
    give(b);
    hak_large_trim(0);
    refuse[OS_MAP] = -1;
    for (int i = 0; i < 100; i++) EXPECT_EQ(allocate(3 * MiB), nullptr);
    refuse[OS_MAP] = 0;
    b = allocate(3 * MiB);
    EXPECT_EQ(word_large_id(registry_word(b)), id);
    give(b);
}

/* A number that was not used is the next one's. */
TEST_F(LargeCorners, ARecordsNumberServesAgainWhereThereIsNoMemoryForIt) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            refuse[OS_META] = -1;
            for (int i = 0; i < 100; i++) EXPECT_EQ(allocate(3 * MiB), nullptr);
            refuse[OS_META] = 0;
            char *b = allocate(3 * MiB);
            _exit(word_large_id(registry_word(b)) == 1 ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

/* Mappings of a GiB lie in GiBs that have no words yet. */
TEST_F(LargeCorners, AMappingWithoutWordsGoesBack) {
    give(allocate(3 * MiB));
    hak_large_trim(0);
    size_t before = mapped_bytes();
    refuse[OS_META] = -1;
    std::vector<char *> blocks;
    int failures = 0;
    for (int i = 0; i < 20; i++) {
        blocks.push_back(allocate(1 * GiB));
        failures += blocks.back() == nullptr;
    }
    EXPECT_GT(failures, 0);
    for (char *b : blocks) {
        if (b != nullptr) give(b);
    }
    hak_large_trim(0);
    EXPECT_EQ(mapped_bytes(), before);
    EXPECT_EQ(hak_large_mapped_bytes(), 0u);
}

TEST_F(LargeCorners, WhereAddressSpaceIsShortNothingIsRoundedUp) {
    size_t bytes = 4 * MiB + hak_os_page_bytes();
    refuse[OS_MAP] = 1;
    char *b = allocate(bytes);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(usable(b), bytes);
    give(b);
    b = allocate(bytes);
    EXPECT_GT(usable(b), bytes);
    give(b);
}

TEST_F(LargeCorners, WithoutRoomNothingKeepsItsPages) {
    uint64_t before = hak_options.large_cache_mb;
    hak_options.large_cache_mb = hak_options.large_cache_calm_mb = 0;
    char *live = allocate(64 * MiB); /* as much as that would else be room */
    for (int i = 0; i < 50; i++) {
        char *b = allocate(3 * MiB);
        b[2 * MiB] = 1;
        give(b);
        large_stats stats;
        hak_large_stats(&stats);
        ASSERT_EQ(stats.kept_bytes, 0u);
    }
    give(live);
    hak_options.large_cache_mb = before;
}

TEST_F(LargeCorners, AMoveLeavesNothingBehind) {
    char *old = allocate(3 * MiB);
    std::vector<char *> others; /* at addresses that are not remembered as freed */
    for (; hak_large_was_freed(old); old = allocate(3 * MiB)) others.push_back(old);
    old[5] = 'x';
    refuse[OS_REMAP] = 1; /* not where it is: so it moves */
    char *moved = resize(old, 5 * MiB);
    ASSERT_NE(moved, nullptr);
    ASSERT_NE(moved, old);
    EXPECT_EQ(moved[5], 'x');
    EXPECT_EQ(registry_word(old), 0u);
    EXPECT_TRUE(hak_large_was_freed(old));
    EXPECT_EQ(hak_large_mapped_bytes(), 5 * MiB + others.size() * 3 * MiB);
    give(moved);
    for (char *b : others) give(b);
}

TEST_F(LargeCorners, AMoveToWhereThereAreNoWordsChangesNothing) {
    char *b = allocate(3 * MiB);
    b[5] = 'x';
    size_t before = mapped_bytes(), used = hak_budget_used();
    int failures = 0;
    for (int i = 0; i < 20; i++) {
        refuse[OS_META] = -1;
        refuse[OS_REMAP] = 1;
        failures += resize(b, (20 + static_cast<size_t>(i)) * GiB) == nullptr;
        refuse[OS_META] = refuse[OS_REMAP] = 0;
        if (failures != i + 1) break;
        EXPECT_EQ(b[5], 'x');
        EXPECT_EQ(usable(b), 3 * MiB);
        EXPECT_EQ(mapped_bytes(), before);
        EXPECT_EQ(hak_budget_used(), used);
    }
    EXPECT_GT(failures, 0);
    give(b);
}

/* ---- What is kept with its pages, parked without them, dropped ---- */

class LargeRoom : public LargeCorners {
  protected:
    /* Kept mappings that come and go slowly may have so much. */
    void SetUp() override {
        LargeCorners::SetUp();
        tick();
        set_room(4);
    }
    void TearDown() override {
        hak_options = before_;
        LargeCorners::TearDown();
    }
    static void set_room(uint64_t mib) {
        hak_options.large_cache_mb = hak_options.large_cache_calm_mb = mib;
    }
    static large_stats stats() {
        large_stats s;
        hak_large_stats(&s);
        return s;
    }
    /* The next tick, as if its time had come; or a later one. */
    static void tick(uint64_t after_ms = LARGE_TICK_MS) {
        static uint64_t now = clock_ms();
        now += after_ms;
        hak_large_tick(now);
    }
    /* A block of `bytes` that is zero, and said to be. */
    static char *allocate_zero(size_t bytes) {
        bool zero = true;
        char *b = static_cast<char *>(hak_large_alloc(bytes, 16, false, &zero));
        EXPECT_TRUE(zero);
        EXPECT_EQ(std::count(b, b + bytes, 0), static_cast<ptrdiff_t>(bytes));
        return b;
    }

  private:
    const options before_ = hak_options;
};

TEST_F(LargeRoom, WhatWasFreedJustNowIsNotEvicted) {
    char *a = allocate(3 * MiB), *b = allocate(3 * MiB);
    /* Beside misses what is freed would be on trial. */
    std::this_thread::sleep_for(std::chrono::milliseconds(LARGE_EAGER_MS + 10));
    give(a);
    give(b);
    EXPECT_EQ(stats().kept_bytes, 3 * MiB);
    ASSERT_EQ(hak_large_take(3 * MiB), a);
    give(a);
}

TEST_F(LargeRoom, WhatTheKernelDoesNotPurgeIsNotParked) {
    char *b = allocate(6 * MiB);
    std::memset(b, 0xff, 6 * MiB);
    refuse[OS_PURGE] = -1;
    give(b);
    EXPECT_EQ(hak_large_mapped_bytes(), 0u);
    give(allocate_zero(6 * MiB));
}

TEST_F(LargeRoom, AParkedMappingIsZeroAfterAResizeAndAShortLife) {
    set_room(0);
    for (size_t bytes : {size_t{100}, 20 * KiB, 40 * KiB, 3 * MiB}) {
        char *b = allocate(bytes);
        std::memset(b, 0xff, bytes);
        give(b);
        b = allocate_zero(bytes);
        std::memset(b, 0xff, bytes);
        b = resize(b, 2 * bytes + 4 * MiB);
        std::memset(b, 0xff, 2 * bytes + 4 * MiB);
        size_t all = usable(b);
        give(b);
        EXPECT_EQ(stats().kept_bytes, 0u);
        give(allocate_zero(all));
    }
}

TEST_F(LargeRoom, WhatHasHugePagesIsNotCached) {
    set_room(100);
    char *b = allocate(3 * MiB);
    b = resize(b, LARGE_HUGE_FROM);
    give(b);
    EXPECT_EQ(hak_large_mapped_bytes(), 0u);
}

TEST_F(LargeRoom, WhatWasUsedSinceTheLastTickStays) {
    give(allocate(3 * MiB));
    tick();
    EXPECT_EQ(stats().kept_bytes, 3 * MiB);
    give(allocate(3 * MiB));
    tick();
    EXPECT_EQ(stats().kept_bytes, 3 * MiB);
    tick();
    EXPECT_EQ(stats().kept_bytes, 0u);
    EXPECT_EQ(stats().cached_bytes, 3 * MiB);
}

TEST_F(LargeRoom, APartIsPurgedToItsEndOnly) {
    set_room(100);
    char *all = allocate(12 * MiB);
    std::memset(all, 7, 12 * MiB);
    give(all);
    char *part = allocate(4 * MiB), *rest = allocate(8 * MiB);
    ASSERT_EQ(part, all);
    ASSERT_EQ(rest, all + 4 * MiB);
    give(part);
    tick();
    tick();
    EXPECT_EQ(stats().kept_bytes, 0u);
    EXPECT_EQ(std::count(rest, rest + 8 * MiB, 7), static_cast<ptrdiff_t>(8 * MiB));
    give(rest);
}

TEST_F(LargeRoom, WhatIsParkedForLongGoesBack) {
    give(allocate(6 * MiB));
    tick();
    EXPECT_EQ(stats().cached_bytes, 6 * MiB);
    size_t before = mapped_bytes();
    tick(hak_options.large_cache_ttl_sec * 1000 + 60000);
    EXPECT_EQ(hak_large_mapped_bytes(), 0u);
    EXPECT_EQ(mapped_bytes(), before - 6 * MiB);
}

/* Only that one looks at the clock, so that what is idle is purged in the end. */
TEST_F(LargeRoom, NowAndThenAFreeGoesTheLongWay) {
    give(allocate(2 * MiB));
    char *b = static_cast<char *>(hak_large_take(2 * MiB));
    ASSERT_NE(b, nullptr);
    int the_long_way = 0;
    for (int i = 0; i < 4 * LARGE_TICK_FREES; i++) {
        if (!hak_large_give(b, registry_word(b))) {
            the_long_way++;
            give(b);
        }
        ASSERT_EQ(hak_large_take(2 * MiB), b);
    }
    EXPECT_EQ(the_long_way, 4);
    give(b);
}

/* Two blocks again and again have the same two records. */
TEST_F(LargeCorners, RecordsServeAgain) {
    uint32_t last = 0;
    for (int i = 0; i < 10; i++) {
        char *a = allocate(2 * MiB), *b = allocate(2 * MiB);
        ASSERT_NE(b, nullptr);
        uint32_t newest =
            std::max(word_large_id(registry_word(a)), word_large_id(registry_word(b)));
        if (i != 0) EXPECT_EQ(newest, last);
        last = newest;
        for (char *block : {a, b}) hak_large_free(block, registry_word(block), true);
    }
}

} // namespace
