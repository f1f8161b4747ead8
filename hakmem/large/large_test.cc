/* Blocks with a mapping each: contents, alignment, the cache, misuse, refusals of the kernel. */
#include "hakmem/large/cache.h"
#include "hakmem/large/large.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace {

large_stats stats() {
    large_stats s;
    hak_large_stats(&s);
    return s;
}

char *allocate(size_t bytes, size_t align = 16, bool *zero = nullptr) {
    bool unused = false;
    return static_cast<char *>(
        hak_large_alloc(bytes, align, false, zero == nullptr ? &unused : zero));
}

void give(void *block) { hak_large_free(block, registry_word(block), false); }
size_t usable(void *block) { return hak_large_usable(block, registry_word(block)); }

char *resize(void *block, size_t bytes) {
    return static_cast<char *>(hak_large_resize(block, registry_word(block), bytes));
}

/* What mappings may keep that come and go slowly, where it is anything. */
constexpr size_t kCalm = 12 * MiB;

class Large : public testing::Test {
  protected:
    void SetUp() override {
        testing::FLAGS_gtest_death_test_style = "threadsafe";
        hak_options.large_cache_calm_mb = kCalm / MiB;
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_options.large_cache_mb = before_;
        hak_large_trim(0);
        EXPECT_EQ(stats().live_bytes, 0u);
        EXPECT_EQ(stats().cached_bytes, 0u);
    }

    uint64_t before_ = hak_options.large_cache_mb;
};

TEST_F(Large, ABlockIsZeroAlignedAndCounted) {
    for (size_t bytes : {1ul, 4096ul, 1 * MiB + 1, 3 * MiB, 100 * MiB}) {
        bool zero = true;
        char *b = allocate(bytes, 16, &zero);
        ASSERT_NE(b, nullptr);
        EXPECT_TRUE(zero);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % SLAB_BYTES, 0u);
        EXPECT_GE(usable(b), bytes);
        EXPECT_LE(usable(b), std::max(bytes + bytes / 8, hak_os_page_bytes()));
        EXPECT_EQ(stats().live_bytes, usable(b));
        EXPECT_EQ(b[0] | b[bytes / 2] | b[usable(b) - 1], 0);
        b[0] = b[usable(b) - 1] = 1;
        give(b);
        hak_large_trim(0);
        EXPECT_EQ(registry_word(b), 0u);
    }
}

TEST_F(Large, IsAlignedAsAskedUpTo64MiB) {
    for (size_t align = 64 * KiB; align <= 64 * MiB; align *= 2) {
        char *b = allocate(100, align);
        ASSERT_NE(b, nullptr);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % align, 0u);
        b[99] = 1;
        give(b);
    }
}

TEST_F(Large, ResizingKeepsTheContent) {
    char *b = allocate(2 * MiB);
    ASSERT_NE(b, nullptr);
    for (size_t i = 0; i < 2 * MiB; i += 4096) b[i] = static_cast<char>(i >> 12);
    for (size_t bytes : {3 * MiB, 17 * MiB, 64 * MiB, 5 * MiB, 2 * MiB, 40 * MiB}) {
        b = resize(b, bytes);
        ASSERT_NE(b, nullptr);
        EXPECT_GE(usable(b), bytes);
        EXPECT_LE(usable(b), bytes + bytes / 8);
        EXPECT_EQ(stats().live_bytes, usable(b));
        for (size_t i = 0; i < 2 * MiB; i += 4096) ASSERT_EQ(b[i], static_cast<char>(i >> 12));
        b[bytes - 1] = 1;
    }
    give(b);
}

TEST_F(Large, AFreedMappingIsUsedAgain) {
    char *a = allocate(2 * MiB);
    a[5] = 'x';
    give(a);
    EXPECT_EQ(stats().cached_bytes, 2 * MiB);
    bool zero = true;
    char *b = allocate(2 * MiB - 100, 16, &zero);
    EXPECT_EQ(b, a);
    EXPECT_FALSE(zero);
    EXPECT_EQ(stats().cached_bytes, 0u);
    give(b);
    char *c = allocate(1 * MiB); /* all of it would waste half */
    EXPECT_EQ(usable(c), 1 * MiB);
    give(c);
    EXPECT_EQ(hak_large_trim(0), 2 * MiB);
}

TEST_F(Large, TheCacheIsBoundedByBytesAndCount) {
    hak_large_tick(clock_ms() + 10 * LARGE_TICK_MS); /* none comes meanwhile */
    std::vector<char *> blocks(40);
    for (char *&b : blocks) b = allocate(2 * MiB);
    for (char *b : blocks) give(b);
    EXPECT_EQ(stats().kept_bytes, kCalm);
    EXPECT_EQ(stats().cached_bytes, 80 * MiB);
    hak_large_trim(0);
    uint64_t page = hak_os_page_bytes(), room = LARGE_KEPT_ENTRIES * page;
    hak_options.large_cache_calm_mb = 2 * room / MiB;
    hak_options.large_cache_mb = 2 * room / MiB * LARGE_CALM_SHARE;
    blocks.resize(2 * LARGE_KEPT_ENTRIES);
    for (char *&b : blocks) b = allocate(4096);
    for (char *b : blocks) give(b);
    EXPECT_EQ(stats().cached_bytes, room + LARGE_PARKED_ENTRIES * page);
    EXPECT_EQ(stats().kept_bytes, room);
}

TEST_F(Large, ATrimKeepsWhatIsAskedFor) {
    std::vector<char *> blocks(8);
    for (char *&b : blocks) b = allocate(2 * MiB);
    for (char *b : blocks) give(b);
    EXPECT_EQ(hak_large_trim(6 * MiB), 10 * MiB);
    EXPECT_EQ(stats().cached_bytes, 6 * MiB);
}

TEST_F(Large, AnInteriorAddressIsNoBlock) {
    char *b = allocate(2 * MiB);
    uint32_t word = registry_word(b);
    EXPECT_EQ(hak_large_usable(b + 16, word), 0u);
    EXPECT_EQ(hak_large_resize(b + 16, word, 3 * MiB), nullptr);
    EXPECT_EQ(registry_word(b + SLAB_BYTES), 0u);
    give(b);
    EXPECT_EQ(hak_large_usable(b, word), 0u);
}

TEST_F(Large, RefusesSizesThatNothingHolds) {
    EXPECT_EQ(allocate(SIZE_MAX), nullptr);
    EXPECT_EQ(allocate(PTRDIFF_MAX), nullptr);
    EXPECT_EQ(allocate(1, static_cast<size_t>(1) << 62), nullptr);
    char *b = allocate(2 * MiB);
    EXPECT_EQ(resize(b, PTRDIFF_MAX), nullptr);
    EXPECT_EQ(resize(b, static_cast<size_t>(1) << 50), nullptr);
    EXPECT_EQ(usable(b), 2 * MiB);
    give(b);
}

TEST_F(Large, AsideCallsUseNoCache) {
    bool zero = false;
    void *a = hak_large_alloc(2 * MiB, 16, true, &zero);
    ASSERT_NE(a, nullptr);
    hak_large_free(a, registry_word(a), true);
    EXPECT_EQ(stats().cached_bytes, 0u);
}

TEST_F(Large, FindsADoubleFree) {
    EXPECT_EXIT(
        {
            char *b = allocate(2 * MiB);
            uint32_t word = registry_word(b);
            hak_large_free(b, word, false);
            hak_large_free(b, word, false);
        },
        testing::KilledBySignal(SIGABRT), "^hakmem: double free: ");
}

TEST_F(Large, FindsAFreeOfAnInteriorAddress) {
    EXPECT_EXIT(
        {
            char *b = allocate(2 * MiB);
            hak_large_free(b + 16, registry_word(b), false);
        },
        testing::KilledBySignal(SIGABRT), "^hakmem: invalid free: address 0x[0-9a-f]+ ");
}

TEST_F(Large, ManyThreadsDoNotShareABlock) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            for (int i = 0; i < 300; i++) {
                char *b = allocate((1 + i % 5) * 512 * KiB);
                if (b == nullptr) continue;
                b[0] = static_cast<char>(t);
                if (i % 3 == 0) b = resize(b, 3 * MiB);
                EXPECT_EQ(b[0], t);
                give(b);
            }
        });
    }
    for (auto &t : threads) t.join();
}

/* ---- The cache ---- */

/* Frees and allocates until the mapping is kept: on a busy machine a round may take long. */
char *until_kept(size_t bytes) {
    for (int i = 0; i < 10000 && stats().kept_bytes < bytes; i++) give(allocate(bytes));
    EXPECT_GE(stats().kept_bytes, bytes);
    return allocate(bytes);
}

TEST_F(Large, WhatIsFreedOnceKeepsNothing) {
    hak_options.large_cache_calm_mb = 0; /* the default */
    give(allocate(2 * MiB));
    EXPECT_EQ(stats().kept_bytes, 0u);
    EXPECT_EQ(stats().cached_bytes, 2 * MiB);
    give(until_kept(2 * MiB));
    EXPECT_EQ(stats().kept_bytes, 2 * MiB);
}

TEST_F(Large, WhatIsFreedOnceKeepsTheRoomThatItHas) {
    char *b = allocate(kCalm + 1 * MiB);
    give(b);
    EXPECT_EQ(stats().kept_bytes, 0u);
    EXPECT_GT(stats().cached_bytes, kCalm);
    char *c = allocate(kCalm / 2);
    give(c);
    EXPECT_GE(stats().kept_bytes, kCalm / 2);
    EXPECT_EQ(allocate(kCalm + 1 * MiB), b);
    EXPECT_EQ(allocate(kCalm / 2), c);
    give(b);
    give(c);
}

TEST_F(Large, WhatComesAndGoesFastMayKeepAll) {
    size_t bytes = 4 * kCalm;
    char *b = until_kept(bytes);
    give(b);
    EXPECT_GE(stats().kept_bytes, bytes);
    EXPECT_LE(stats().kept_bytes, hak_options.large_cache_mb * MiB);
}

TEST_F(Large, WhatCameAndWentFastGivesWayToWhatDoesNot) {
    hak_options.large_cache_calm_mb = 0;
    give(until_kept(4 * kCalm));
    ASSERT_GE(stats().kept_bytes, 4 * kCalm);
    std::vector<char *> others;
    for (size_t i = 1; i <= LARGE_RECENT_TURNS + 1; i++)
        others.push_back(allocate(4 * kCalm + i * 16 * MiB));
    for (char *b : others) give(b);
    EXPECT_LE(stats().kept_bytes, hak_options.large_cache_mb * MiB / LARGE_CALM_SHARE);
}

TEST_F(Large, WhatIsFreeHasNoMoreThanTheRoom) {
    size_t bytes = align_up(kCalm / 2, 1 * MiB);
    std::vector<char *> blocks;
    size_t room = hak_options.large_cache_mb * MiB;
    while (blocks.size() * bytes < room + kCalm) blocks.push_back(allocate(bytes));
    for (int round = 0; round < 3; round++) {
        for (char *b : blocks) give(b);
        EXPECT_LE(stats().kept_bytes, round == 0 ? kCalm : room);
        for (char *&b : blocks) b = allocate(bytes);
    }
    for (char *b : blocks) give(b);
}

TEST_F(Large, AMappingServesWhatNeedsThreeQuartersOfIt) {
    for (size_t bytes : {4 * MiB, 2 * kCalm}) { /* kept, parked */
        size_t whole = large_round(bytes), least = whole - whole / 4;
        char *a = allocate(whole);
        give(a);
        char *less = bytes > kCalm ? allocate(least - 1) : nullptr; /* a purged one is not cut */
        EXPECT_NE(less, a);
        char *b = allocate(least);
        EXPECT_EQ(b, a);
        EXPECT_EQ(usable(b), whole);
        b[whole - 1] = 1;
        give(b);
        if (less != nullptr) give(less);
        hak_large_trim(0);
    }
}

TEST_F(Large, APurgedMappingIsZeroForWhoeverAsks) {
    size_t bytes = 2 * kCalm;
    hak_options.large_cache_mb = 1; /* room for none of it, however soon it is wanted back */
    for (size_t asked : {bytes, bytes - 5000, bytes - 70000, bytes - 300000}) {
        /* The end of a larger life lies behind that of the next one. */
        char *first = allocate(bytes);
        std::memset(first, 0xff, bytes);
        give(first);
        ASSERT_EQ(stats().kept_bytes, 0u);
        char *b = allocate(asked);
        ASSERT_EQ(b, first);
        std::memset(b, 0xff, asked);
        give(b);
        bool zero = true;
        b = allocate(bytes, 16, &zero);
        ASSERT_EQ(b, first);
        EXPECT_TRUE(zero);
        EXPECT_EQ(std::count(b, b + bytes, 0), static_cast<ptrdiff_t>(bytes)) << asked;
        give(b);
        hak_large_trim(0);
    }
}

TEST_F(Large, WhatTheProgramWasToldOfIsPurgedToo) {
    size_t asked = 2 * kCalm + hak_os_page_bytes();
    char *b = allocate(asked);
    size_t all = usable(b);
    ASSERT_GT(all, asked + 100000);
    hak_large_tell(b, registry_word(b));
    std::memset(b, 0xff, all);
    give(b);
    bool zero = true;
    char *c = allocate(all, 16, &zero);
    ASSERT_EQ(c, b);
    EXPECT_TRUE(zero);
    EXPECT_EQ(std::count(c, c + all, '\xff'), 0);
    give(c);
}

/* The size of the process. */
size_t mapped_bytes() {
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    EXPECT_EQ(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    return pages * hak_os_page_bytes();
}

TEST_F(Large, ALimitOfAddressSpaceIsNotSpentOnTheCache) {
    if (mapped_bytes() > 8 * GiB) GTEST_SKIP() << "a sanitizer has more than the limit";
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
    rlimit tight = {8 * GiB, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &tight), 0);
    hak_options.large_cache_mapped_mb = 4096;
    hak_large_tick(clock_ms() + LARGE_TICK_MS); /* looks at the limit */
    std::vector<char *> blocks;
    for (int i = 0; i < 30; i++) blocks.push_back(allocate(96 * MiB));
    for (char *b : blocks) give(b);
    EXPECT_LE(stats().cached_bytes, 1 * GiB);
    EXPECT_GE(stats().cached_bytes, 1 * GiB - 96 * MiB);
    EXPECT_EQ(setrlimit(RLIMIT_AS, &before), 0);
    hak_options.large_cache_mapped_mb = 1024;
    hak_large_tick(clock_ms() + 2 * LARGE_TICK_MS);
}

TEST_F(Large, WhatIsNotUsedIsPurgedInTime) {
    give(allocate(4 * MiB));
    EXPECT_EQ(stats().kept_bytes, 4 * MiB);
    for (int i = 0; i < 3000 && stats().kept_bytes != 0; i++) {
        hak_large_tick(clock_ms());
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(stats().kept_bytes, 0u);
    EXPECT_EQ(stats().cached_bytes, 4 * MiB);
}

TEST_F(Large, FindsADoubleFreeInTheCache) {
    for (size_t bytes : {2 * MiB, 2 * kCalm}) { /* kept, purged */
        char *b = allocate(bytes);
        uint32_t word = registry_word(b);
        give(b);
        EXPECT_EQ(hak_large_usable(b, word), 0u);
        EXPECT_FALSE(hak_large_give(b, word));
        EXPECT_EQ(hak_large_resize(b, word, 3 * MiB), nullptr);
        EXPECT_EXIT(hak_large_free(b, word, false), testing::KilledBySignal(SIGABRT),
                    "^hakmem: double free: ");
        EXPECT_EXIT(hak_large_free(b, word, true), testing::KilledBySignal(SIGABRT),
                    "^hakmem: double free: ");
    }
}

TEST_F(Large, ThreadsThatShareSizesShareNoBlock) {
    std::atomic<int> running{4};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t, &running] {
            std::vector<char *> blocks(6);
            for (int i = 0; i < 4000; i++) {
                char *&b = blocks[static_cast<size_t>(i * 7 + t) % blocks.size()];
                if (b != nullptr) {
                    EXPECT_EQ(b[0], t);
                    EXPECT_EQ(b[usable(b) - 1], t);
                    if (i % 2 == 0 || !hak_large_give(b, registry_word(b))) give(b);
                }
                size_t bytes = static_cast<size_t>(1 + i % 5) * MiB;
                b = static_cast<char *>(hak_large_take(bytes));
                if (b == nullptr) b = allocate(bytes);
                ASSERT_NE(b, nullptr);
                b[0] = b[usable(b) - 1] = static_cast<char>(t);
            }
            for (char *b : blocks) {
                if (b != nullptr) give(b);
            }
            running--;
        });
    }
    while (running > 0) {
        hak_large_trim(8 * MiB);
        EXPECT_LE(stats().kept_bytes, hak_options.large_cache_mb * MiB);
        std::this_thread::yield();
    }
    for (auto &t : threads) t.join();
}

TEST_F(Large, AnyAlignmentToGiBsOfSmallAndBig) {
    uint64_t random = 1;
    for (int i = 0; i < 300; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t align = size_t{1} << (4 + (random >> 33) % 28); /* to 2 GiB */
        size_t bytes = (random >> 40) % (20 * MiB) >> (random >> 60);
        bool zero = random >> 63;
        char *b = allocate(bytes, align, &zero);
        ASSERT_NE(b, nullptr) << bytes << " at " << align;
        EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % align, 0u);
        ASSERT_GE(usable(b), bytes);
        if (zero) {
            EXPECT_EQ(b[0] | b[usable(b) - 1], 0);
        }
        b[0] = b[usable(b) - 1] = 1;
        give(b);
    }
}

/* ---- Refusals of the kernel ---- */

int calls_until_failure;
bool for_ever; /* all after it fail too */
bool fail_the_kth(os_call) {
    calls_until_failure--;
    return calls_until_failure == 0 || (for_ever && calls_until_failure < 0);
}

/* Allocates, resizes and frees; whatever is refused leaves what was. */
void use_while_calls_fail() {
    static char *blocks[10];
    for (size_t i = 0; i < 10; i++) {
        size_t bytes = (2 + 3 * (i % 5)) * MiB;
        char *b = blocks[i] = allocate(bytes);
        if (b == nullptr) continue;
        b[100] = 'y';
        for (size_t to : {5 * MiB, 20 * MiB, 3 * MiB}) {
            if (char *moved = resize(b, to)) b = moved;
            EXPECT_EQ(b[100], 'y');
            EXPECT_GT(usable(b), 100u);
        }
        blocks[i] = b;
        if (i % 3 == 2) {
            give(b);
            blocks[i] = allocate(bytes);
        }
    }
    for (char *b : blocks) {
        if (b != nullptr) give(b);
    }
}

void nothing_is_lost_when_calls_fail(bool all_after) {
    use_while_calls_fail(); /* metadata is there now */
    hak_large_trim(0);
    size_t before = mapped_bytes(), metadata = hak_os_meta_bytes();
    int k = 0;
    do {
        calls_until_failure = ++k;
        for_ever = all_after;
        hak_os_set_fault(fail_the_kth);
        use_while_calls_fail();
        hak_large_trim(0);
        hak_os_set_fault(nullptr);
        hak_large_trim(0);
        hak_os_retry_discarded(true);
        EXPECT_EQ(stats().live_bytes, 0u) << k;
        EXPECT_EQ(stats().cached_bytes, 0u) << k;
        EXPECT_EQ(hak_os_meta_bytes(), metadata);
        ASSERT_EQ(mapped_bytes(), before) << k;
    } while (calls_until_failure <= 0); /* until no call is the kth */
    EXPECT_GT(k, 50);
}

TEST_F(Large, NothingIsLostWhenOneCallFails) { nothing_is_lost_when_calls_fail(false); }
TEST_F(Large, NothingIsLostWhenAllCallsFailFromOneOn) { nothing_is_lost_when_calls_fail(true); }

} // namespace
