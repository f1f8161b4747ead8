/* What the cache keeps with its pages beside what is live, and blocks of other sizes that it
 * serves. */
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace {

large_stats stats() {
    large_stats s;
    hak_large_stats(&s);
    return s;
}

char *allocate(size_t bytes, bool *zero, size_t align = 16) {
    return static_cast<char *>(hak_large_alloc(bytes, align, false, zero));
}

char *allocate(size_t bytes) {
    bool zero = false;
    return allocate(bytes, &zero);
}

void give(void *block) { hak_large_free(block, registry_word(block), false); }

bool refuses_moves(os_call call) { return call == OS_REMAP; }

/* Blocks that came and went fast, all live: on a busy machine a round may take long. */
std::vector<char *> eager(size_t count, size_t bytes) {
    std::vector<char *> blocks(count);
    for (int round = 0; round < 1000; round++) {
        for (char *&b : blocks) b = allocate(bytes);
        for (char *b : blocks) give(b);
        if (stats().kept_bytes >= count * bytes) break;
    }
    EXPECT_EQ(stats().kept_bytes, count * bytes);
    for (char *&b : blocks) b = allocate(bytes);
    return blocks;
}

class LargeKept : public testing::Test {
  protected:
    void SetUp() override {
        hak_options.large_cache_calm_mb = 0;
        hak_options.large_cache_mb = 1024;
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_large_trim(0);
        EXPECT_TRUE(hak_large_agrees());
        EXPECT_EQ(stats().live_bytes, 0u);
        EXPECT_EQ(stats().cached_bytes, 0u);
        hak_options.large_cache_mb = before_;
    }

    uint64_t before_ = hak_options.large_cache_mb;
};

TEST_F(LargeKept, WhatIsLiveTakesNoRoom) {
    std::vector<char *> blocks = eager(10, 4 * MiB);
    hak_options.large_cache_mb = 8;
    for (size_t i = 0; i < 100; i++) {
        give(blocks[i % blocks.size()]);
        EXPECT_EQ(stats().kept_bytes, 4 * MiB) << i;
        blocks[i % blocks.size()] = allocate(4 * MiB);
    }
    for (char *b : blocks) give(b);
    EXPECT_EQ(stats().kept_bytes, 8 * MiB);
}

TEST_F(LargeKept, WhatIsLiveStaysKeptWhileWhatIsFreeGoes) {
    std::vector<char *> blocks = eager(10, 4 * MiB);
    hak_options.large_cache_mb = 8;
    /* As much as is live. */
    for (size_t i = 0; i < 5; i++) give(blocks[i]);
    EXPECT_EQ(stats().kept_bytes, 20 * MiB);
    for (size_t i = 5; i < 7; i++) give(blocks[i]);
    EXPECT_EQ(stats().kept_bytes, 12 * MiB);
    hak_options.large_cache_mb = 1024;
    for (size_t i = 7; i < 10; i++) {
        EXPECT_TRUE(hak_large_give(blocks[i], registry_word(blocks[i]))) << i;
    }
}

TEST_F(LargeKept, WhatWasFreedLongestAgoGivesUpItsRoom) {
    std::vector<char *> blocks = eager(LARGE_RECENT_TURNS + 4, 4 * MiB);
    size_t room = (LARGE_RECENT_TURNS + 1) * 4;
    hak_options.large_cache_mb = room;
    for (char *b : blocks) {
        give(b);
        EXPECT_LE(stats().kept_bytes, room * MiB);
    }
    /* The last ones are there with their pages. */
    std::vector<char *> again(LARGE_RECENT_TURNS + 1);
    for (char *&b : again) b = static_cast<char *>(hak_large_take(4 * MiB));
    EXPECT_TRUE(std::is_permutation(again.begin(), again.end(), blocks.end() - again.size()));
    for (char *b : again) give(b);
}

TEST_F(LargeKept, AFreeAsideNeedsNoRoom) {
    std::vector<char *> blocks = eager(3, 4 * MiB);
    hak_options.large_cache_mb = 4;
    for (char *b : blocks) hak_large_free(b, registry_word(b), true);
    EXPECT_EQ(stats().kept_bytes, 12 * MiB);
}

TEST_F(LargeKept, OthersThatAreFreedLeaveAsMuchAsIsLive) {
    std::vector<char *> blocks = eager(10, 4 * MiB);
    hak_options.large_cache_mb = 5 * LARGE_CALM_SHARE; /* a share of 5 MiB */
    std::vector<char *> others;
    for (size_t i = 0; i < 2 * LARGE_RECENT_TURNS + 2; i++) others.push_back(allocate(64 * MiB));
    for (int i = 0; i < 2; i++) {
        give(blocks.back());
        blocks.pop_back();
    }
    while (others.size() > LARGE_RECENT_TURNS) {
        give(others.back());
        others.pop_back();
    }
    EXPECT_EQ(stats().kept_bytes, 8 * MiB);
    /* With nothing live they leave the share. */
    for (char *b : blocks) give(b);
    for (char *b : others) give(b);
    for (size_t i = 0; i <= LARGE_RECENT_TURNS; i++) give(allocate(100 * MiB + i * 20 * MiB));
    EXPECT_LE(stats().kept_bytes, 5 * MiB);
}

TEST_F(LargeKept, ItsPagesServeABlockOfAnotherSize) {
    constexpr size_t kBytes = 8 * MiB;
    char *b = eager(1, kBytes)[0];
    std::memset(b, 7, kBytes);
    give(b);
    bool zero = false;
    char *c = allocate(kBytes + kBytes / 4, &zero);
    ASSERT_NE(c, nullptr);
    EXPECT_FALSE(zero);
    EXPECT_EQ(hak_large_usable(c, registry_word(c)), kBytes + kBytes / 4);
    EXPECT_EQ(std::count(c, c + kBytes, 7), static_cast<ptrdiff_t>(kBytes));
    c[kBytes + kBytes / 4 - 1] = 1;
    EXPECT_EQ(stats().cached_bytes, 0u);
    /* It goes on coming and going fast, at its new size. */
    give(c);
    EXPECT_EQ(stats().kept_bytes, kBytes + kBytes / 4);
    EXPECT_EQ(hak_large_take(kBytes + kBytes / 4), c);
    give(c);
}

TEST_F(LargeKept, TheNearestSizeServes) {
    std::vector<char *> nearer = eager(1, 14 * MiB);
    std::vector<char *> near = eager(1, 12 * MiB);
    std::memset(near[0], 1, 12 * MiB);
    std::memset(nearer[0], 2, 14 * MiB);
    give(nearer[0]);
    give(near[0]);
    char *b = allocate(16 * MiB);
    EXPECT_EQ(b[0], 2);
    EXPECT_EQ(stats().kept_bytes, 12 * MiB);
    give(b);
}

TEST_F(LargeKept, WhatIsSmallerByMoreThanAThirdDoesNot) {
    char *b = eager(1, 8 * MiB)[0];
    std::memset(b, 7, 8 * MiB);
    give(b);
    char *c = allocate(14 * MiB);
    EXPECT_EQ(c[0], 0);
    EXPECT_EQ(stats().kept_bytes, 8 * MiB);
    give(c);
}

TEST_F(LargeKept, PagesThatWereNeverWrittenAreNotMoved) {
    constexpr size_t kBytes = 8 * MiB;
    char *b = eager(1, kBytes)[0];
    b[0] = b[kBytes - 1] = 7;
    give(b);
    char *c = allocate(kBytes + kBytes / 4);
    EXPECT_EQ(c[0], 0);
    EXPECT_EQ(stats().kept_bytes, kBytes);
    give(c);
}

TEST_F(LargeKept, WhoWantsZerosOrAnAlignmentGetsOtherPages) {
    constexpr size_t kBytes = 8 * MiB, kMore = kBytes + kBytes / 4;
    char *b = eager(1, kBytes)[0];
    std::memset(b, 7, kBytes);
    give(b);
    bool zero = true;
    char *c = allocate(kMore, &zero);
    EXPECT_TRUE(zero);
    EXPECT_EQ(std::count(c, c + kMore, 0), static_cast<ptrdiff_t>(kMore));
    zero = false;
    char *d = allocate(kMore, &zero, 2 * SLAB_BYTES);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(d) % (2 * SLAB_BYTES), 0u);
    EXPECT_EQ(stats().kept_bytes, kBytes);
    give(c);
    give(d);
}

TEST_F(LargeKept, WhatTheKernelDoesNotMoveIsFreeStill) {
    constexpr size_t kBytes = 8 * MiB;
    char *b = eager(1, kBytes)[0];
    std::memset(b, 7, kBytes);
    give(b);
    hak_os_set_fault(refuses_moves);
    char *c = allocate(kBytes + kBytes / 4);
    ASSERT_NE(c, nullptr);
    EXPECT_EQ(c[0], 0);
    EXPECT_EQ(stats().kept_bytes, kBytes);
    EXPECT_TRUE(hak_large_agrees());
    EXPECT_EQ(hak_large_take(kBytes), b);
    give(b);
    give(c);
}

} // namespace
