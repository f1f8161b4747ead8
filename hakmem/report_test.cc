/* Mistakes of the program where it goes on after them, and operator delete's own. Each is reported
 * and undone: the call does nothing, and what is live stays so. */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "hakmem/base/expect_report.h"
#include "hakmem/config/config.h"
#include "hakmem/hakmem.h"
#include "hakmem/hot_path.h"

namespace {

/* And all counts agree then. */
template <typename Body> void expect_sound_report(const char *line, Body body) {
    expect_report(line, [&] {
        body();
        EXPECT_TRUE(hak_check_counts());
    });
}

char *block_of(size_t size) { return static_cast<char *>(hak_malloc(size)); }

/* Another block of its slab stays, for ever. */
void *freed_block(size_t size) {
    hak_malloc(size);
    void *block = hak_malloc(size);
    hak_free(block);
    return block;
}

/* The same in a list of the thread, which keeps what is freed while its class is busy. */
void *listed_block(size_t size) {
    for (int i = 0; i < 50; i++) {
        void *blocks[4];
        for (void *&b : blocks) b = hak_malloc(size);
        for (void *b : blocks) hak_free(b);
    }
    return freed_block(size);
}

/* What is no live block: not given out, inside one, freed. Each by a function that makes it, and
 * what is said of it. */
template <typename Body> void for_all_that_is_dead(Body body) {
    alignas(64) static int local;
    using make = void *(*)();
    static const struct {
        make address;
        const char *line;
    } all[] = {
        {[]() -> void * { return &local; }, "invalid .*did not give this address out"},
        {[]() -> void * { return block_of(48) + 16; }, "invalid .*not the start of a block"},
        {[]() -> void * { return block_of(9 * KiB) + 16; }, "invalid .*not the start of a block"},
        {[]() -> void * { return block_of(20 * KiB) + 16; }, "invalid .*not the start of a block"},
        {[]() -> void * { return block_of(2 * MiB) + 16; }, "invalid .*inside a large block"},
        {[] { return freed_block(48); }, "was freed before"},
        {[] { return listed_block(48); }, "was freed before"},
        {[] { return freed_block(20 * KiB); }, "was freed before"},
        {[] { return listed_block(20 * KiB); }, "was freed before"},
        {[] { return freed_block(2 * MiB); }, "was freed before"},
        {[] {
             void *block = freed_block(2 * MiB);
             hak_trim(0);
             return block;
         },
         "was freed before"},
    };
    for (const auto &dead : all) body(dead.address, dead.line);
}

/* Back in its slab, its mark written over: at a unit's start, as the live block before it, too. */
void *unmarked_block(size_t size) {
    void *block = freed_block(size);
    hak_thread_idle();
    return std::memset(block, 0, 16);
}

/* The same, freed by another thread: what came back has not been collected. */
void *unmarked_block_of_another(size_t size) {
    hak_malloc(size);
    void *block = hak_malloc(size);
    std::thread(hak_free, block).join();
    return std::memset(block, 0, 16);
}

constexpr size_t kUnmarked[] = {48, 20 * KiB, 128 * KiB};

TEST(ReportDeathTest, WhatIsNoBlockHasNoSize) {
    for_all_that_is_dead([](auto make, const char *line) {
        expect_sound_report(line, [=] { EXPECT_EQ(hak_usable_size(make()), 0u); });
    });
}

TEST(ReportDeathTest, WhatIsNoBlockIsNotResized) {
    for_all_that_is_dead([](auto make, const char *line) {
        for (size_t size : {size_t{0}, size_t{1}, size_t{40}, size_t{48}, 20 * KiB, 3 * MiB}) {
            expect_sound_report(line, [=] {
                void *address = make();
                errno = 0;
                EXPECT_EQ(hak_realloc(address, size), nullptr);
                EXPECT_EQ(errno, EINVAL);
            });
        }
    });
}

#if !defined(__SANITIZE_ADDRESS__) /* which reports the write itself */
TEST(ReportDeathTest, WhatTheSlabAloneKnowsOfIsNotMoved) {
    for (size_t bytes : kUnmarked) {
        for (size_t size : {size_t{0}, 9 * KiB, 60 * KiB, 3 * MiB}) {
            for (auto make : {unmarked_block, unmarked_block_of_another}) {
                expect_sound_report("was freed before", [=] {
                    void *address = make(bytes);
                    errno = 0;
                    EXPECT_EQ(hak_realloc(address, size), nullptr);
                    EXPECT_EQ(errno, EINVAL);
                });
            }
        }
    }
}

/* hardening.md says so. */
TEST(ReportDeathTest, WhatTheSlabAloneKnowsOfMayStay) {
    for (size_t bytes : kUnmarked) {
        expect_sound_report("^$", [=] {
            void *address = unmarked_block(bytes);
            EXPECT_EQ(hak_usable_size(address), bytes);
            for (size_t size : {bytes, bytes - bytes / 4}) {
                EXPECT_EQ(hak_realloc(address, size), address);
            }
        });
    }
}
#endif

TEST(ReportDeathTest, WhatIsNoBlockIsNotFreed) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    const char *line = "^hakmem: (invalid|double) free: ";
    auto is_not_freed = [line](auto make) {
        expect_sound_report(line, [=] { hak_free(make()); });
        expect_sound_report(line, [=] { hak_free_sized(make(), 48); });
        expect_sound_report(line, [=] { hak_free_aligned_sized(make(), 16, 48); });
        expect_sound_report(line, [=] { hot_delete_sized(make(), 40, KIND_NEW); });
        expect_sound_report(line, [=] { hot_delete_sized(make(), 20 * KiB, KIND_NEW); });
        expect_sound_report(line, [=] { hak_delete_aligned(make(), 16, KIND_NEW); });
        expect_sound_report(line, [=] { hak_delete_aligned_sized(make(), 48, 16, KIND_NEW); });
    };
    for_all_that_is_dead([=](auto make, const char *) { is_not_freed(make); });
#if !defined(__SANITIZE_ADDRESS__)
    for (size_t bytes : kUnmarked) {
        expect_sound_report(line, [=] { hak_free(unmarked_block(bytes)); });
        expect_sound_report(line, [=] { hak_free_sized(unmarked_block(bytes), bytes); });
        expect_sound_report(line,
                            [=] { hot_delete_sized(unmarked_block(bytes), bytes, KIND_NEW); });
        expect_sound_report(line, [=] { hak_delete_aligned(unmarked_block(bytes), 16, KIND_NEW); });
    }
#endif
}

TEST(ReportDeathTest, AWrongSizeOrAlignmentLeavesTheBlock) {
    auto leaves = [](const char *line, size_t size, auto free_it) {
        expect_sound_report(line, [=] {
            char *block = block_of(size);
            std::memset(block, 7, size);
            free_it(block);
            EXPECT_EQ(block[size - 1], 7);
            EXPECT_GE(hak_usable_size(block), size);
            hak_free(block);
        });
    };
    for (size_t size : {size_t{48}, 3 * KiB, 20 * KiB, 2 * MiB}) {
        leaves("^hakmem: wrong size in free_sized: ", size,
               [=](void *b) { hak_free_sized(b, size + 4 * MiB); });
        leaves("^hakmem: wrong size in operator delete: ", size,
               [=](void *b) { hot_delete_sized(b, size + 4 * MiB, KIND_NEW); });
        leaves("^hakmem: wrong size in operator delete: ", size,
               [=](void *b) { hak_delete_aligned_sized(b, size + 4 * MiB, 16, KIND_NEW); });
        leaves("^hakmem: wrong alignment in operator delete: ", size,
               [=](void *b) { hak_delete_aligned_sized(b, size, size_t{1} << 46, KIND_NEW); });
        leaves("^hakmem: wrong alignment in operator delete: ", size,
               [=](void *b) { hak_delete_aligned(b, 3, KIND_NEW); });
    }
    for (auto [size, wrong] : {std::pair{size_t{48}, size_t{100}},
                               {3 * KiB, 5 * KiB},
                               {20 * KiB, 40 * KiB},
                               {40 * KiB, 20 * KiB}}) {
        leaves("^hakmem: wrong size in operator delete: ", size,
               [wrong = wrong](void *b) { hot_delete_sized(b, wrong, KIND_NEW); });
    }
}

/* What was written is more than any class rounds up by, once a block that shrank stayed. */
TEST(ReportDeathTest, AWrongSizeIsSeenAfterABlockShrank) {
    expect_sound_report("^hakmem: wrong size in free_sized: ", [] {
        void *shrunk = hak_realloc(hak_malloc(1024), 520);
        hak_free_sized(shrunk, 520);
        void *block = hak_malloc(48);
        hak_free_sized(block, 100);
        hak_free(block);
    });
}

TEST(ReportDeathTest, TheHandlerIsNotCalledInItselfAndErrnoStays) {
    static int calls;
    expect_sound_report("^(hakmem: invalid free: [^\n]*\n){4}$", [] {
        hak_set_error_handler([](const hak_error *error) {
            calls++;
            hak_free(const_cast<void *>(error->address));
            errno = ERANGE;
        });
        char *block = block_of(48);
        for (int i = 1; i <= 2; i++) {
            errno = EDOM;
            hak_free(block + 16);
            EXPECT_EQ(errno, EDOM);
            EXPECT_EQ(calls, i);
        }
        hak_set_error_handler(nullptr);
    });
}

TEST(Delete, OfEverySizeAndAlignmentFrees) {
    hot_delete_sized(nullptr, 48, KIND_NEW);
    hak_delete_sized(nullptr, 48, KIND_NEW);
    hak_delete_aligned(nullptr, 16, KIND_NEW);
    hak_delete_aligned_sized(nullptr, 48, 16, KIND_NEW);
    hak_stats before = {}, after = {};
    before.size = after.size = sizeof(before);
    ASSERT_TRUE(hak_stats_get(&before));
    for (size_t size = 0; size < 3 * MiB; size += size / 7 + 1) {
        hot_delete_sized(hak_malloc(size), size, KIND_NEW);
        hak_delete_sized(hak_malloc(size), size, KIND_NEW);
        for (size_t alignment = 16; alignment <= 64 * KiB; alignment *= 4) {
            hak_delete_aligned(hak_aligned_alloc(alignment, size), alignment, KIND_NEW);
            hak_delete_aligned_sized(hak_aligned_alloc(alignment, size), size, alignment, KIND_NEW);
        }
    }
    ASSERT_TRUE(hak_stats_get(&after));
    EXPECT_EQ(after.live_bytes, before.live_bytes);
}

} // namespace
