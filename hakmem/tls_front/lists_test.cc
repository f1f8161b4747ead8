/* What the hot and the slow path take into lists and out of them, and what becomes of lists that
 * nobody looks at: chains that nobody wants, what a thread holds as time passes. */
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/base/misuse.h"
#include "hakmem/config/config.h"
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
constexpr unsigned kRun = 62; /* 28 KiB: slabs of four units */

constexpr char kCorrupted[] = "^hakmem: corrupted free block: ";

TEST(Lists, AFreeAsideOfWhatIsNoBlockIsReported) {
    expect_heap_report("^hakmem: invalid free: ", [](heap *) {
        hak_front_free_aside(static_cast<char *>(allocate(kClass)) + 16);
    });
    expect_heap_report(kCorrupted, [](heap *) {
        static int local;
        hak_front_free_aside(&local);
    });
    expect_heap_report("^hakmem: double free: [^\n]*\n$", [](heap *) {
        void *block = allocate(kClass), *kept = allocate(kClass);
        slab *of_both = hak_slab_of(kept);
        unsigned before = hak_slab_count_free(of_both);
        hak_front_free_aside(block);
        hak_front_free_aside(block);
        EXPECT_EQ(hak_slab_count_free(of_both), before + 1);
    });
}

TEST(Lists, AFreeAsideOfABlockInAListIsReported) {
    expect_heap_report("^hakmem: double free: [^\n]*\n$", [](heap *) {
        warm_up(kClass);
        void *block = allocate(kClass), *kept = allocate(kClass);
        slab *of_both = hak_slab_of(kept);
        give(block);
        unsigned before = hak_slab_count_free(of_both);
        hak_front_free_aside(block);
        EXPECT_EQ(hak_slab_count_free(of_both), before);
    });
}

TEST(Lists, AreHiddenFromTheHotPath) {
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        EXPECT_EQ(hak_front.lists, &hak_front.heap->lists);
        hak_front_hide(true);
        EXPECT_EQ(hak_front.lists, &hak_lists_none);
        void *block = allocate(kClass);
        EXPECT_FALSE(front_push(block));
        give(block);
        EXPECT_EQ(hak_front.lists, &hak_lists_none);
        hak_front_hide(false);
        EXPECT_EQ(hak_front.lists, &hak_front.heap->lists);
        hak_front_end();
    }).join();
}

/* ---- The hot path's own checks, and those of the slow path before it takes a block ---- */

void free_slowly(void *block, unsigned c) {
    ASSERT_TRUE(front_enter());
    hak_front_free(block, c);
    front_leave();
}

TEST(Lists, TheHotPathTakesOnlyWhatIsABlockAndLive) {
    std::thread([] {
        ASSERT_TRUE(start_cold());
        for (unsigned c : {kClass, 59u, kRun}) {
            warm_up(c);
            char *block = static_cast<char *>(allocate(c)),
                 *other = static_cast<char *>(allocate(c));
            uint32_t word = registry_word(block);
            auto push = [=](char *p) {
                return (word & WORD_RUN) != 0 ? front_push_medium(p, registry_word(p))
                                              : front_push(p);
            };
            for (int d : {1, 8, 16, -16, 520}) EXPECT_FALSE(push(block + d)) << c << " " << d;
            give(other);
            make_room(c);
            ASSERT_TRUE(push(block)) << c;
            EXPECT_FALSE(push(block)) << c << " twice";
        }
        hak_front_end();
    }).join();
}

TEST(Lists, ABlockThatIsWrittenToInAListIsNotLoaded) {
    expect_heap_report(kCorrupted, [](heap *heap) {
        warm_up(kClass);
        list_pair *list = &heap->lists.of[kClass];
        void *block = allocate(kClass);
        flush();
        warm_up(kClass);
        while (front_pop(kClass << CLASS_SCALE) != nullptr) {
        }
        list->previous = block;
        heap->use[kClass].previous = 1;
        block_link(block, LIST_END, heap->lists.cookie);
        *block_cookie(block) ^= 1;
        heap->use[kClass].swinging = false;
        heap->caps.until_look = FRONT_LOOK_CALLS;
        EXPECT_EQ(front_reload(kClass << CLASS_SCALE), nullptr);
        EXPECT_EQ(list->previous, block);
        EXPECT_NE(allocate(kClass), block);
        EXPECT_EQ(list->previous, LIST_END);
    });
}

TEST(Lists, AReloadBringsTheNextLookAtTheClockNearer) {
    std::thread([] {
        constexpr unsigned kAlone = 56;
        ASSERT_TRUE(hak_front_start());
        warm_up(kAlone);
        heap *heap = hak_front.heap;
        int reloads = 0;
        for (int i = 0; i < 1000; i++) {
            std::vector<void *> blocks;
            for (int n = 0; n < FRONT_SWING_BLOCKS + 8; n++) {
                void *block = front_pop(kAlone << CLASS_SCALE);
                uint32_t before = heap->caps.until_look;
                if (block == nullptr && (block = front_reload(kAlone << CLASS_SCALE)) != nullptr) {
                    EXPECT_EQ(heap->caps.until_look, before - 1);
                    reloads++;
                }
                blocks.push_back(block != nullptr ? block : allocate(kAlone));
            }
            for (void *b : blocks) give(b);
        }
        EXPECT_GT(reloads, 100);
        hak_front_end();
    }).join();
}

TEST(Lists, TheSlowPathTakesOnlyWhatIsABlockAndLive) {
    expect_heap_report("^hakmem: invalid free: [^\n]*\n$", [](heap *heap) {
        warm_up(kClass);
        char *block = static_cast<char *>(allocate(kClass));
        free_slowly(block + 16, kClass);
        EXPECT_NE(heap->lists.of[kClass].loaded, block + 16);
    });
    expect_heap_report("^hakmem: double free: [^\n]*\n$", [](heap *heap) {
        warm_up(kClass);
        void *block = allocate(kClass), *other = allocate(kClass);
        give(block);
        give(other);
        free_slowly(block, kClass);
        EXPECT_EQ(heap->lists.of[kClass].loaded, other);
    });
    expect_heap_report("^hakmem: double free: [^\n]*\n$", [](heap *heap) {
        warm_up(kClass);
        void *block = allocate(kClass), *kept = allocate(kClass);
        block_link(block, LIST_END, heap->lists.cookie);
        EXPECT_TRUE(hak_bin_return_one(heap, kClass, block));
        *static_cast<int *>(block) = 1; /* its link: the mark no longer fits */
        free_slowly(block, kClass);
        EXPECT_NE(heap->lists.of[kClass].loaded, block);
        give(kept);
    });
}

/* A slab of four blocks. */
constexpr unsigned kFour = 59;

TEST(Lists, WhereASlabsBlocksWereAllWrittenToAnotherServes) {
    expect_heap_report(kCorrupted, [](heap *) {
        void *blocks[4];
        for (void *&b : blocks) b = allocate(kFour);
        slab *s = hak_slab_of(blocks[0]);
        give(blocks[2]); /* the class is cold: back in its slab */
        ASSERT_EQ(hak_slab_count_free(s), 1u);
        *static_cast<int *>(blocks[2]) = 1;
        void *block = allocate(kFour);
        ASSERT_NE(block, nullptr);
        EXPECT_NE(hak_slab_of(block), s);
    });
}

TEST(Lists, AColdClassHasNoRoomHoweverMuchIsFreed) {
    std::thread([] {
        ASSERT_TRUE(start_cold());
        void *blocks[40];
        for (void *&b : blocks) b = allocate(kFour);
        for (void *b : blocks) {
            give(b);
            EXPECT_EQ(hak_front.heap->lists.of[kFour].room, 0);
        }
        hak_front_end();
    }).join();
}

/* The thread keeps an empty slab, as it wanted one back before. */
void keep_an_empty_slab() {
    for (int i = 0; i < 2; i++) give(allocate(kFour));
    ASSERT_GT(hak_front.heap->warm.empties, 0u);
}

TEST(Lists, AFlushKeepsNoSlab) {
    std::thread([] {
        ASSERT_TRUE(start_cold());
        keep_an_empty_slab();
        flush();
        EXPECT_EQ(hak_front.heap->warm.empties, 0u);
        void *block = allocate(kFour);
        ASSERT_TRUE(front_enter());
        hak_front_give_up();
        front_leave();
        EXPECT_TRUE(list_empty(&hak_front.heap->warm.owned));
        EXPECT_TRUE(hak_shared_pool_is_orphan(hak_slab_of(block)));
        give(block);
        hak_front_end();
    }).join();
}

/* ---- As time passes ---- */

/* Looks at the clock, by calls that take the slow path. */
void look_at_the_clock() {
    /* Of runs: they take no empty slab. */
    for (int i = 0; i < 16 * FRONT_LOOK_CALLS * FRONT_SWING_BLOCKS; i++) give(allocate(kRun));
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

TEST(Lists, AnEmptySlabThatIsNotUsedGoesBackAsTimePasses) {
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        keep_an_empty_slab();
        for (int i = 0; i < 3; i++) {
            ahead_ms += FRONT_SWEEP_MS;
            look_at_the_clock();
        }
        EXPECT_EQ(hak_front.heap->warm.empties, 0u);
        hak_front_end();
    }).join();
}

TEST(Lists, WhatOthersFreedIsCollectedAsTimePasses) {
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        /* What is at hand needs no look at what others freed. */
        void *block = allocate(kClass), *kept = allocate(kClass), *run = allocate(kRun);
        slab *s = hak_slab_of(block);
        EXPECT_EQ(hak_slab_give_remote(block), SLAB_OK);
        unsigned out = s->out;
        for (int i = 0; i < 2; i++) {
            ahead_ms += FRONT_SWEEP_MS;
            look_at_the_clock();
        }
        EXPECT_EQ(s->out, out - 1);
        give(run);
        give(kept);
        hak_front_end();
    }).join();
}

TEST(Lists, OfManyThreadsOneHasTheTick) {
    constexpr int kTicks = 1000;
    ahead_ms += 10 * TICK_MS;
    uint64_t first = clock_ms();
    std::atomic<int> claimed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < kTicks; i++) claimed += hak_front_claim_tick(first + i * TICK_MS);
        });
    }
    for (auto &t : threads) t.join();
    EXPECT_LE(claimed, kTicks);
    EXPECT_GT(claimed, 0);
    ahead_ms += kTicks * TICK_MS;
}

TEST(Lists, ATickIsOneThreads) {
    ahead_ms += 10 * TICK_MS;
    uint64_t now = clock_ms();
    EXPECT_TRUE(hak_front_claim_tick(now));
    EXPECT_FALSE(hak_front_claim_tick(now));
    EXPECT_FALSE(hak_front_claim_tick(now + TICK_MS - 1));
    EXPECT_TRUE(hak_front_claim_tick(now + TICK_MS));
}

TEST(Lists, ABigClassTakesTheRoomOfThoseThatWereWarmBefore) {
    in_a_thread([] {
        uint64_t before = bytes_out();
        for (unsigned c = CLASSES - 1; c >= CLASSES - 3; c--) {
            warm_up(c);
            const heap *heap = hak_front.heap;
            size_t bytes = heap->lists.of[c].cap * size_t{hak_size_class[c].block_bytes};
            EXPECT_GT(bytes, 0u);
            EXPECT_EQ(heap->caps.big_bytes, bytes);
            EXPECT_NE(heap->lists.of[c].loaded, LIST_END);
            for (unsigned other = c + 1; other < CLASSES; other++) {
                EXPECT_EQ(heap->lists.of[other].cap, 0);
                EXPECT_EQ(heap->lists.of[other].loaded, LIST_END);
                EXPECT_EQ(heap->lists.of[other].previous, LIST_END);
                EXPECT_GT(heap->use[other].cold, 0);
            }
        }
        flush();
        EXPECT_EQ(bytes_out(), before);
    });
}

} // namespace
