/* Any pointer value may be asked about; what is set is read, by any thread. */
#include "hakmem/registry/registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "hakmem/os_backend/os_backend.h"

namespace {

const void *address(uintptr_t a) { return reinterpret_cast<const void *>(a); }

/* A superslab's range that the test owns. */
class Registry : public testing::Test {
  protected:
    void SetUp() override {
        base_ = static_cast<char *>(hak_os_map(SUPERSLAB_BYTES, SUPERSLAB_BYTES));
        ASSERT_NE(base_, nullptr);
        ASSERT_TRUE(hak_registry_reserve(base_, SUPERSLAB_BYTES));
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_registry_set(base_, SLABS_PER_SUPERSLAB, 0);
        hak_registry_set_record(base_, nullptr);
        EXPECT_TRUE(hak_os_unmap(base_, SUPERSLAB_BYTES));
    }
    char *base_ = nullptr;
};

TEST_F(Registry, KnowsNothingOfPointersThatAreNotOurs) {
    int local = 0;
    uintptr_t user_end = static_cast<uintptr_t>(1) << ADDRESS_BITS;
    std::vector<uintptr_t> values = {0,
                                     1,
                                     16,
                                     4096,
                                     SLAB_BYTES,
                                     UINTPTR_MAX,
                                     UINTPTR_MAX - 15,
                                     user_end - 1,
                                     user_end,
                                     user_end + 1,
                                     static_cast<uintptr_t>(1) << 63,
                                     0xffff800000000000u,
                                     0x0000800000000000u,
                                     0xdeadbeefdeadbeefu,
                                     reinterpret_cast<uintptr_t>(&local),
                                     reinterpret_cast<uintptr_t>(&hak_registry_top)};
    for (uintptr_t v : values) {
        EXPECT_EQ(registry_word(address(v)), 0u) << std::hex << v;
        EXPECT_EQ(hak_registry_record(address(v)), nullptr) << std::hex << v;
    }
}

TEST_F(Registry, AnswersForRandomPointers) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 200000; i++) {
        uintptr_t v = random() >> (random() % 64);
        ASSERT_EQ(registry_word(address(v)), 0u) << std::hex << v;
        ASSERT_EQ(hak_registry_record(address(v)), nullptr) << std::hex << v;
    }
}

TEST_F(Registry, ReadsWhatWasSetForEveryUnit) {
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        hak_registry_set(base_ + i * SLAB_BYTES, 1, (i + 2) << 8 | i);
    }
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        char *unit = base_ + i * SLAB_BYTES;
        EXPECT_EQ(registry_word(unit), (i + 2) << 8 | i);
        EXPECT_EQ(registry_word(unit + SLAB_BYTES - 1), (i + 2) << 8 | i);
    }
    hak_registry_set(base_ + 3 * SLAB_BYTES, 4, WORD_UNUSED);
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        uint32_t expected = i >= 3 && i < 7 ? WORD_UNUSED : (i + 2) << 8 | i;
        EXPECT_EQ(registry_word(base_ + i * SLAB_BYTES), expected) << i;
    }
}

TEST_F(Registry, LeavesTheNeighboursAlone) {
    hak_registry_set(base_, SLABS_PER_SUPERSLAB, 0x701);
    EXPECT_NE(registry_word(base_ - 1), 0x701u);
    EXPECT_NE(registry_word(base_ + SUPERSLAB_BYTES), 0x701u);
    EXPECT_EQ(hak_registry_record(base_), nullptr);
}

TEST_F(Registry, KeepsARecordForEachSuperslab) {
    int record = 0;
    hak_registry_set_record(base_, &record);
    EXPECT_EQ(hak_registry_record(base_), &record);
    EXPECT_EQ(hak_registry_record(base_ + SUPERSLAB_BYTES - 1), &record);
    EXPECT_EQ(hak_registry_record(base_ + SUPERSLAB_BYTES), nullptr);
    EXPECT_EQ(hak_registry_record(base_ - 1), nullptr);
    hak_registry_set_record(base_, nullptr);
    EXPECT_EQ(hak_registry_record(base_), nullptr);
}

TEST_F(Registry, RefusesAddressesItDoesNotCover) {
    uintptr_t end = static_cast<uintptr_t>(1) << ADDRESS_BITS;
    EXPECT_FALSE(hak_registry_reserve(address(end), 4096));
    EXPECT_FALSE(hak_registry_reserve(address(end - 4096), 8192));
}

TEST_F(Registry, ReservesARangeThatCrossesAGiB) {
    uintptr_t border = static_cast<uintptr_t>(0x123) << LEAF_SHIFT;
    const char *from = static_cast<const char *>(address(border - SLAB_BYTES));
    ASSERT_TRUE(hak_registry_reserve(from, 2 * SLAB_BYTES));
    hak_registry_set(from, 2, 0x905);
    EXPECT_EQ(registry_word(from), 0x905u);
    EXPECT_EQ(registry_word(from + SLAB_BYTES), 0x905u);
    EXPECT_EQ(registry_word(from - 1), 0u);
    EXPECT_EQ(registry_word(from + 2 * SLAB_BYTES), 0u);
    hak_registry_set(from, 2, 0);
}

TEST_F(Registry, SaysWhenThereIsNoMemoryAndRecovers) {
    const void *far = address(static_cast<uintptr_t>(0x456) << LEAF_SHIFT);
    hak_os_set_fault([](os_call call) { return call == OS_META; });
    EXPECT_FALSE(hak_registry_reserve(far, SLAB_BYTES));
    EXPECT_EQ(registry_word(far), 0u);
    hak_os_set_fault(nullptr);
    EXPECT_TRUE(hak_registry_reserve(far, SLAB_BYTES));
    EXPECT_EQ(registry_word(far), 0u);
}

TEST_F(Registry, ManyThreadsReserveTheSameGiB) {
    const void *far = address(static_cast<uintptr_t>(0x457) << LEAF_SHIFT);
    std::atomic<int> reserved{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&] { reserved += hak_registry_reserve(far, 64 * KiB); });
    }
    for (auto &t : threads) t.join();
    EXPECT_EQ(reserved, 4);
    hak_registry_set(far, 1, 0x333);
    EXPECT_EQ(registry_word(far), 0x333u);
    hak_registry_set(far, 1, 0);
}

TEST_F(Registry, ReadersSeeWholeWordsWhileTheyChange) {
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> wrong{0}, reads{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; t++) {
        readers.emplace_back([&, t] {
            std::mt19937_64 random(static_cast<uint64_t>(t));
            do {
                uint32_t word = registry_word(base_ + random() % SUPERSLAB_BYTES);
                if (word != 0 && word != 0x20304 && word != WORD_UNUSED) wrong++;
                reads++;
            } while (!stop);
        });
    }
    for (int i = 0; i < 3000; i++) {
        hak_registry_set(base_, SLABS_PER_SUPERSLAB, i % 2 != 0 ? 0x20304 : WORD_UNUSED);
    }
    stop = true;
    for (auto &t : readers) t.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(reads, 0u);
}

} // namespace
