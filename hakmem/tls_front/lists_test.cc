/* Lists on their way back that the program wrote to: reported, and the rest of them dropped. What
 * becomes of lists that nobody looks at: chains that nobody wants, a forked child's. */
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/base/misuse.h"
#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/bin.h"
#include "hakmem/tls_front/steps.h"

static std::atomic<long> ahead_ms{0};

/* In place of the C library's, for this program: time that passes without waiting. */
extern "C" int clock_gettime(clockid_t, struct timespec *now) {
    std::timespec_get(now, TIME_UTC);
    long ms = now->tv_nsec / 1000000 + ahead_ms.load() % 1000;
    now->tv_sec += ahead_ms.load() / 1000 + ms / 1000;
    now->tv_nsec = ms % 1000 * 1000000;
    return 0;
}

namespace {

constexpr unsigned kTiny = 0; /* 16 bytes: blocks share lines */

/* A process that goes on after a misuse, which it reports as `line`. */
template <typename Body> void expect_report(const char *line, Body body) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            hak_misuse_set_policy(nullptr, true, false);
            hak_front_start();
            body(hak_front.heap);
            _exit(testing::Test::HasFailure() ? 1 : 0);
        },
        testing::ExitedWithCode(0), line);
}

/* The list of these blocks, as lists are. */
void *list_of(const std::vector<void *> &blocks) {
    for (size_t i = 0; i < blocks.size(); i++) {
        void *next = i + 1 < blocks.size() ? blocks[i + 1] : nullptr;
        block_link(blocks[i], next, hak_front.heap->lists.cookie);
    }
    return blocks[0];
}

/* Two blocks of one slab of a thread that goes on living; class `c`. */
std::vector<void *> anothers_blocks(unsigned c) {
    static std::vector<void *> blocks;
    static std::atomic<bool> there{false};
    std::thread([c] {
        hak_front_start();
        /* The first of the slab stays with the other: what is freed never empties it. */
        for (int i = 0; i < 3; i++) blocks.push_back(allocate(c));
        there = true;
        for (;;) pause();
    }).detach();
    while (!there) sched_yield();
    return {blocks[1], blocks[2]};
}

constexpr char kCorrupted[] = "^hakmem: corrupted free block: ";

TEST(Lists, OfAnotherClassAreNotReturned) {
    expect_report(kCorrupted, [](heap *heap) {
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of({allocate(kClass + 4)})), 0u);
    });
    expect_report(kCorrupted, [](heap *heap) {
        EXPECT_TRUE(hak_bin_return_one(heap, kClass, allocate(kClass + 4)));
    });
    expect_report(kCorrupted, [](heap *heap) {
        EXPECT_FALSE(hak_bin_hand_over(heap, kClass, list_of({allocate(kClass + 4)})));
    });
    expect_report(kCorrupted, [](heap *heap) {
        void *own = allocate(kTiny);
        EXPECT_EQ(hak_bin_keep_own(heap, kTiny, list_of({own, allocate(kClass)})), own);
        EXPECT_EQ(block_next(own), nullptr);
    });
}

TEST(Lists, ThatGoToOthersHaveWholeLinks) {
    expect_report(kCorrupted, [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        list_of(blocks);
        *block_cookie(blocks[1]) ^= 1;
        EXPECT_FALSE(hak_bin_hand_over(heap, kClass, blocks[0]));
        EXPECT_EQ(hak_transfer_bytes(), 0u);
    });
    expect_report(kCorrupted, [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kTiny);
        list_of(blocks);
        *block_cookie(blocks[1]) ^= 1;
        EXPECT_EQ(hak_bin_keep_own(heap, kTiny, blocks[0]), nullptr);
    });
}

TEST(Lists, OfAnothersBlocksStopWhereTheyAreBroken) {
    expect_report(kCorrupted, [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        list_of(blocks);
        *block_cookie(blocks[1]) ^= 1;
        EXPECT_EQ(hak_bin_return(heap, kClass, blocks[0]), 64u);
    });
    expect_report("^hakmem: invalid free: ", [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        void *inside = static_cast<char *>(blocks[0]) + 16;
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of({inside, blocks[1]})), 0u);
    });
    expect_report("^hakmem: double free: ", [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        EXPECT_EQ(hak_slab_give_remote(blocks[0]), SLAB_OK);
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of({blocks[0]})), 64u);
    });
}

TEST(Lists, AnothersBlocksGoBackWordByWord) {
    expect_report("^$", [](heap *heap) {
        static std::vector<void *> blocks;
        static std::atomic<bool> there{false};
        std::thread([] {
            hak_front_start();
            for (int i = 0; i < 200; i++) blocks.push_back(allocate(kClass));
            there = true;
            for (;;) pause();
        }).detach();
        while (!there) sched_yield();
        slab *of_all = hak_slab_of(blocks[0]);
        unsigned before = hak_slab_count_free(of_all);
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of(blocks)), 200 * 64u);
        EXPECT_EQ(hak_slab_count_free(of_all), before + 200);
    });
}

TEST(Lists, ABlockThatIsInItsSlabIsNotGivenAgain) {
    expect_report("^hakmem: double free: ", [](heap *heap) {
        void *kept = allocate(kClass), *freed = allocate(kClass);
        EXPECT_TRUE(hak_bin_return_one(heap, kClass, freed));
        EXPECT_TRUE(hak_bin_return_one(heap, kClass, freed));
        give(kept);
    });
}

TEST(Lists, AFreeAsideOfWhatIsNoBlockIsReported) {
    expect_report("^hakmem: invalid free: ",
                  [](heap *) { hak_front_free_aside(static_cast<char *>(allocate(kClass)) + 16); });
    expect_report(kCorrupted, [](heap *) {
        static int local;
        hak_front_free_aside(&local);
    });
    expect_report("^hakmem: double free: [^\n]*\n$", [](heap *) {
        void *block = allocate(kClass), *kept = allocate(kClass);
        slab *of_both = hak_slab_of(kept);
        unsigned before = hak_slab_count_free(of_both);
        hak_front_free_aside(block);
        hak_front_free_aside(block);
        EXPECT_EQ(hak_slab_count_free(of_both), before + 1);
    });
}

TEST(Lists, SafeModeHidesThemFromTheHotPath) {
    std::thread([] {
        hak_front_apply_mode(); /* without a heap there is nothing to hide */
        ASSERT_TRUE(hak_front_start());
        EXPECT_EQ(hak_front.lists, &hak_front.heap->lists);
        hak_options.mode = MODE_SAFE;
        hak_front_apply_mode();
        EXPECT_EQ(hak_front.lists, &hak_lists_none);
        void *block = allocate(kClass);
        EXPECT_FALSE(front_push(block));
        give(block);
        EXPECT_EQ(hak_front.lists, &hak_lists_none);
        hak_options.mode = MODE_DEFAULT;
        hak_front_apply_mode();
        EXPECT_EQ(hak_front.lists, &hak_front.heap->lists);
        hak_front_end();
    }).join();
}

/* Looks at the clock, by calls that take the slow path. */
void look_at_the_clock() {
    constexpr unsigned kRare = 40;
    for (int i = 0; i < 2 * FRONT_LOOK_CALLS; i++) give(allocate(kRare));
}

TEST(Lists, AChainThatNobodyWantsGoesBackAsTimePasses) {
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        std::vector<void *> blocks;
        for (int i = 0; i < 5000; i++) blocks.push_back(allocate(kClass));
        std::thread([&] {
            ASSERT_TRUE(hak_front_start());
            for (void *block : blocks) give(block);
            hak_front_end();
        }).join();
        ASSERT_GT(hak_transfer_bytes(), 0u);
        for (int i = 0; i < 3 * TICKS_IDLE; i++) {
            ahead_ms += TICK_MS;
            look_at_the_clock();
        }
        EXPECT_EQ(hak_transfer_bytes(), 0u);
        flush();
        shared_pool_stats s;
        hak_shared_pool_stats(&s);
        EXPECT_EQ(s.live_bytes, 0u);
        hak_front_end();
    }).join();
}

TEST(Lists, ATickIsOneThreads) {
    ahead_ms += 10 * TICK_MS;
    uint64_t now = clock_ms();
    EXPECT_TRUE(hak_front_claim_tick(now));
    EXPECT_FALSE(hak_front_claim_tick(now));
    EXPECT_FALSE(hak_front_claim_tick(now + TICK_MS - 1));
    EXPECT_TRUE(hak_front_claim_tick(now + TICK_MS));
}

} // namespace
