/* The API in debug mode, which is all that safe mode is, and places. What mistakes lead to is in
 * misuse_test. */
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/base/watch.h"
#include "hakmem/config/config.h"
#include "hakmem/hakmem.h"
#include "gtest/gtest.h"

namespace {

/* From before hakmem reads its options. */
constexpr size_t kEarly[] = {0, 100, 30000, 2 * MiB};
void *early[4];

__attribute__((constructor(101))) void choose_mode() {
    hak_watch_never(); /* else a sanitizer looks after blocks, and no mode does */
    setenv("HAKMEM_MODE", "debug", 1);
    setenv("HAKMEM_ON_ERROR", "report", 1);
    setenv("HAKMEM_QUARANTINE_KB", "256", 1);
    for (int i = 0; i < 4; i++) early[i] = hak_malloc(kEarly[i]);
}

hak_error last;
int errors;

void note(const hak_error *error) {
    last = *error;
    errors++;
}

class Guarded : public testing::Test {
  protected:
    void SetUp() override {
        errors = 0;
        hak_set_error_handler(note);
    }
    void TearDown() override {
        hak_set_error_handler(nullptr);
        EXPECT_TRUE(hak_check_counts());
    }
};

TEST_F(Guarded, BlocksAreUsableToTheByte) {
    for (size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{30000}, 1 * MiB, 5 * MiB}) {
        void *block = hak_malloc(size);
        EXPECT_EQ(hak_usable_size(block), size);
        memset(block, 1, size);
        hak_free_sized(block, size);
    }
    EXPECT_EQ(errors, 0);
}

TEST_F(Guarded, BlocksFromBeforeTheOptionsAreGuarded) {
    for (int i = 0; i < 4; i++) {
        auto *block = static_cast<char *>(early[i]);
        EXPECT_EQ(hak_usable_size(block), kEarly[i]);
        memset(block, 1, kEarly[i]);
        hak_free(block);
        EXPECT_EQ(errors, i);
        hak_free(block);
        EXPECT_EQ(errors, i + 1);
    }
}

TEST_F(Guarded, AlignmentsHold) {
    for (size_t align = 16; align <= 4 * MiB; align *= 2) {
        for (size_t size : {size_t{0}, size_t{24}, align, 3 * align + 1}) {
            void *block = hak_aligned_alloc(align, size);
            ASSERT_NE(block, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % align, 0u);
            memset(block, 1, size);
            hak_free_aligned_sized(block, align, size);
        }
    }
    EXPECT_EQ(errors, 0);
}

TEST_F(Guarded, ReallocKeepsBytesAtEverySize) {
    size_t before = 1;
    auto *block = static_cast<unsigned char *>(hak_malloc(before));
    block[0] = 7;
    for (size_t size : {20, 90, 5000, 4000, 400000, 3000000, 9000000, 1000, 5, 1}) {
        block = static_cast<unsigned char *>(hak_realloc(block, size));
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(hak_usable_size(block), size);
        for (size_t i = 0; i < before && i < size; i++) ASSERT_EQ(block[i], 7);
        memset(block, 7, size);
        before = size;
    }
    hak_free(block);
    EXPECT_EQ(errors, 0);
}

TEST_F(Guarded, CallocIsZeroAfterLargeBlocksWereFilled) {
    for (size_t size : {100 * KiB, 2 * MiB, 5 * MiB}) {
        for (int round = 0; round < 3; round++) {
            auto *block = static_cast<char *>(hak_calloc(1, size));
            for (size_t i = 0; i < size; i++) ASSERT_EQ(block[i], 0);
            memset(block, 1, size);
            hak_free(block);
        }
    }
}

TEST_F(Guarded, FreedBlocksAreNotHandedOutBeforeOthers) {
    void *first = hak_malloc(1000);
    hak_free(first);
    for (int i = 0; i < 100; i++) {
        void *block = hak_malloc(1000);
        EXPECT_NE(block, first);
        hak_free(block);
    }
}

TEST_F(Guarded, TheHandlerIsToldThePlaces) {
    auto *block = static_cast<char *>(hak_malloc(100));
    hak_free(block);
    hak_free(block);
    ASSERT_EQ(errors, 1);
    EXPECT_EQ(last.kind, HAK_ERROR_DOUBLE_FREE);
    EXPECT_EQ(last.block, block);
    EXPECT_NE(last.allocated_at[0], nullptr);
    EXPECT_NE(last.freed_at[0], nullptr);
    EXPECT_NE(last.allocated_at[0], last.freed_at[0]);
}

TEST_F(Guarded, ADamagedBlockStaysOutAndTheOffsetIsSaid) {
    auto *block = static_cast<char *>(hak_malloc(100));
    block[103] = 1;
    hak_free(block);
    ASSERT_EQ(errors, 1);
    EXPECT_EQ(last.kind, HAK_ERROR_OVERFLOW);
    EXPECT_EQ(last.address, block + 103);
    EXPECT_EQ(last.block, block);
}

TEST_F(Guarded, ALateWriteIsFoundByTrim) {
    auto *block = static_cast<char *>(hak_malloc(1000));
    hak_free(block);
    block[777] = 1;
    hak_trim(0);
    ASSERT_EQ(errors, 1);
    EXPECT_EQ(last.kind, HAK_ERROR_CORRUPTED_BLOCK);
    EXPECT_EQ(last.address, block + 777);
}

TEST_F(Guarded, APageAfterALargeBlockFaults) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    auto *block = static_cast<char *>(hak_malloc(2 * MiB));
    EXPECT_DEATH(
        {
            volatile char *bytes = block;
            for (size_t i = 0; i < 4 * MiB; i += 1024) bytes[2 * MiB + i] = 1;
        },
        "");
    hak_free(block);
}

TEST_F(Guarded, ThreadsFreeEachOthersBlocks) {
    std::vector<std::vector<void *>> made(4);
    for (auto &blocks : made) {
        std::thread([&] {
            for (size_t i = 0; i < 2000; i++) blocks.push_back(hak_malloc(i));
        }).join();
    }
    std::vector<std::thread> threads;
    for (auto &blocks : made) {
        threads.emplace_back([&] {
            for (void *block : blocks) hak_free(block);
            for (size_t i = 0; i < 20000; i++) hak_free(hak_malloc(i % 3000));
        });
    }
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(errors, 0);
}

TEST_F(Guarded, AForkedChildGoesOn) {
    std::vector<void *> blocks;
    for (size_t i = 0; i < 1000; i++) blocks.push_back(hak_malloc(i));
    pid_t child = fork();
    if (child == 0) {
        for (void *block : blocks) hak_free(block);
        for (size_t i = 0; i < 20000; i++) hak_free(hak_malloc(i % 3000));
        hak_trim(0);
        _exit(errors);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    for (void *block : blocks) hak_free(block);
    EXPECT_EQ(errors, 0);
}

} // namespace
