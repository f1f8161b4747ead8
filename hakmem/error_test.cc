/* Mistakes of the program: what stops it, what it says, what the program's handler is told. */
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "hakmem/config/config.h"
#include "hakmem/hakmem.h"
#include "hakmem/slab/slab.h"

namespace {

void free_twice(size_t size) {
    void *neighbour = hak_malloc(size); /* keeps the slab in use */
    void *b = hak_malloc(size);
    hak_free(b);
    hak_free(b);
    hak_free(neighbour);
}

TEST(HakmemDeathTest, ADoubleFreeStopsTheProgram) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        free_twice(48), testing::KilledBySignal(SIGABRT),
        "^hakmem: double free: block 0x[0-9a-f]+ \\(size class 48 bytes, owner: this thread\\);");
    EXPECT_EXIT(free_twice(3000), testing::KilledBySignal(SIGABRT), "^hakmem: double free: ");
    EXPECT_EXIT(free_twice(3 * MiB), testing::KilledBySignal(SIGABRT), "^hakmem: double free: ");
}

TEST(HakmemDeathTest, AForeignPointerStopsTheProgram) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    static int here;
    void *foreign = &here; /* the compiler must not see that it is no block */
    __asm__("" : "+r"(foreign));
    EXPECT_EXIT(hak_free(foreign), testing::KilledBySignal(SIGABRT), "^hakmem: invalid free: ");
    EXPECT_EXIT(hak_realloc(foreign, 5), testing::KilledBySignal(SIGABRT), "^hakmem: invalid re");
    EXPECT_EXIT(hak_usable_size(foreign), testing::KilledBySignal(SIGABRT), "^hakmem: invalid us");
}

TEST(HakmemDeathTest, WhatIsNoBlockHasNoSize) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    char *kept = static_cast<char *>(hak_malloc(48)), *freed = static_cast<char *>(hak_malloc(48));
    hak_free(freed);
    hak_thread_idle(); /* back in its slab */
    char *slab = kept - reinterpret_cast<uintptr_t>(kept) % (64 * KiB);
    char *tail = slab + 64 * KiB - 16; /* 1365 blocks of 48 bytes, and 16 bytes */
    auto aborts = testing::KilledBySignal(SIGABRT);
    EXPECT_EXIT(hak_usable_size(freed), aborts, "^hakmem: invalid us.*was freed before");
    EXPECT_EXIT(hak_realloc(freed, 48), aborts, "^hakmem: invalid re.*was freed before");
    EXPECT_EXIT(hak_free_sized(freed, 48), aborts, "^hakmem: double free.*was freed before");
    void *large = hak_malloc(3 * MiB);
    EXPECT_EXIT(hak_usable_size(static_cast<char *>(large) + 16), aborts, "inside a large block");
    hak_free(large);
    EXPECT_EXIT(hak_usable_size(tail), aborts, "^hakmem: invalid us.*not the start of a block");
    EXPECT_EXIT(hak_realloc(tail, 99), aborts, "^hakmem: invalid re.*not the start of a block");
    hak_free(kept);
    char *medium = static_cast<char *>(hak_malloc(28 * KiB)); /* 9 in 256 KiB, and 4 KiB */
    tail = slab_base(hak_slab_of(medium)) + 9 * 28 * KiB;
    EXPECT_EXIT(hak_usable_size(tail), aborts, "^hakmem: invalid us.*not the start of a block");
    EXPECT_EXIT(hak_realloc(tail, 28 * KiB), aborts, "^hakmem: invalid re.*not the start of a bl");
    hak_free(medium);
}

TEST(HakmemDeathTest, AWrongSizeStopsTheProgram) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(hak_free_sized(hak_malloc(16), 100), testing::KilledBySignal(SIGABRT),
                "^hakmem: wrong size in free_sized: ");
    EXPECT_EXIT(hak_free_aligned_sized(hak_malloc(16), 3, 16), testing::KilledBySignal(SIGABRT),
                "^hakmem: wrong alignment in free_aligned_sized: ");
    EXPECT_EXIT(hak_free_sized(hak_malloc(1000), 100), testing::KilledBySignal(SIGABRT),
                "^hakmem: wrong size in free_sized: ");
}

/* What the handler was told. */
struct Told {
    hak_error error;
    unsigned times;
} told;

TEST(HakmemDeathTest, TheHandlerLearnsOfTheBlockAndMayAllocate) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            hak_set_error_handler([](const hak_error *error) {
                hak_free(hak_malloc(100));
                told.error = *error;
                told.times++;
                const hak_error &e = told.error;
                bool right =
                    e.size == sizeof(e) && e.kind == HAK_ERROR_INVALID_FREE &&
                    e.owner == HAK_OWNER_THIS_THREAD && e.block_bytes == 48 && e.size_class == 2 &&
                    !e.large &&
                    static_cast<const char *>(e.address) - static_cast<const char *>(e.block) == 16;
                (void)!write(STDERR_FILENO, right ? "right\n" : "wrong\n", 6);
            });
            hak_free(static_cast<char *>(hak_malloc(48)) + 16);
        },
        testing::KilledBySignal(SIGABRT), "\nright\n$");
}

TEST(Hakmem, EachSizeAndAlignmentThatABlockWasAskedForWithFreesIt) {
    for (size_t alignment = 16; alignment <= 256 * KiB; alignment *= 2) {
        for (size_t size = 0; size < 3 * MiB; size += size / 7 + 1) {
            hak_free_aligned_sized(hak_aligned_alloc(alignment, size), alignment, size);
        }
    }
    for (size_t size = 0; size < 3 * MiB; size += size / 63 + 1) {
        hak_free_sized(hak_malloc(size), size);
        void *resized = hak_realloc(hak_malloc(size), size - size / 4);
        if (size != 0) hak_free_sized(resized, size - size / 4);
    }
}

} // namespace
