/* What the cache keeps with its pages beside what is live, and blocks of other sizes that it
 * serves. */
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/large/freed.h"
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

/* What was purged so far says nothing about what is freed next. */
void calm_down() { std::this_thread::sleep_for(std::chrono::milliseconds(LARGE_EAGER_MS + 10)); }

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

TEST_F(LargeKept, WhereAllPlacesAreTakenNothingIsCut) {
    std::vector<char *> blocks;
    while (blocks.size() < LARGE_KEPT_ENTRIES - 1) { /* fewer at once than may be parked */
        size_t left = LARGE_KEPT_ENTRIES - 1 - blocks.size(), most = LARGE_PARKED_ENTRIES / 2;
        std::vector<char *> more = eager(std::min(left, most), 1 * MiB);
        blocks.insert(blocks.end(), more.begin(), more.end());
    }
    std::vector<char *> longer = eager(1, 16 * MiB);
    for (char *b : blocks) give(b);
    give(longer[0]);
    size_t kept = stats().kept_bytes;
    ASSERT_EQ(kept, (LARGE_KEPT_ENTRIES - 1 + 16) * MiB);
    char *block = allocate(8 * MiB);
    EXPECT_NE(block, longer[0]);
    EXPECT_EQ(stats().kept_bytes, kept);
    give(block);
    EXPECT_TRUE(hak_large_agrees());
    /* With a place left it is. */
    hak_large_trim(stats().kept_bytes - 1 * MiB);
    block = allocate(8 * MiB);
    EXPECT_GE(block, longer[0]);
    EXPECT_LE(block, longer[0] + 8 * MiB);
    give(block);
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
    calm_down();
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

/* While what was purged is wanted back at once, all that is freed has room beside what is live. */
TEST_F(LargeKept, BesideMissesWhateverIsFreedIsKeptOnTrial) {
    std::vector<char *> blocks(10);
    bool kept = false;
    for (int round = 0; round < 100 && !kept; round++) { /* on a busy machine a round takes long */
        for (char *&b : blocks) b = allocate(8 * MiB);
        calm_down();
        give(blocks[0]);
        EXPECT_EQ(stats().kept_bytes, 0u);
        blocks[0] = allocate(100 * MiB); /* misses it */
        give(blocks[1]);
        kept = stats().kept_bytes == 8 * MiB;
        blocks[1] = allocate(8 * MiB);
        EXPECT_EQ(stats().kept_bytes, 0u);
        for (char *b : blocks) give(b);
        hak_large_trim(0);
    }
    EXPECT_TRUE(kept);
}

TEST_F(LargeKept, NoMoreIsOnTrialThanIsLive) {
    hak_options.large_cache_mb = 8;
    std::vector<char *> blocks(10);
    for (char *&b : blocks) b = allocate(8 * MiB);
    give(allocate(200 * MiB));
    char *miss = allocate(2 * MiB);
    for (size_t i = 0; i < blocks.size(); i++) {
        give(blocks[i]);
        EXPECT_LE(stats().kept_bytes, (blocks.size() - i - 1) * 8 * MiB + 2 * MiB) << i;
    }
    EXPECT_EQ(stats().kept_bytes, 0u);
    give(miss);
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

/* ---- Parts ---- */

size_t usable(char *block) { return hak_large_usable(block, registry_word(block)); }

/* A free mapping that holds `value` in all of its bytes. */
char *kept(size_t bytes, char value = 7) {
    char *b = eager(1, bytes)[0];
    std::memset(b, value, bytes);
    give(b);
    return b;
}

TEST_F(LargeKept, ABlockGetsAPartAndTheRestStaysFree) {
    char *all = kept(16 * MiB);
    char *a = allocate(4 * MiB);
    EXPECT_EQ(a, all);
    EXPECT_EQ(usable(a), 4 * MiB);
    EXPECT_EQ(std::count(a, a + 4 * MiB, 7), static_cast<ptrdiff_t>(4 * MiB));
    EXPECT_EQ(stats().kept_bytes, 12 * MiB);
    char *b = allocate(12 * MiB);
    EXPECT_EQ(b, all + 4 * MiB);
    EXPECT_EQ(usable(b), 12 * MiB);
    EXPECT_EQ(std::count(b, b + 12 * MiB, 7), static_cast<ptrdiff_t>(12 * MiB));
    EXPECT_EQ(stats().kept_bytes, 0u);
    EXPECT_TRUE(hak_large_agrees());
    give(a);
    give(b);
    EXPECT_EQ(stats().kept_bytes, 16 * MiB);
}

TEST_F(LargeKept, FreePartsThatLieSideBySideServeAsOne) {
    std::fill_n(hak_large_freed, LARGE_FREED_ENTRIES, nullptr);
    char *all = kept(16 * MiB);
    std::vector<char *> parts(4);
    for (char *&part : parts) part = allocate(4 * MiB);
    for (size_t i = 0; i < parts.size(); i++) EXPECT_EQ(parts[i], all + i * 4 * MiB);
    for (char *part : parts) give(part);
    char *b = allocate(16 * MiB);
    EXPECT_EQ(b, all);
    EXPECT_EQ(usable(b), 16 * MiB);
    EXPECT_EQ(stats().cached_bytes, 0u);
    EXPECT_TRUE(hak_large_agrees());
    for (size_t i = 1; i < parts.size(); i++) {
        EXPECT_EQ(registry_word(parts[i]), 0u);
        EXPECT_TRUE(hak_large_was_freed(parts[i])); /* a double free is called one still */
    }
    give(b);
}

TEST_F(LargeKept, OfARowTheRestStaysFree) {
    char *all = kept(16 * MiB);
    char *a = allocate(8 * MiB), *b = allocate(8 * MiB);
    give(a);
    give(b);
    char *c = allocate(10 * MiB);
    EXPECT_EQ(c, all);
    EXPECT_EQ(usable(c), 10 * MiB);
    EXPECT_EQ(stats().kept_bytes, 6 * MiB);
    EXPECT_EQ(allocate(6 * MiB), all + 10 * MiB);
    give(c);
    give(all + 10 * MiB);
}

TEST_F(LargeKept, MappingsThatLieSideBySideServeEachByItself) {
    std::vector<char *> blocks = eager(8, 4 * MiB);
    for (char *b : blocks) give(b);
    hak_os_set_fault(refuses_moves);
    char *b = allocate(8 * MiB);
    EXPECT_EQ(std::count(blocks.begin(), blocks.end(), b), 0);
    EXPECT_EQ(stats().kept_bytes, 32 * MiB);
    give(b);
}

TEST_F(LargeKept, APartThatMovesHasNoNeighbours) {
    char *all = kept(16 * MiB);
    char *a = allocate(8 * MiB);
    char *b = static_cast<char *>(hak_large_resize(a, registry_word(a), 12 * MiB));
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(std::count(b, b + 8 * MiB, 7), static_cast<ptrdiff_t>(8 * MiB));
    EXPECT_EQ(allocate(8 * MiB), all + 8 * MiB);
    give(all + 8 * MiB);
    give(b);
}

TEST_F(LargeKept, WhatIsLiveEndsARow) {
    kept(16 * MiB);
    std::vector<char *> parts(4);
    for (char *&part : parts) part = allocate(4 * MiB);
    give(parts[0]);
    give(parts[2]);
    give(parts[3]);
    hak_os_set_fault(refuses_moves);
    char *other = allocate(12 * MiB);
    EXPECT_TRUE(other < parts[0] || other > parts[3]);
    EXPECT_EQ(allocate(8 * MiB), parts[2]);
    give(parts[1]);
    give(parts[2]);
    give(other);
}

TEST_F(LargeKept, TheLeastRowThatIsEnoughServes) {
    char *big = kept(32 * MiB);
    char *between = allocate(32 * MiB);
    ASSERT_EQ(between, big);
    char *less = kept(20 * MiB);
    give(between);
    EXPECT_EQ(allocate(8 * MiB), less);
    give(less);
}

TEST_F(LargeKept, AnAlignedBlockIsNoPart) {
    kept(16 * MiB);
    bool zero = false;
    char *b = allocate(4 * MiB, &zero, 2 * SLAB_BYTES);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % (2 * SLAB_BYTES), 0u);
    EXPECT_EQ(stats().kept_bytes, 16 * MiB);
    give(b);
}

TEST_F(LargeKept, AMappingOfAPageIsNoRow) {
    std::vector<char *> small = eager(1, hak_os_page_bytes());
    char *all = kept(16 * MiB);
    give(small[0]);
    EXPECT_EQ(allocate(4 * MiB), all);
    give(all);
}

TEST_F(LargeKept, RecordsOfWhatWasJoinedServeAgain) {
    kept(16 * MiB);
    size_t metadata = 0;
    for (int i = 0; i < 30000; i++) {
        if (i == 1000) metadata = hak_os_meta_bytes();
        give(allocate(4 * MiB));
        give(allocate(16 * MiB));
    }
    EXPECT_EQ(hak_os_meta_bytes(), metadata);
}

/* ---- Parts that lose their pages ---- */

/* A block of what was parked, of zeros. */
char *allocate_zeros(size_t bytes) {
    bool zero = true;
    char *b = allocate(bytes, &zero);
    EXPECT_TRUE(zero);
    EXPECT_EQ(std::count(b, b + bytes, 0), static_cast<ptrdiff_t>(bytes));
    return b;
}

/* All that is kept has its room taken. */
void park_all() {
    uint64_t before = hak_options.large_cache_mb;
    hak_options.large_cache_mb = 0;
    for (size_t i = 0; i <= LARGE_RECENT_TURNS; i++) give(allocate(64 * MiB + i * 16 * MiB));
    EXPECT_EQ(stats().kept_bytes, 0u);
    hak_options.large_cache_mb = before;
}

TEST_F(LargeKept, WhatIsLeftOfAPartWasWrittenTo) {
    char *all = kept(16 * MiB);
    char *a = allocate(4 * MiB);
    park_all();
    EXPECT_EQ(allocate_zeros(12 * MiB), all + 4 * MiB);
    give(a);
    give(all + 4 * MiB);
}

TEST_F(LargeKept, WhatIsLeftOfARowWasWrittenTo) {
    char *all = kept(16 * MiB);
    char *a = allocate(8 * MiB), *b = allocate(8 * MiB);
    give(a);
    give(b);
    give(allocate(10 * MiB));
    park_all();
    EXPECT_EQ(allocate_zeros(6 * MiB), all + 10 * MiB);
    give(all + 10 * MiB);
}

TEST_F(LargeKept, APartThatWasWrittenToIsPurgedToItsEnd) {
    kept(16 * MiB, '\0');
    std::vector<char *> parts(2);
    for (char *&part : parts) part = allocate(8 * MiB);
    for (char *part : parts) std::memset(part, 7, 8 * MiB);
    for (char *part : parts) give(part);
    park_all();
    for (char *&part : parts) part = allocate_zeros(8 * MiB);
    for (char *part : parts) give(part);
}

/* ---- Failures ---- */

bool refuses_metadata(os_call call) { return call == OS_META; }

TEST_F(LargeKept, WithoutARecordForTheRestNothingIsCut) {
    char *all = kept(16 * MiB);
    std::vector<char *> others;
    ASSERT_TRUE(hak_registry_reserve(all - 256 * MiB, 512 * MiB)); /* that fails no more */
    hak_os_set_fault(refuses_metadata);
    /* Until no record is left. */
    for (char *b; (b = allocate(hak_os_page_bytes())) != nullptr;) others.push_back(b);
    EXPECT_EQ(allocate(4 * MiB), nullptr);
    EXPECT_EQ(stats().kept_bytes, 16 * MiB);
    EXPECT_TRUE(hak_large_agrees());
    EXPECT_EQ(hak_large_take(16 * MiB), all);
    hak_os_set_fault(nullptr);
    give(all);
    for (char *b : others) give(b);
}

} // namespace
