/* How much a thread's lists may hold, by the steps that raise and lower it. */
#include "hakmem/tls_front/cap.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <thread>

#include "hakmem/config/config.h"
#include "hakmem/config/options.h"

namespace {

/* Blocks of every class from `first` on go to and fro until no cap grows any more. */
void grow(heap *heap, unsigned first = 0) {
    for (unsigned c = first; c < CLASSES; c++) {
        for (int i = 0; i < 2 * FRONT_COLD_TURNS + 40; i++) {
            hak_cap_flow(heap, c, i % 2 == 0 ? FLOW_IN : FLOW_OUT);
        }
    }
}

class Caps : public testing::Test {
  protected:
    void TearDown() override {
        EXPECT_EQ(hak_caps_charged(), 0u);
        hak_options.front_max_mb = before_;
    }
    /* In a thread with a heap, whose lists stay empty. */
    template <typename Body> static void in_a_thread(Body body) {
        std::thread([&] {
            ASSERT_TRUE(hak_front_start());
            hak_caps_forget(hak_front.heap);
            body(hak_front.heap);
            hak_caps_forget(hak_front.heap);
            EXPECT_EQ(hak_front.heap->caps.bytes, 0u);
            EXPECT_EQ(hak_front.heap->caps.charged, 0u);
            hak_front_end();
        }).join();
    }

  private:
    const uint64_t before_ = hak_options.front_max_mb;
};

TEST_F(Caps, OfAThreadAreBounded) {
    hak_options.front_max_mb = 1024;
    in_a_thread([](heap *heap) {
        grow(heap);
        size_t bytes = 0;
        for (unsigned c = 0; c < CLASSES; c++) {
            bytes += heap->lists.of[c].cap * size_t{hak_size_class[c].block_bytes};
        }
        EXPECT_EQ(heap->caps.bytes, bytes);
        EXPECT_LE(bytes, FRONT_THREAD_BYTES);
        EXPECT_GT(bytes, FRONT_THREAD_BYTES / 2);
        EXPECT_EQ(hak_caps_charged(), heap->caps.charged);
    });
}

constexpr unsigned kLongest = CLASSES - 1, kFirstBig = CLASSES - 8; /* 1 MiB, 320 KiB */

TEST_F(Caps, ABigClassAloneHasRoomAsOthersHave) {
    hak_options.front_max_mb = 1024;
    in_a_thread([](heap *heap) {
        EXPECT_EQ(hak_size_class[kLongest].block_bytes, 1 * MiB);
        grow(heap, kFirstBig - 1);
        for (unsigned c = kFirstBig - 1; c < CLASSES; c++) {
            bool first = c <= kFirstBig;
            EXPECT_EQ(cap_is_big(c), c >= kFirstBig) << c;
            EXPECT_EQ(heap->lists.of[c].cap, first ? FRONT_MEDIUM_BLOCKS : 0) << c;
            EXPECT_EQ(cap_wants_room(heap, c), !first) << c;
        }
        EXPECT_EQ(heap->caps.big_bytes,
                  FRONT_MEDIUM_BLOCKS * size_t{hak_size_class[kFirstBig].block_bytes});
        hak_caps_forget(heap);
        EXPECT_EQ(heap->caps.big_bytes, 0u);
        EXPECT_FALSE(cap_wants_room(heap, kLongest)) << "it is cold";
    });
}

TEST_F(Caps, OfBigClassesAreBoundedTogether) {
    hak_options.front_max_mb = 1024;
    in_a_thread([](heap *heap) {
        for (int i = 0; i < 2 * FRONT_COLD_TURNS + 40; i++) {
            for (unsigned c = kFirstBig; c < CLASSES; c++) {
                hak_cap_flow(heap, c, i % 2 == 0 ? FLOW_IN : FLOW_OUT);
            }
        }
        size_t bytes = 0;
        for (unsigned c = kFirstBig; c < CLASSES; c++) {
            bytes += heap->lists.of[c].cap * size_t{hak_size_class[c].block_bytes};
            EXPECT_EQ(cap_wants_room(heap, c), heap->lists.of[c].cap == 0) << c;
        }
        EXPECT_EQ(heap->caps.big_bytes, bytes);
        EXPECT_LE(bytes, FRONT_BIG_BYTES);
        EXPECT_GT(bytes, FRONT_BIG_BYTES / 2);
    });
}

TEST_F(Caps, ABigClassThatCoolsLeavesItsRoom) {
    in_a_thread([](heap *heap) {
        grow(heap, kLongest);
        EXPECT_EQ(heap->caps.big_bytes, FRONT_MEDIUM_BLOCKS * MiB);
        hak_cap_cool(heap, kLongest);
        EXPECT_EQ(heap->caps.big_bytes, 0u);
    });
}

TEST_F(Caps, OfAllThreadsAreBounded) {
    hak_options.front_max_mb = 1;
    in_a_thread([](heap *heap) {
        grow(heap);
        EXPECT_LE(hak_caps_charged(), 1 * MiB);
        EXPECT_GT(hak_caps_charged(), MiB / 4);
        EXPECT_EQ(hak_caps_charged(), heap->caps.charged);
    });
}

TEST_F(Caps, AClassIsColdUntilItTurned) {
    in_a_thread([](heap *heap) {
        hak_cap_flow(heap, 3, FLOW_OUT);
        for (int i = 1; i < FRONT_COLD_TURNS; i++) {
            hak_cap_flow(heap, 3, i % 2 == 0 ? FLOW_OUT : FLOW_IN);
            EXPECT_GT(heap->use[3].cold, 0) << i;
            EXPECT_EQ(heap->lists.of[3].cap, 0);
        }
        for (int i = 0; i < 4; i++) hak_cap_flow(heap, 3, i % 2 == 0 ? FLOW_OUT : FLOW_IN);
        EXPECT_EQ(heap->use[3].cold, 0);
        EXPECT_GT(heap->lists.of[3].cap, 0);
    });
}

TEST_F(Caps, WhoHasMoreThanItsShareYieldsWhileOthersAreRefused) {
    hak_options.front_max_mb = 1;
    in_a_thread([](heap *heap) {
        grow(heap); /* some was refused */
        size_t charged = heap->caps.charged;
        hak_caps_yield(heap, 1);
        EXPECT_EQ(heap->caps.charged, charged) << "the share is all";
        hak_caps_yield(heap, 1000);
        EXPECT_EQ(heap->caps.charged, charged) << "nobody was refused since";
        std::thread([] {
            ASSERT_TRUE(hak_front_start());
            grow(hak_front.heap);
            hak_caps_forget(hak_front.heap);
            hak_front_end();
        }).join();
        hak_caps_yield(heap, 1000);
        EXPECT_LT(heap->caps.charged, charged * 3 / 4);
        EXPECT_EQ(hak_caps_charged(), heap->caps.charged);
    });
}

TEST_F(Caps, GrowAsBlocksSwing) {
    hak_options.front_max_mb = 1024;
    in_a_thread([](heap *heap) {
        for (unsigned c : {0u, 3u, 60u}) {
            hak_cap_swing(heap, c);
            EXPECT_EQ(heap->lists.of[c].cap, 0) << "cold";
            heap->use[c].cold = 0;
            for (int i = 0; i < 20; i++) hak_cap_swing(heap, c);
            EXPECT_FALSE(heap->use[c].swinging) << c;
        }
        EXPECT_EQ(heap->lists.of[0].cap, 0) << "free has another list";
        EXPECT_EQ(heap->lists.of[3].cap, FRONT_CLASS_BYTES / 64);
        EXPECT_GT(heap->lists.of[60].cap, 1);
        EXPECT_LE(heap->lists.of[60].cap, FRONT_SWING_BLOCKS);
    });
}

void flow(heap *heap, unsigned c, std::initializer_list<enum flow> flows) {
    for (int i = 0; i < 40; i++) {
        for (enum flow one : flows) hak_cap_flow(heap, c, one);
    }
}

constexpr uint32_t kLong = FRONT_RUN_BYTES / 64, kShort = FRONT_CLASS_BYTES / 64;

TEST_F(Caps, GrowWithTheRunsOfABusyThread) {
    hak_options.front_max_mb = 1024;
    in_a_thread([](heap *heap) {
        list_pair *list = &heap->lists.of[3];
        flow(heap, 3, {FLOW_IN, FLOW_OUT});
        EXPECT_EQ(list->cap, kShort);
        heap->caps.busy = true;
        flow(heap, 3, {FLOW_OUT});
        EXPECT_EQ(list->cap, kShort) << "nothing comes back";
        flow(heap, 3, {FLOW_IN, FLOW_OUT});
        EXPECT_EQ(list->cap, kLong);
        EXPECT_EQ(hak_cap_batch(heap, 3), kShort) << "taken from a slab at once";
        flow(heap, 3, {FLOW_IN, FLOW_OVER});
        EXPECT_EQ(list->cap, kShort) << "they go to other threads";
        flow(heap, 3, {FLOW_OUT});
        for (int i = 0; i < 20; i++) hak_cap_swing(heap, 3);
        EXPECT_EQ(list->cap, kLong);
        flow(heap, 60, {FLOW_IN, FLOW_OUT});
        EXPECT_EQ(heap->lists.of[60].cap, FRONT_MEDIUM_BYTES / hak_size_class[60].block_bytes);
    });
}

TEST_F(Caps, FallWhenAThreadIsNotBusyAnyMore) {
    hak_options.front_max_mb = 1024;
    in_a_thread([](heap *heap) {
        list_pair *list = &heap->lists.of[3];
        heap->caps.swept_ms = 1000;
        heap->caps.looks = FRONT_SWEEP_LOOKS;
        hak_caps_swept(heap, 1000 + FRONT_BUSY_MS);
        EXPECT_FALSE(heap->caps.busy) << "it took its time";
        EXPECT_EQ(heap->caps.swept_ms, 1000u + FRONT_BUSY_MS);
        EXPECT_EQ(heap->caps.looks, 0u);
        heap->caps.looks = FRONT_SWEEP_LOOKS - 1;
        hak_caps_swept(heap, 1000 + FRONT_BUSY_MS);
        EXPECT_FALSE(heap->caps.busy) << "it did little";
        for (list_use &use : heap->use) use.swinging = false;
        heap->caps.looks = FRONT_SWEEP_LOOKS;
        hak_caps_swept(heap, 999 + 2 * FRONT_BUSY_MS);
        EXPECT_TRUE(heap->caps.busy);
        EXPECT_TRUE(heap->use[3].swinging) << "it may grow again";
        flow(heap, 3, {FLOW_IN, FLOW_OUT});
        flow(heap, 60, {FLOW_IN, FLOW_OUT});
        ASSERT_EQ(list->cap, kLong);
        uint32_t medium = heap->lists.of[60].cap;
        EXPECT_FALSE(hak_cap_calms(heap, 3));
        heap->caps.busy = false;
        EXPECT_TRUE(hak_cap_calms(heap, 3));
        EXPECT_EQ(list->cap, kShort);
        EXPECT_FALSE(hak_cap_calms(heap, 3)) << "once";
        EXPECT_FALSE(hak_cap_calms(heap, 60));
        EXPECT_EQ(heap->lists.of[60].cap, medium);
    });
}

TEST_F(Caps, LongListsLookAtTheClockSooner) {
    in_a_thread([](heap *heap) {
        heap->use[3].warming = false;
        EXPECT_EQ(list_weight(&heap->lists.of[3]), 1u);
        EXPECT_FALSE(cap_called(heap, 3));
        EXPECT_EQ(heap->caps.until_look, FRONT_LOOK_CALLS - 1u);
        grow(heap);
        ASSERT_EQ(heap->lists.of[3].cap, kShort);
        uint32_t weight = list_weight(&heap->lists.of[3]);
        EXPECT_EQ(weight, 1 + kShort / FRONT_LOOK_BLOCKS);
        heap->caps.until_look = weight + 1;
        EXPECT_FALSE(cap_called(heap, 3));
        EXPECT_EQ(heap->caps.until_look, 1u);
        EXPECT_TRUE(cap_called(heap, 3));
        EXPECT_EQ(heap->caps.until_look, 0u);
        heap->caps.until_look = weight;
        EXPECT_TRUE(cap_called(heap, 3));
    });
}

TEST_F(Caps, FallBackAsAClassDrainsOrRests) {
    in_a_thread([](heap *heap) {
        grow(heap);
        uint32_t cap = heap->lists.of[3].cap;
        ASSERT_GT(cap, 3u);
        hak_cap_drain(heap, 3);
        EXPECT_EQ(heap->lists.of[3].cap, cap / 4);
        for (int i = 0; i < 20; i++) hak_cap_drain(heap, 3);
        EXPECT_EQ(heap->lists.of[3].cap, 1u);
        heap->use[3].rested = 0;
        heap->use[3].seen = 12345; /* its lists looked otherwise */
        EXPECT_FALSE(hak_cap_rests(heap, 3)) << "it has just been seen";
        for (int i = 1; i < FRONT_REST_SWEEPS; i++) EXPECT_FALSE(hak_cap_rests(heap, 3));
        EXPECT_TRUE(hak_cap_rests(heap, 3));
        EXPECT_FALSE(hak_cap_rests(heap, 3)) << "once";
    });
}

/* Blocks of class `c` turn. */
void turn(heap *heap, unsigned c, int turns) {
    cap_called(heap, c);
    for (int i = 0; i <= turns; i++) hak_cap_flow(heap, c, i % 2 == 0 ? FLOW_IN : FLOW_OUT);
}

/* A thread that used class 3, and a little of others, ends at 5,000. */
void end_warm(heap *heap) {
    turn(heap, 3, 2 * FRONT_COLD_TURNS);
    turn(heap, 4, 2);
    turn(heap, SMALL_CLASSES, 2);
    turn(heap, SMALL_CLASSES + 1, 2 * FRONT_COLD_TURNS);
    hak_caps_leave(heap, 5'000);
    hak_caps_forget(heap);
    EXPECT_GT(heap->use[3].cold, 0);
}

TEST_F(Caps, WhatWasWarmIsSoForTheNextThread) {
    in_a_thread([](heap *heap) {
        end_warm(heap);
        hak_caps_inherit(heap, 5'000 + FRONT_REST_MS - 1, false);
        EXPECT_EQ(heap->use[3].cold, 0);
        EXPECT_EQ(heap->use[4].cold, FRONT_COLD_TURNS - 2) << "it goes on from there";
        EXPECT_EQ(heap->use[5].cold, FRONT_COLD_TURNS);
        EXPECT_EQ(heap->use[SMALL_CLASSES].cold, FRONT_COLD_TURNS) << "medium: all or nothing";
        EXPECT_EQ(heap->use[SMALL_CLASSES + 1].cold, 0);
        EXPECT_EQ(heap->lists.of[3].cap, 0) << "and holds nothing";
        cap_called(heap, 3);
        EXPECT_EQ(heap->lists.of[3].cap, 1);
        hak_caps_forget(heap);
        hak_caps_inherit(heap, 5'000, false);
        EXPECT_GT(heap->use[3].cold, 0) << "for that one only";
    });
}

TEST_F(Caps, SmallClassesOfTheFirstThreadsAreWarm) {
    in_a_thread([](heap *heap) {
        hak_caps_inherit(heap, 5'000, true);
        for (unsigned c = 0; c < CLASSES; c++) {
            EXPECT_EQ(heap->use[c].cold == 0, c < SMALL_CLASSES) << c;
            EXPECT_EQ(heap->lists.of[c].cap, 0) << "and hold nothing";
        }
        EXPECT_GT(heap->use[SMALL_CLASSES].cold, 0);
    });
}

TEST_F(Caps, AThreadsFirstSweepIsASweepAway) {
    in_a_thread([](heap *heap) {
        heap->caps.looks = FRONT_SWEEP_LOOKS;
        hak_caps_inherit(heap, 5'000, false);
        EXPECT_EQ(heap->caps.swept_ms, 5'000u);
        EXPECT_EQ(heap->caps.looks, 0u);
    });
}

TEST_F(Caps, ALifeIsBriefForAnEighthOfASecond) {
    in_a_thread([](heap *heap) {
        hak_caps_inherit(heap, 5'000, false);
        EXPECT_TRUE(hak_caps_were_brief(heap, 5'000 + FRONT_BRIEF_MS - 1));
        EXPECT_FALSE(hak_caps_were_brief(heap, 5'000 + FRONT_BRIEF_MS));
    });
}

TEST_F(Caps, WhatWasWarmLongAgoIsColdAgain) {
    in_a_thread([](heap *heap) {
        end_warm(heap);
        hak_caps_inherit(heap, 5'000 + FRONT_REST_MS, false);
        EXPECT_GT(heap->use[3].cold, 0);
    });
}

TEST_F(Caps, WhatTheNextThreadDoesNotUseCools) {
    in_a_thread([](heap *heap) {
        end_warm(heap);
        hak_caps_inherit(heap, 5'000, false);
        hak_caps_leave(heap, 5'000);
        hak_caps_forget(heap);
        hak_caps_inherit(heap, 5'000, false);
        EXPECT_GT(heap->use[3].cold, 0) << "it was not passed on unused";
        end_warm(heap);
        hak_caps_inherit(heap, 5'000, false);
        EXPECT_FALSE(hak_cap_rests(heap, 3));
        EXPECT_GT(heap->use[3].cold, 0) << "a sweep came by";
    });
}

} // namespace
