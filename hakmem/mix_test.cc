/* The mix over the public API, and what depends on the page size. */
#include <gtest/gtest.h>

#include "hakmem/api_workload.h"
#include "hakmem/hakmem.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

using hakmem_test::Outcome;

TEST(Mix, RunsThrough) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        Outcome outcome = hakmem_test::RunMix({.seed = seed, .steps = 2000});
        EXPECT_EQ(outcome.wrong, "") << "seed " << seed;
        EXPECT_EQ(outcome.refused, 0);
        EXPECT_EQ(hakmem_test::WhatIsLost(), "");
    }
}

TEST(Mix, EveryAlignmentIsKept) {
    for (size_t align = 16; align <= 1 << 22; align *= 2) {
        for (size_t bytes : {static_cast<size_t>(1), align - 1, align, align + 1, 3 * align}) {
            void *first = hak_aligned_alloc(align, bytes),
                 *second = hak_aligned_alloc(align, bytes);
            ASSERT_NE(first, nullptr);
            ASSERT_NE(second, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % align, 0u) << align << " " << bytes;
            EXPECT_EQ(reinterpret_cast<uintptr_t>(second) % align, 0u) << align << " " << bytes;
            EXPECT_GE(hak_usable_size(first), bytes);
            hak_free(first);
            hak_free(second);
        }
    }
}

TEST(Mix, LargeBlocksAreWholePages) {
    for (size_t bytes = 2 << 20; bytes < 9 << 20; bytes += 777777) {
        void *block = hak_malloc(bytes);
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(hak_usable_size(block) % hak_os_page_bytes(), 0u);
        block = hak_realloc(block, bytes * 2);
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(hak_usable_size(block) % hak_os_page_bytes(), 0u);
        hak_free(block);
    }
    EXPECT_EQ(hakmem_test::WhatIsLost(), "");
}

} // namespace
