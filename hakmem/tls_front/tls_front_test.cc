/* This thread's blocks: lists and their bounds, frees of others, flushing, the thread's end. */
#include "hakmem/tls_front/tls_front.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/config/options.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/cap.h"
#include "hakmem/tls_front/steps.h"

namespace {

uint64_t front_bytes() {
    EXPECT_TRUE(front_enter());
    uint64_t bytes = hak_front_bytes();
    front_leave();
    return bytes;
}

uint64_t threads() {
    front_stats s;
    hak_front_stats(&s, CLASSES);
    return s.threads;
}

TEST(TlsFront, FitsIntoLittleStaticTls) { EXPECT_LE(sizeof(front), 64u); }

TEST(TlsFront, HasNothingUntilItStarts) {
    std::thread([] {
        EXPECT_EQ(front_pop(kClass << CLASS_SCALE), nullptr);
        EXPECT_FALSE(front_push(nullptr));
        int local = 0;
        EXPECT_FALSE(front_push(&local));
        EXPECT_EQ(front_bytes(), 0u);
    }).join();
}

TEST(TlsFront, BlocksOfEveryClassAreDistinct) {
    in_a_thread([] {
        for (unsigned c = 0; c < CLASSES; c++) {
            size_t bytes = hak_size_class[c].block_bytes;
            std::set<char *> blocks;
            for (int i = 0; i < 40; i++) {
                char *b = static_cast<char *>(allocate(c));
                ASSERT_NE(b, nullptr);
                auto after = blocks.insert(b).first;
                ASSERT_TRUE(after == blocks.begin() || *std::prev(after) + bytes <= b);
                ASSERT_TRUE(std::next(after) == blocks.end() || b + bytes <= *std::next(after));
            }
            for (char *b : blocks) give(b);
        }
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, AListIsBoundedByItsRoom) {
    in_a_thread([] {
        for (unsigned c : {0u, 3u, 31u, 40u, 60u}) {
            std::vector<void *> blocks;
            warm_up(c);
            for (int i = 0; i < 4000; i++) blocks.push_back(allocate(c));
            for (void *b : blocks) give(b);
            size_t most = c < SMALL_CLASSES ? FRONT_CLASS_BYTES : FRONT_MEDIUM_BYTES;
            /* Two lists. */
            EXPECT_LE(front_bytes(), 2 * most) << c;
            EXPECT_GT(front_bytes(), 0u);
            flush();
        }
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, AThreadsListsTogetherAreBounded) {
    in_a_thread([] {
        for (unsigned c = 0; c < CLASSES; c++) {
            std::vector<void *> blocks;
            size_t n = 1 + 2 * MiB / hak_size_class[c].block_bytes;
            for (size_t i = 0; i < n && i < 3000; i++) blocks.push_back(allocate(c));
            for (void *b : blocks) give(b);
        }
        EXPECT_LE(hak_front.heap->caps.bytes, FRONT_THREAD_BYTES);
        flush();
        EXPECT_EQ(hak_front.heap->caps.bytes, 0u);
    });
}

TEST(TlsFront, AThreadThatUsesEachSizeALittleKeepsNothing) {
    in_a_thread([] {
        for (int times = 0; times < 3; times++) {
            std::vector<void *> blocks;
            for (unsigned c = 0; c < CLASSES; c++) blocks.push_back(allocate(c));
            for (void *b : blocks) give(b);
        }
        EXPECT_EQ(front_bytes(), 0u);
        EXPECT_EQ(bytes_out(), 0u);
    });
}

TEST(TlsFront, ManyFreesAndThenBlocksAgainMakeAClassWarm) {
    /* Twice as many: a thread's first look at the clock is a sweep. */
    for (int n : {FRONT_COLD_FREES - 1, 2 * FRONT_COLD_FREES}) {
        in_a_thread([n] {
            const uint8_t &cold = hak_front.heap->use[kClass].cold;
            std::vector<void *> blocks;
            for (int i = 0; i < n; i++) blocks.push_back(allocate(kClass));
            for (void *b : blocks) give(b);
            /* It may sleep now: what it freed is not with it. */
            EXPECT_GT(cold, 0) << n;
            EXPECT_EQ(hak_front.heap->lists.of[kClass].loaded, LIST_END) << n;
            void *again = allocate(kClass);
            EXPECT_EQ(cold == 0, n > FRONT_COLD_FREES) << n;
            give(again);
        });
    }
}

TEST(TlsFront, AClassThatRestsGivesItsBlocksBack) {
    in_a_thread([] {
        warm_up(kClass);
        EXPECT_GT(front_bytes(), 0u);
        /* Another class's slow calls, enough for some sweeps. */
        for (int i = 0; i < (FRONT_REST_SWEEPS + 4) * FRONT_SWEEP_LOOKS * FRONT_LOOK_CALLS; i++) {
            give(allocate(CLASSES - 1)); /* a list of one block: each free looks closer */
        }
        EXPECT_EQ(hak_front.heap->lists.of[kClass].loaded, LIST_END);
        EXPECT_EQ(hak_front.heap->lists.of[kClass].previous, LIST_END);
        EXPECT_EQ(hak_front.heap->lists.of[kClass].cap, 0u);
    });
}

TEST(TlsFront, AFewBlocksThatGoToAndFroDoNotSwapEachTime) {
    in_a_thread([] {
        for (int i = 0; i < 1000; i++) give(allocate(kClass));
        uint64_t before = hak_front.heap->refills;
        for (int i = 0; i < 1000; i++) give(allocate(kClass));
        EXPECT_LE(hak_front.heap->refills - before, 1000u / 16);
    });
}

TEST(TlsFront, AllThreadsListsTogetherAreBounded) {
    uint64_t saved = hak_options.front_max_mb;
    hak_options.front_max_mb = 1;
    std::vector<std::thread> running;
    pthread_barrier_t all;
    pthread_barrier_init(&all, nullptr, 9);
    for (int t = 0; t < 8; t++) {
        running.emplace_back([&all] {
            ASSERT_TRUE(hak_front_start());
            for (unsigned c = 0; c < SMALL_CLASSES; c++) {
                warm_up(c);
                std::vector<void *> blocks;
                for (int i = 0; i < 2000; i++) blocks.push_back(allocate(c));
                for (void *b : blocks) give(b);
            }
            pthread_barrier_wait(&all);
            pthread_barrier_wait(&all);
            hak_front_end();
        });
    }
    pthread_barrier_wait(&all);
    EXPECT_LE(hak_caps_charged(), 1 * MiB);
    EXPECT_GT(hak_caps_charged(), 0u);
    pthread_barrier_wait(&all);
    for (auto &thread : running) thread.join();
    pthread_barrier_destroy(&all);
    EXPECT_EQ(hak_caps_charged(), 0u);
    /* Blocks of slabs that a thread gave up meanwhile may be in transit. */
    in_a_thread([] {
        ASSERT_TRUE(front_enter());
        hak_front_drain_transfer();
        front_leave();
    });
    EXPECT_EQ(bytes_out(), 0u);
    hak_options.front_max_mb = saved;
}

TEST(TlsFront, FlushEmptiesEveryList) {
    in_a_thread([] {
        std::vector<void *> blocks;
        warm_up(kClass);
        for (unsigned c = 0; c < CLASSES; c++) {
            for (int i = 0; i < 5; i++) blocks.push_back(allocate(c));
        }
        for (void *b : blocks) give(b);
        EXPECT_GT(front_bytes(), 0u);
        flush();
        EXPECT_EQ(front_bytes(), 0u);
        EXPECT_EQ(bytes_out(), 0u);
        void *again = allocate(kClass);
        ASSERT_NE(again, nullptr);
        give(again);
    });
}

std::vector<void *> allocate_many(unsigned c, size_t count) {
    std::vector<void *> blocks;
    for (size_t i = 0; i < count; i++) blocks.push_back(allocate(c));
    return blocks;
}

void give_all(const std::vector<void *> &blocks) {
    for (void *b : blocks) give(b);
}

TEST(TlsFront, WhoFreesABlockMayTakeItNext) {
    in_a_thread([] {
        std::vector<void *> blocks = allocate_many(kClass, 100);
        in_a_thread([&] {
            warm_up(kClass);
            give(blocks[0]);
            EXPECT_TRUE(block_is_marked(blocks[0], hak_front.heap->lists.cookie));
            EXPECT_EQ(allocate(kClass), blocks[0]);
            give(blocks[0]);
        });
        give_all(std::vector<void *>(blocks.begin() + 1, blocks.end()));
    });
}

TEST(TlsFront, WhatAThreadFreesBeyondItsNeedIsHandedOverWhole) {
    in_a_thread([] {
        std::vector<void *> blocks = allocate_many(kClass, 5000);
        std::set<void *> expected(blocks.begin(), blocks.end());
        in_a_thread([&] {
            give_all(blocks);
            EXPECT_GT(hak_transfer_bytes(), 0u);
            EXPECT_LE(hak_transfer_bytes(), TRANSFER_BYTES);
        });
        std::vector<void *> more = allocate_many(kClass, 5000 + 1024);
        for (void *b : more) expected.erase(b);
        EXPECT_TRUE(expected.empty()); /* all came back to this thread */
        EXPECT_EQ(hak_transfer_bytes(), 0u);
        give_all(more);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, BlocksThatShareALineAreNotTakenByAnotherThread) {
    constexpr unsigned kTiny = 1; /* 32 bytes */
    in_a_thread([] {
        std::vector<void *> blocks = allocate_many(kTiny, 3000);
        std::set<void *> theirs(blocks.begin(), blocks.end());
        in_a_thread([&] {
            give_all(blocks);
            std::vector<void *> mine = allocate_many(kTiny, 3000);
            for (void *b : mine) EXPECT_EQ(theirs.count(b), 0u);
            give_all(mine);
        });
        EXPECT_EQ(hak_transfer_bytes(), 0u);
        give_all(allocate_many(kTiny, 3000));
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, AColdClassGivesAnothersBlockBackAtOnce) {
    in_a_thread([] {
        void *a = allocate(kClass), *kept = allocate(kClass);
        slab *s = hak_slab_of(a);
        unsigned free_before = hak_slab_count_free(s);
        in_a_thread([&] {
            give(a);
            EXPECT_EQ(front_bytes(), 0u);
            EXPECT_EQ(hak_slab_count_free(s), free_before + 1);
        });
        give(kept);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, TheFirstThreadsFindSmallClassesWarm) {
    FirstThreads all_but_one;
    auto warm_classes = [] {
        int warm = -1;
        std::thread([&] {
            ASSERT_TRUE(hak_front_start());
            hak_caps_forget(hak_front.heap); /* what its last thread left */
            hak_front_end();
        }).join();
        std::thread([&] {
            ASSERT_TRUE(hak_front_start());
            warm = 0;
            for (unsigned c = 0; c < CLASSES; c++) warm += hak_front.heap->use[c].cold == 0;
            EXPECT_EQ(front_bytes(), 0u);
            hak_front_end();
        }).join();
        return warm;
    };
    EXPECT_EQ(warm_classes(), 0);
    all_but_one.EndOne();
    EXPECT_EQ(warm_classes(), static_cast<int>(SMALL_CLASSES));
    EXPECT_EQ(bytes_out(), 0u);
}

/* The first look at the clock is not a sweep: classes that wait for their first block stay warm. */
TEST(TlsFront, AFirstThreadIsWarmBeyondItsFirstLookAtTheClock) {
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        std::vector<void *> blocks;
        for (unsigned c = SMALL_CLASSES; c < SMALL_CLASSES + FRONT_LOOK_CALLS + 1; c++) {
            blocks.push_back(allocate(c));
        }
        EXPECT_GE(hak_front.heap->caps.looks, 1u);
        for (unsigned c = 0; c < SMALL_CLASSES; c++) EXPECT_EQ(hak_front.heap->use[c].cold, 0) << c;
        for (void *b : blocks) give(b);
        hak_front_end();
    }).join();
}

TEST(TlsFront, AThreadFindsWarmWhatTheOneBeforeItUsed) {
    FirstThreads first;
    in_a_thread([] { warm_up(kClass); });
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        for (unsigned c = 0; c < CLASSES; c++) {
            EXPECT_EQ(hak_front.heap->use[c].cold == 0, c == kClass) << c;
        }
        EXPECT_EQ(front_bytes(), 0u);
        hak_front_end();
    }).join();
    in_a_thread([] {
        ASSERT_TRUE(front_enter());
        hak_front_drain_transfer();
        front_leave();
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, AThreadThatSleptLeavesNothing) {
    FirstThreads first;
    in_a_thread([] {
        in_a_thread([] {
            warm_up(kClass);
            hak_front.heap->caps.began_ms -= FRONT_BRIEF_MS;
        });
        EXPECT_EQ(hak_transfer_bytes(), 0u);
        std::thread([] {
            ASSERT_TRUE(hak_front_start());
            EXPECT_GT(hak_front.heap->use[kClass].cold, 0);
            hak_front_end();
        }).join();
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, AThreadLeavesShortListsToTheNext) {
    in_a_thread([] {
        void *left = nullptr;
        in_a_thread([&] {
            warm_up(kClass);
            warm_up(CLASSES - 1);
            left = allocate(kClass);
            give(left);
        });
        EXPECT_GT(hak_transfer_bytes(), 0u);
        EXPECT_LE(hak_transfer_bytes(), 2u * FRONT_LEFT_BYTES) << "not those of larger blocks";
        EXPECT_EQ(allocate(kClass), left);
        give(left);
        ASSERT_TRUE(front_enter());
        hak_front_drain_transfer();
        front_leave();
    });
    EXPECT_EQ(hak_transfer_bytes(), 0u);
    in_a_thread([] { warm_up(kClass); });
    EXPECT_EQ(hak_transfer_bytes(), 0u) << "the last thread leaves none";
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, WhatTransitDoesNotTakeAtAThreadsEndGoesBack) {
    in_a_thread([] {
        in_a_thread([] {
            warm_up(kClass);
            std::vector<void *> blocks;
            for (int i = 0; i < 1000; i++) blocks.push_back(allocate(kClass));
            bool has_room = true;
            for (void *block : blocks) {
                block_link(block, LIST_END, hak_front.heap->lists.cookie);
                has_room = has_room && hak_transfer_push(kClass, {block, 1});
                if (has_room) continue;
                block_write_mark(block, 0);
                give(block);
            }
            EXPECT_FALSE(has_room);
            EXPECT_GT(front_bytes(), 0u);
        });
        ASSERT_TRUE(front_enter());
        hak_front_drain_transfer();
        front_leave();
    });
    EXPECT_EQ(hak_transfer_bytes(), 0u);
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, AFreeAsideTakesNoList) {
    in_a_thread([] {
        void *a = allocate(kClass);
        uint64_t before = front_bytes();
        hak_front_free_aside(a);
        EXPECT_EQ(front_bytes(), before);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, ASlowPathIsNotEnteredTwice) {
    ASSERT_TRUE(front_enter());
    EXPECT_FALSE(front_enter());
    front_leave();
    ASSERT_TRUE(front_enter());
    front_leave();
}

TEST(TlsFront, AThreadThatEndedIsServedAside) {
    uint64_t before = threads();
    std::thread([before] {
        ASSERT_TRUE(hak_front_start());
        EXPECT_EQ(threads(), before + 1);
        void *kept = allocate(kClass);
        give(allocate(40));
        hak_front_end();
        EXPECT_EQ(threads(), before);
        EXPECT_FALSE(front_enter());
        EXPECT_FALSE(hak_front_start());
        EXPECT_FALSE(front_push(kept));
        hak_front_free_aside(kept);
    }).join();
    EXPECT_EQ(threads(), before);
    hak_shared_pool_trim(0);
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(TlsFront, HeapsAreRecycled) {
    std::set<heap *> seen;
    for (int i = 0; i < 50; i++) {
        in_a_thread([&] {
            seen.insert(hak_front.heap);
            give(allocate(kClass));
        });
    }
    EXPECT_EQ(seen.size(), 1u);
}

TEST(TlsFront, BeginsAndEndsOnce) {
    std::thread([] {
        EXPECT_TRUE(front_enter());
        hak_front_end(); /* not inside a slow path */
        EXPECT_FALSE(hak_front_start());
        front_leave();
        EXPECT_TRUE(hak_front_start());
        heap *mine = hak_front.heap;
        EXPECT_TRUE(hak_front_start());
        EXPECT_EQ(hak_front.heap, mine);
        EXPECT_TRUE(front_enter());
        hak_front_drain_transfer();
        front_leave();
        hak_front_end();
        hak_front_end();
        EXPECT_EQ(hak_front.heap, nullptr);
    }).join();
    std::thread([] {
        EXPECT_TRUE(front_enter()); /* without a heap there is nothing to give back */
        hak_front_drain_transfer();
        hak_front_flush();
        front_leave();
        hak_front_end();
        EXPECT_EQ(hak_front.busy, unsigned{FRONT_ENDED});
    }).join();
}

TEST(TlsFront, CountsAClassByItself) {
    in_a_thread([] {
        constexpr unsigned kRare = 77;
        front_stats before, all, one;
        hak_front_stats(&before, kRare);
        give(allocate(kRare));
        hak_front_stats(&one, kRare);
        hak_front_stats(&all, CLASSES);
        EXPECT_EQ(one.hits + one.misses, before.hits + before.misses + 1);
        EXPECT_GE(all.hits + all.misses, one.hits + one.misses);
    });
}

} // namespace
