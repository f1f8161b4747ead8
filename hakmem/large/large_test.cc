/* Blocks with a mapping each: contents, alignment, the cache, misuse, refusals of the kernel. */
#include "hakmem/large/large.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace {

large_stats stats() {
    large_stats s;
    hak_large_stats(&s);
    return s;
}

char *allocate(size_t bytes, size_t align = 16, bool *zero = nullptr) {
    bool unused;
    return static_cast<char *>(
        hak_large_alloc(bytes, align, false, zero == nullptr ? &unused : zero));
}

void give(void *block) { hak_large_free(block, registry_word(block), false); }
size_t usable(void *block) { return hak_large_usable(block, registry_word(block)); }

char *resize(void *block, size_t bytes) {
    return static_cast<char *>(hak_large_resize(block, registry_word(block), bytes));
}

class Large : public testing::Test {
  protected:
    void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_large_trim(0);
        EXPECT_EQ(stats().live_bytes, 0u);
        EXPECT_EQ(stats().cached_bytes, 0u);
    }
};

TEST_F(Large, ABlockIsZeroAlignedAndCounted) {
    for (size_t bytes : {1ul, 4096ul, 1 * MiB + 1, 3 * MiB, 100 * MiB}) {
        bool zero = false;
        char *b = allocate(bytes, 16, &zero);
        ASSERT_NE(b, nullptr);
        EXPECT_TRUE(zero);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % SLAB_BYTES, 0u);
        EXPECT_EQ(usable(b), align_up(bytes, hak_os_page_bytes()));
        EXPECT_EQ(stats().live_bytes, usable(b));
        EXPECT_EQ(b[0] | b[bytes / 2] | b[usable(b) - 1], 0);
        b[0] = b[usable(b) - 1] = 1;
        give(b);
        EXPECT_EQ(registry_word(b), 0u);
        hak_large_trim(0);
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
        EXPECT_EQ(usable(b), bytes);
        EXPECT_EQ(stats().live_bytes, bytes);
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
    char *c = allocate(1 * MiB); /* would waste half */
    EXPECT_NE(c, a);
    give(c);
    EXPECT_EQ(hak_large_trim(0), 3 * MiB);
}

TEST_F(Large, TheCacheIsBoundedByBytesAndCount) {
    std::vector<char *> blocks;
    for (int i = 0; i < 40; i++) blocks.push_back(allocate(2 * MiB));
    for (char *b : blocks) give(b);
    EXPECT_LE(stats().cached_bytes, LARGE_CACHE_BYTES);
    EXPECT_GT(stats().cached_bytes, 0u);
    hak_large_trim(0);
    blocks.clear();
    for (int i = 0; i < 200; i++) blocks.push_back(allocate(4096));
    for (char *b : blocks) give(b);
    EXPECT_LE(stats().cached_bytes, LARGE_CACHE_ENTRIES * hak_os_page_bytes());
}

TEST_F(Large, ATrimKeepsWhatIsAskedFor) {
    std::vector<char *> blocks;
    for (int i = 0; i < 8; i++) blocks.push_back(allocate(2 * MiB));
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
    bool zero;
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
        testing::KilledBySignal(SIGABRT), "^hakmem: invalid free: address 0x[0-9a-f]+ ");
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

int calls_until_failure;
bool fail_the_kth(os_call) { return --calls_until_failure == 0; }

TEST_F(Large, AnyRefusalOfTheKernelIsSurvived) {
    for (int k = 1; k <= 50; k++) {
        calls_until_failure = k;
        hak_os_set_fault(fail_the_kth);
        std::vector<char *> blocks;
        for (int i = 0; i < 12; i++) {
            char *b = allocate(2 * MiB);
            if (b == nullptr) continue;
            b[100] = 'y';
            if (char *moved = resize(b, 5 * MiB)) b = moved;
            EXPECT_EQ(b[100], 'y') << k;
            blocks.push_back(b);
        }
        EXPECT_GE(blocks.size(), 11u) << k;
        for (char *b : blocks) give(b);
        hak_large_trim(0);
        hak_os_set_fault(nullptr);
        EXPECT_EQ(stats().live_bytes, 0u) << k;
    }
}

} // namespace
