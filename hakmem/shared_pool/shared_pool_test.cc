/* Slabs for everyone: stages, orphans, purging, what the counts say, and refusals of the kernel. */
#include "hakmem/shared_pool/shared_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/superslab.h"

namespace {

constexpr unsigned kSmall = 3; /* 64 bytes, one unit */

uint64_t worked; /* by a process that never rests */
shared_pool_stats stats() {
    shared_pool_stats s;
    hak_shared_pool_stats(&s);
    return s;
}

std::vector<char *> take_blocks(slab *s, unsigned want) {
    void *head = nullptr;
    hak_slab_take(s, want, &head, 0);
    std::vector<char *> blocks;
    for (; head != LIST_END; head = *static_cast<void **>(head)) {
        blocks.push_back(static_cast<char *>(head));
    }
    return blocks;
}

/* Runs `body` in a process of its own, whose pool has served nobody: for tests that need that, and
 * for those that release address space, which the pool remembers. */
template <typename Body> void in_a_fresh_process(Body body) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            body();
            exit(testing::Test::HasFailure() ? 1 : 0);
        },
        testing::ExitedWithCode(0), "");
}

/* The pool is one for the process: each test begins and ends with every slab given back and no
 * empty slab resident. */
class SharedPool : public testing::Test {
  protected:
    void SetUp() override {
        saved_ = hak_options;
        hak_shared_pool_trim(0);
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        hak_options = saved_;
        shared_pool_stats s = stats();
        EXPECT_EQ(s.live_bytes, 0u);
        EXPECT_EQ(s.free_bytes, 0u);
        EXPECT_EQ(s.hot + s.draining, 0u);
        hak_shared_pool_trim(0);
        EXPECT_EQ(stats().resident_free_bytes, 0u);
    }
    slab *take(unsigned c) {
        slab *s = hak_shared_pool_take(c, &owner_, false);
        if (s == nullptr) return nullptr;
        EXPECT_EQ(s->class_index, c);
        EXPECT_EQ(s->owner, &owner_);
        EXPECT_EQ(registry_word(slab_base(s)), hak_slab_word(c, 0));
        EXPECT_EQ(s->owner, &owner_);
        hak_slab_check_invariant(s);
        return s;
    }
    slab_owner owner_ = {};

  private:
    options saved_ = {};
};

TEST_F(SharedPool, TriesItsStagesInOrder) {
    in_a_fresh_process([this] {
        uint64_t before[STAGE_COUNT];
        std::memcpy(before, stats().stage, sizeof(before));
        auto came_from = [&](pool_stage stage) {
            shared_pool_stats s = stats();
            for (unsigned i = 0; i < STAGE_COUNT; i++) {
                EXPECT_EQ(s.stage[i], before[i] + (i == stage)) << stage << " " << i;
            }
            std::memcpy(before, s.stage, sizeof(before));
        };
        slab *a = take(kSmall);
        came_from(STAGE_MAPPED);
        slab *b = take(kSmall);
        came_from(STAGE_PURGED); /* of the same superslab, pages never touched */
        std::vector<char *> blocks = take_blocks(b, 3);
        hak_shared_pool_orphan(b);
        EXPECT_EQ(take(kSmall), b);
        came_from(STAGE_PARTIAL);
        hak_shared_pool_give_empty(a);
        slab *c = take(kSmall + 1);
        came_from(STAGE_RESIDENT);
        EXPECT_EQ(c, a);
        for (char *p : blocks) EXPECT_EQ(hak_slab_give(b, p), SLAB_OK);
        hak_shared_pool_give_empty(c);
        hak_shared_pool_give_empty(b);
        hak_shared_pool_trim(SIZE_MAX); /* purges nothing, but empties the stock */
        slab *d = take(kSmall);
        came_from(STAGE_CACHED);
        hak_shared_pool_give_empty(d);
    });
}

TEST_F(SharedPool, TrimmedPagesReadAsZeroWhenTakenAgain) {
    slab *a = take(CLASSES - 1);
    ASSERT_NE(a, nullptr);
    std::memset(slab_base(a), 0x77, SLAB_BYTES * a->span);
    hak_shared_pool_give_empty(a);
    slab *b = take(CLASSES - 1);
    hak_shared_pool_give_empty(b);
    EXPECT_GT(hak_shared_pool_trim(0), 0u);
    slab *c = take(CLASSES - 1);
    for (size_t i = 0; i < SLAB_BYTES * c->span; i += 512) ASSERT_EQ(slab_base(c)[i], 0);
    hak_shared_pool_give_empty(c);
}

TEST_F(SharedPool, RunsDoNotOverlap) {
    std::map<char *, char *> taken; /* start -> end */
    std::vector<slab *> slabs;
    std::mt19937_64 random(11);
    for (int i = 0; i < 200; i++) {
        slab *s = take(random() % CLASSES);
        ASSERT_NE(s, nullptr);
        char *from = slab_base(s), *to = from + s->span * SLAB_BYTES;
        auto after = taken.lower_bound(from);
        ASSERT_TRUE(after == taken.end() || after->first >= to);
        ASSERT_TRUE(after == taken.begin() || std::prev(after)->second <= from);
        ASSERT_LE(to, slab_superslab(s)->base + SUPERSLAB_BYTES);
        taken[from] = to;
        slabs.push_back(s);
    }
    for (slab *s : slabs) hak_shared_pool_give_empty(s);
}

TEST_F(SharedPool, AnOrphanIsAdoptedWithItsBlocks) {
    slab *s = take(kSmall);
    std::vector<char *> blocks = take_blocks(s, 10);
    EXPECT_EQ(hak_shared_pool_take_partial(kSmall, &owner_), nullptr);
    hak_shared_pool_orphan(s);
    EXPECT_NE(hak_slab_of(blocks[0])->owner, &owner_);
    EXPECT_EQ(hak_shared_pool_take_partial(kSmall + 1, &owner_), nullptr);
    slab_owner heir = {};
    EXPECT_EQ(hak_shared_pool_take_partial(kSmall, &heir), s);
    EXPECT_EQ(s->owner, &heir);
    EXPECT_EQ(s->out, 10);
    EXPECT_EQ(hak_slab_of(blocks[0])->owner, &heir);
    hak_slab_check_invariant(s);
    for (char *p : blocks) EXPECT_EQ(hak_slab_give(s, p), SLAB_OK);
    hak_shared_pool_give_empty(s);
}

TEST_F(SharedPool, AFullOrphanIsListedOnceABlockIsFreed) {
    slab *s = take(kSmall);
    std::vector<char *> blocks = take_blocks(s, UINT32_MAX);
    hak_shared_pool_orphan(s);
    EXPECT_EQ(hak_shared_pool_take_partial(kSmall, &owner_), nullptr);
    EXPECT_EQ(hak_slab_give_remote(blocks[17]), SLAB_OK);
    EXPECT_EQ(hak_shared_pool_take_partial(kSmall, &owner_), s);
    EXPECT_EQ(take_blocks(s, 5), std::vector<char *>{blocks[17]});
    for (char *p : blocks) EXPECT_EQ(hak_slab_give(s, p), SLAB_OK);
    hak_shared_pool_give_empty(s);
}

TEST_F(SharedPool, AnOrphanEndsWithItsLastBlock) {
    slab *s = take(kSmall);
    std::vector<char *> blocks = take_blocks(s, 40);
    char *base = slab_base(s);
    hak_shared_pool_orphan(s);
    for (char *p : blocks) EXPECT_EQ(hak_slab_give_remote(p), SLAB_OK);
    hak_shared_pool_trim(SIZE_MAX / 2);
    EXPECT_EQ(registry_word(base), WORD_UNUSED);
    EXPECT_EQ(hak_slab_of(base), nullptr);
}

TEST_F(SharedPool, OrphansAllSlabsOfAnOwnerThatIsGone) {
    slab_owner other = {};
    slab *a = hak_shared_pool_take(kSmall, &other, false), *mine = take(kSmall);
    slab *b = hak_shared_pool_take(40, &other, false);
    std::vector<char *> blocks = take_blocks(a, 7);
    EXPECT_EQ(hak_slab_give_remote(blocks[6]), SLAB_OK);
    a->out = 999; /* torn */
    hak_shared_pool_orphan_all(&other);
    hak_slab_close_pending(&other);
    hak_shared_pool_repair(&owner_);
    EXPECT_EQ(hak_slab_of(slab_base(b)), nullptr); /* it was empty */
    EXPECT_EQ(mine->owner, &owner_);
    EXPECT_EQ(hak_shared_pool_take_partial(kSmall, &owner_), a);
    EXPECT_EQ(a->out, 6);
    hak_slab_check_invariant(a);
    for (int i = 0; i < 6; i++) EXPECT_EQ(hak_slab_give(a, blocks[i]), SLAB_OK);
    hak_shared_pool_give_empty(a);
    hak_shared_pool_give_empty(mine);
}

TEST_F(SharedPool, ManyEmptySlabsArePurgedDownToTheBound) {
    in_a_fresh_process([this] {
        std::vector<slab *> slabs;
        for (int i = 0; i < 1000; i++) slabs.push_back(take(kSmall)); /* 62 MiB */
        uint64_t before = hak_os_purged_bytes();
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        EXPECT_GT(hak_os_purged_bytes(), before);
        EXPECT_LE(stats().resident_free_bytes, RESIDENT_FREE_BYTES);
        EXPECT_GT(stats().resident_free_bytes, 0u);
    });
}

TEST_F(SharedPool, WhatIsWantedBackAgainAndAgainIsKept) {
    in_a_fresh_process([this] {
        uint64_t kept = 0, purged = 0, now = clock_ms();
        hak_pool_worked_ms = [] { return worked += 1000; };
        for (int round = 0; round < 9; round++) {
            uint64_t before = hak_os_purged_bytes();
            for (int i = 0; i < 10; i++) hak_shared_pool_tick(now += 100); /* for seconds */
            std::vector<slab *> slabs;
            for (int i = 0; i < 1600; i++) slabs.push_back(take(kSmall)); /* 100 MiB */
            for (slab *s : slabs) hak_shared_pool_give_empty(s);
            kept = stats().resident_free_bytes;
            purged = hak_os_purged_bytes() - before;
        }
        EXPECT_TRUE(kept >= 1500 * SLAB_BYTES && purged == 0) << kept << " kept, " << purged;
    });
}

TEST_F(SharedPool, WhatNobodyWantsGoesBackAsTimePasses) {
    in_a_fresh_process([this] {
        std::vector<slab *> slabs;
        for (int i = 0; i < 300; i++) slabs.push_back(take(kSmall));
        uint64_t now = clock_ms();
        hak_shared_pool_tick(now);
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        hak_shared_pool_tick(now + 1500); /* the second in which slabs were taken is over */
        EXPECT_GT(stats().resident_free_bytes, RESIDENT_FREE_BYTES / 2);
        uint64_t last = stats().resident_free_bytes;
        for (int second = 2; second < 12; second++) {
            hak_shared_pool_tick(now + 500 + 1000 * (uint64_t)second);
            EXPECT_LE(stats().resident_free_bytes, last);
            last = stats().resident_free_bytes;
        }
        EXPECT_LE(last, RESIDENT_QUIET_BYTES + STOCK_SLABS * SLAB_BYTES);
    });
}

TEST_F(SharedPool, AnOrphanWithFewBlocksLosesThePagesBetween) {
    constexpr unsigned kPages = 31; /* 1 KiB: four blocks a page, or more */
    const size_t went = SLAB_BYTES - std::min(SLAB_BYTES, hak_os_page_bytes());
    hak_shared_pool_tick(clock_ms());
    slab *s = take(kPages);
    std::vector<char *> blocks = take_blocks(s, 64);
    for (char *b : blocks) std::memset(b, 7, 1024);
    for (int i = 1; i < 64; i++) EXPECT_EQ(hak_slab_give(s, blocks[i]), SLAB_OK);
    hak_shared_pool_orphan(s);
    uint64_t before = hak_os_purged_bytes();
    for (int i = 1; i < SPARSE_TICKS; i++) hak_shared_pool_tick(clock_ms());
    EXPECT_EQ(hak_os_purged_bytes(), before) << "it may be wanted yet";
    hak_shared_pool_tick(clock_ms());
    EXPECT_EQ(hak_os_purged_bytes() - before, went);
    EXPECT_EQ(blocks[0][1023], 7);
    EXPECT_EQ(blocks[63][1023], went != 0 ? 0 : 7);
    EXPECT_EQ(word_is_checked(registry_word(blocks[0])), went != 0);
    EXPECT_TRUE(hak_shared_pool_agrees());
    for (int i = 0; i < 2 * SPARSE_TICKS; i++) hak_shared_pool_tick(clock_ms());
    EXPECT_EQ(hak_os_purged_bytes() - before, went) << "once";
    EXPECT_EQ(hak_shared_pool_take_partial(kPages, &owner_), s);
    EXPECT_FALSE(s->checked);
    EXPECT_EQ(registry_word(blocks[0]), hak_slab_word(kPages, 0));
    EXPECT_EQ(hak_slab_give(s, blocks[0]), SLAB_OK);
    hak_shared_pool_give_empty(s);
}

TEST_F(SharedPool, ATickPurgesALittleAtATime) {
    in_a_fresh_process([this] {
        std::vector<slab *> slabs;
        hak_options.purge = 0;
        for (int i = 0; i < 1600; i++) slabs.push_back(take(kSmall));
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        EXPECT_GE(stats().resident_free_bytes, 1500 * SLAB_BYTES) << "purging is off";
        hak_options.purge = 1;
        uint64_t before = hak_os_purged_bytes();
        hak_shared_pool_tick(clock_ms());
        EXPECT_GT(hak_os_purged_bytes(), before);
        EXPECT_LE(hak_os_purged_bytes() - before, PURGE_TICK_UNITS * SLAB_BYTES + SUPERSLAB_BYTES);
    });
}

TEST_F(SharedPool, TrimGivesBackAllButWhatIsToBeKept) {
    std::vector<slab *> slabs;
    for (int i = 0; i < 80; i++) slabs.push_back(take(kSmall));
    for (slab *s : slabs) hak_shared_pool_give_empty(s);
    uint64_t resident = stats().resident_free_bytes;
    EXPECT_GE(resident, 2 * MiB);
    size_t went = hak_shared_pool_trim(1 * MiB);
    EXPECT_EQ(stats().resident_free_bytes, resident - went);
    EXPECT_LE(stats().resident_free_bytes, 1 * MiB);
    EXPECT_EQ(hak_shared_pool_trim(1 * MiB), 0u);
    hak_shared_pool_trim(0);
    EXPECT_EQ(stats().resident_free_bytes, 0u);
}

TEST_F(SharedPool, LazyZeroPurgesWhatEntersTheCache) {
    hak_options.ss_lazy_zero = 1;
    slab *s = take(kSmall);
    hak_shared_pool_give_empty(s);
    EXPECT_EQ(stats().resident_free_bytes, 0u);
}

TEST_F(SharedPool, ReleasedAddressSpaceIsMappedAnew) {
    in_a_fresh_process([this] {
        slab *keep = take(kSmall);
        std::vector<slab *> slabs;
        for (int i = 0; i < 100; i++) slabs.push_back(take(kSmall));
        char *gone = slab_base(slabs.back());
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        uint64_t superslabs = stats().superslabs;
        EXPECT_GE(hak_shared_pool_release_address_space(), SUPERSLAB_BYTES);
        EXPECT_LT(stats().superslabs, superslabs);
        EXPECT_EQ(stats().superslabs, 1u);
        EXPECT_EQ(registry_word(gone), 0u);
        EXPECT_EQ(hak_slab_of(gone), nullptr);
        slabs.clear();
        for (int i = 0; i < 100; i++) {
            slab *s = take(kSmall);
            ASSERT_NE(s, nullptr);
            std::memset(slab_base(s), i, SLAB_BYTES);
            slabs.push_back(s);
        }
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        hak_shared_pool_give_empty(keep);
    });
}

TEST_F(SharedPool, PrewarmFillsThePartialStage) {
    uint64_t before = stats().superslabs;
    ASSERT_TRUE(hak_shared_pool_prewarm(kSmall, 2));
    EXPECT_EQ(stats().superslabs, before + 2);
    std::vector<slab *> slabs;
    while (slab *s = hak_shared_pool_take_partial(kSmall, &owner_)) slabs.push_back(s);
    EXPECT_EQ(slabs.size(), 2u * SLABS_PER_SUPERSLAB);
    EXPECT_EQ(stats().hot, 2u);
    for (slab *s : slabs) hak_shared_pool_give_empty(s);
}

TEST_F(SharedPool, CountsAddUpInRandomUse) {
    std::mt19937_64 random(42);
    std::vector<std::pair<slab *, std::vector<char *>>> held;
    uint64_t live = 0, in_slabs = 0; /* the shadow, bytes */
    for (int i = 0; i < 4000; i++) {
        if (random() % 2 != 0 && held.size() < 150) {
            slab *s = take(random() % CLASSES);
            ASSERT_NE(s, nullptr);
            auto blocks = take_blocks(s, 1 + random() % s->capacity);
            in_slabs += uint64_t{s->capacity} * hak_size_class[s->class_index].block_bytes;
            live += blocks.size() * hak_size_class[s->class_index].block_bytes;
            held.emplace_back(s, blocks);
        } else if (!held.empty()) {
            std::swap(held[random() % held.size()], held.back());
            auto &[s, blocks] = held.back();
            uint64_t bytes = hak_size_class[s->class_index].block_bytes;
            for (char *p : blocks) ASSERT_EQ(hak_slab_give(s, p), SLAB_OK);
            live -= blocks.size() * bytes;
            in_slabs -= s->capacity * bytes;
            hak_shared_pool_give_empty(s);
            held.pop_back();
        }
        if (i % 100 != 0) continue;
        shared_pool_stats now = stats();
        ASSERT_EQ(now.live_bytes, live);
        ASSERT_EQ(now.live_bytes + now.free_bytes, in_slabs);
        ASSERT_EQ(now.hot + now.draining + now.free, now.superslabs);
        ASSERT_LE(now.resident_free_bytes, now.superslabs * SUPERSLAB_BYTES);
    }
    for (auto &[s, blocks] : held) {
        for (char *p : blocks) ASSERT_EQ(hak_slab_give(s, p), SLAB_OK);
        hak_shared_pool_give_empty(s);
    }
}

TEST_F(SharedPool, ServesManyThreads) {
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            slab_owner owner = {};
            std::mt19937_64 random(t);
            std::vector<slab *> held;
            for (int i = 0; i < 1500; i++) {
                if (random() % 2 != 0) {
                    slab *s = hak_shared_pool_take(random() % CLASSES, &owner, false);
                    if (s == nullptr) continue;
                    EXPECT_EQ(load_acquire(&s->owner), &owner);
                    *reinterpret_cast<uint64_t *>(slab_base(s)) = t;
                    held.push_back(s);
                } else if (!held.empty()) {
                    EXPECT_EQ(*reinterpret_cast<uint64_t *>(slab_base(held.back())), t);
                    hak_shared_pool_give_empty(held.back());
                    held.pop_back();
                }
            }
            for (slab *s : held) hak_shared_pool_give_empty(s);
        });
    }
    for (auto &t : threads) t.join();
}

/* ---- Faults */

int calls_until_failure;

bool fail_the_kth(os_call) { return --calls_until_failure == 0; }
bool fail_always(os_call) { return true; }

TEST_F(SharedPool, AnyRefusalOfTheKernelIsSurvived) {
    in_a_fresh_process([this] {
        for (int k = 1; k <= 50; k++) {
            calls_until_failure = k;
            hak_os_set_fault(fail_the_kth);
            std::vector<slab *> slabs;
            for (int i = 0; i < 150; i++) {
                slab *s = take(i % 5 == 0 ? 75 + k % 9 : kSmall);
                if (s != nullptr) slabs.push_back(s);
            }
            EXPECT_GE(slabs.size(), 140u) << k;
            for (slab *s : slabs) hak_shared_pool_give_empty(s);
            hak_shared_pool_trim(0);
            hak_shared_pool_release_address_space();
            hak_os_set_fault(nullptr);
            shared_pool_stats now = stats();
            EXPECT_EQ(now.hot + now.draining, 0u) << k;
            slab *again = take(kSmall);
            ASSERT_NE(again, nullptr) << k;
            hak_shared_pool_give_empty(again);
        }
    });
}

TEST_F(SharedPool, ReturnsNullWhileThereIsNoMemory) {
    in_a_fresh_process([this] {
        hak_os_set_fault(fail_always);
        EXPECT_EQ(hak_shared_pool_take(kSmall, &owner_, false), nullptr);
        EXPECT_FALSE(hak_shared_pool_prewarm(kSmall, 1));
        EXPECT_EQ(stats().superslabs, 0u);
        hak_os_set_fault(nullptr);
        slab *s = take(kSmall);
        ASSERT_NE(s, nullptr);
        hak_shared_pool_give_empty(s);
    });
}

TEST_F(SharedPool, ARefusedPurgeIsNotReportedAsGivenBack) {
    in_a_fresh_process([this] {
        slab *s = take(kSmall);
        std::memset(slab_base(s), 0x99, SLAB_BYTES);
        hak_shared_pool_give_empty(s);
        hak_os_set_fault(fail_always);
        EXPECT_EQ(hak_shared_pool_trim(0), 0u);
        EXPECT_EQ(hak_shared_pool_release_address_space(), 0u);
        hak_os_set_fault(nullptr);
        s = take(kSmall);
        hak_shared_pool_give_empty(s);
    });
}

/* ---- Masks */

TEST(Runs, MatchACountByHand) {
    std::mt19937_64 random(5);
    for (int i = 0; i < 5000; i++) {
        uint32_t mask = static_cast<uint32_t>(random() | (i % 2 != 0 ? random() : 0));
        unsigned longest = 0;
        for (unsigned span = 1; span <= 32; span++) {
            uint32_t starts = 0;
            for (unsigned at = 0; at + span <= 32; at++) {
                uint32_t run = run_mask(at, span);
                if ((mask & run) == run) starts |= 1u << at;
            }
            ASSERT_EQ(run_starts(mask, span), starts) << mask << " " << span;
            if (starts != 0) longest = span;
        }
        ASSERT_EQ(longest_run(mask), longest) << mask;
    }
}

} // namespace
