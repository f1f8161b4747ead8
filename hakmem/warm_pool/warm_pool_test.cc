/* A thread's slabs: hits and misses, the stock of empty ones, what is given back. */
#include "hakmem/warm_pool/warm_pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "hakmem/config/options.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/shared_pool.h"

namespace {

constexpr unsigned kClass = 31; /* 1 KiB: 64 blocks a slab */

class WarmPool : public testing::Test {
  protected:
    void SetUp() override {
        saved_ = hak_options;
        hak_options.warm_pool_prefill = 0;
        hak_warm_pool_init(&wp_);
    }
    void TearDown() override {
        hak_warm_pool_release(&wp_);
        EXPECT_EQ(wp_.owner.pending, PENDING_CLOSED);
        EXPECT_TRUE(list_empty(&wp_.owned));
        hak_options = saved_;
        hak_shared_pool_trim(0);
        shared_pool_stats s;
        hak_shared_pool_stats(&s);
        EXPECT_EQ(s.live_bytes, 0u);
        EXPECT_EQ(s.free_bytes, 0u);
    }
    std::vector<char *> take(unsigned c, unsigned want) {
        slab *s = hak_warm_pool_get(&wp_, c);
        EXPECT_NE(s, nullptr);
        void *head = nullptr;
        hak_slab_take(s, want, &head, 0);
        hak_warm_pool_taken(&wp_, s);
        std::vector<char *> blocks;
        for (; head != LIST_END; head = *static_cast<void **>(head)) {
            blocks.push_back(static_cast<char *>(head));
        }
        return blocks;
    }
    void give(const std::vector<char *> &blocks) {
        for (char *b : blocks) {
            slab *s = hak_slab_of(b);
            unsigned before = s->out;
            EXPECT_EQ(hak_slab_give(s, b), SLAB_OK);
            hak_warm_pool_given(&wp_, s, before);
        }
    }
    /* Gives slabs up and wants them back until the pool keeps as many as it may. */
    void LearnToKeepEmpties() {
        for (int i = 0; i <= WARM_EMPTY_SLABS; i++) {
            std::vector<std::vector<char *>> taken;
            for (int n = 0; n <= WARM_EMPTY_SLABS; n++) taken.push_back(take(kClass, 64));
            for (auto &blocks : taken) give(blocks);
        }
        ASSERT_EQ(wp_.empties_max, static_cast<uint32_t>(WARM_EMPTY_SLABS));
        ASSERT_EQ(wp_.empties, wp_.empties_max);
    }
    warm_pool wp_ = {};

  private:
    options saved_ = {};
};

TEST_F(WarmPool, CountsHitsAndMisses) {
    warm_class &wc = wp_.classes[kClass];
    std::vector<char *> a = take(kClass, 10);
    EXPECT_EQ(wc.misses, 1u);
    EXPECT_EQ(wc.hits, 0u);
    std::vector<char *> b = take(kClass, 100);
    EXPECT_EQ(b.size(), 54u);
    EXPECT_EQ(wc.misses, 1u);
    EXPECT_EQ(wc.hits, 1u);
    EXPECT_EQ(wc.count, 0u); /* full: in no list */
    std::vector<char *> c = take(kClass, 1);
    EXPECT_EQ(wc.misses, 2u);
    EXPECT_EQ(wc.requests, wc.hits + wc.misses);
    give(a);
    EXPECT_EQ(wc.count, 2u);
    give(b);
    give(c);
}

TEST_F(WarmPool, KeepsNoEmptySlabUntilItWantsOneBack) {
    std::vector<char *> a = take(kClass, 1);
    give(a);
    EXPECT_EQ(wp_.empties, 0u);
    a = take(kClass, 1);
    give(a);
    EXPECT_EQ(wp_.empties, 1u);
}

TEST_F(WarmPool, KeepsAtMostFourEmptySlabs) {
    LearnToKeepEmpties();
    EXPECT_EQ(wp_.empties, static_cast<uint32_t>(WARM_EMPTY_SLABS));
    uint64_t misses = wp_.classes[kClass].misses;
    std::vector<std::vector<char *>> taken;
    for (int i = 0; i < WARM_EMPTY_SLABS; i++) taken.push_back(take(kClass, 64));
    EXPECT_EQ(wp_.classes[kClass].misses, misses);
    EXPECT_EQ(wp_.empties, 0u);
    for (auto &blocks : taken) give(blocks);
}

/* Empties four slabs of a pool that would keep them all. */
void empty_four(warm_pool *wp) {
    wp->empties_max = WARM_EMPTY_SLABS;
    void *heads[WARM_EMPTY_SLABS];
    for (void *&head : heads) {
        slab *s = hak_warm_pool_get(wp, kClass);
        hak_slab_take(s, UINT32_MAX, &head, 0);
        hak_warm_pool_taken(wp, s);
    }
    for (void *head : heads) {
        while (head != LIST_END) {
            void *next = *static_cast<void **>(head);
            slab *s = hak_slab_of(head);
            unsigned before = s->out;
            EXPECT_EQ(hak_slab_give(s, head), SLAB_OK);
            hak_warm_pool_given(wp, s, before);
            head = next;
        }
    }
}

TEST_F(WarmPool, AllThreadsTogetherKeepABoundedNumber) {
    static warm_pool others[WARM_EMPTY_SLABS_OF_ALL / WARM_EMPTY_SLABS];
    for (warm_pool &wp : others) {
        hak_warm_pool_init(&wp);
        empty_four(&wp);
        EXPECT_EQ(wp.empties, uint32_t{WARM_EMPTY_SLABS});
    }
    for (int i = 0; i < WARM_EMPTY_SLABS_OF_ALL; i++) {
        empty_four(&wp_);
        EXPECT_EQ(wp_.empties, 0u) << "others have them all";
    }
    for (warm_pool &wp : others) hak_warm_pool_release(&wp);
    empty_four(&wp_);
    EXPECT_EQ(wp_.empties, uint32_t{WARM_EMPTY_SLABS});
}

TEST_F(WarmPool, GivesUpTheEmptySlabsThatWereNotNeeded) {
    LearnToKeepEmpties();
    hak_warm_pool_cool(&wp_);
    uint32_t empties = wp_.empties;
    std::vector<char *> a = take(kClass, 1);
    give(a);
    hak_warm_pool_cool(&wp_); /* one of them was needed */
    EXPECT_EQ(wp_.empties, empties < 1 ? empties : 1);
    hak_warm_pool_cool(&wp_);
    EXPECT_EQ(wp_.empties, 0u);
    EXPECT_EQ(wp_.empties_max, 0u);
}

TEST_F(WarmPool, GivesUpMostlyFreeSlabsThatRest) {
    warm_class &wc = wp_.classes[kClass];
    std::vector<std::vector<char *>> taken;
    for (int i = 0; i < 3; i++) taken.push_back(take(kClass, 64));
    std::vector<char *> stay;
    for (auto &blocks : taken) {
        for (int i = 0; i < 2; i++) {
            stay.push_back(blocks.back());
            blocks.pop_back();
        }
        give(blocks);
    }
    ASSERT_EQ(wc.count, 3u);
    hak_warm_pool_cool(&wp_);
    EXPECT_EQ(wc.count, 3u) << "they were just freed into";
    std::vector<char *> more = {stay[3], stay[5]}; /* of the second and the third one */
    stay = {stay[0], stay[1], stay[2], stay[4]};
    give(more);
    hak_warm_pool_cool(&wp_);
    EXPECT_EQ(wc.count, 2u) << "only the first one rested";
    hak_warm_pool_cool(&wp_);
    EXPECT_EQ(wc.count, 1u);
    give(stay);
}

TEST_F(WarmPool, AnEmptySlabServesAnyClassOfOneUnit) {
    LearnToKeepEmpties();
    uint64_t misses = wp_.classes[5].misses;
    std::vector<char *> b = take(5, 1);
    EXPECT_EQ(wp_.classes[5].misses, misses);
    EXPECT_EQ(wp_.classes[5].hits, 1u);
    EXPECT_EQ(registry_word(b[0]), word_of_class(5));
    hak_slab_check_invariant(hak_slab_of(b[0]));
    give(b);
}

TEST_F(WarmPool, RunsOfSeveralSlabsAreNotStocked) {
    std::vector<char *> a = take(CLASSES - 1, 1);
    give(a);
    EXPECT_EQ(wp_.empties, 0u);
    EXPECT_EQ(registry_word(a[0]), WORD_UNUSED);
}

TEST_F(WarmPool, MostlyFreeSlabsBeyondTheCapacityAreOrphaned) {
    hak_options.warm_pool_size = 2;
    std::vector<std::vector<char *>> taken;
    for (int i = 0; i < 6; i++) taken.push_back(take(kClass, 64));
    for (auto &blocks : taken) {
        give(std::vector<char *>(blocks.begin() + 1, blocks.end())); /* one stays outside */
        EXPECT_LE(wp_.classes[kClass].count, 2u);
    }
    unsigned orphans = 0;
    for (auto &blocks : taken) {
        if (hak_slab_of(blocks[0])->owner != &wp_.owner) {
            orphans++;
            EXPECT_EQ(hak_slab_give_remote(blocks[0]), SLAB_OK);
        } else {
            give({blocks[0]});
        }
    }
    EXPECT_EQ(orphans, 4u);
}

TEST_F(WarmPool, PrefillsFromPartialSlabsWhileMissesFollowClosely) {
    hak_options.warm_pool_prefill = 2;
    ASSERT_TRUE(hak_shared_pool_prewarm(kClass, 1));
    std::vector<std::vector<char *>> taken;
    for (int i = 0; i < 12; i++) taken.push_back(take(kClass, 64));
    warm_class &wc = wp_.classes[kClass];
    EXPECT_GT(wc.prefilled, 0u);
    EXPECT_LT(wc.misses, 12u);
    EXPECT_EQ(wc.hits + wc.misses, 12u);
    for (auto &blocks : taken) give(blocks);
    hak_warm_pool_trim(&wp_);
    while (slab *s = hak_shared_pool_take_partial(kClass, &wp_.owner)) {
        hak_shared_pool_give_empty(s);
    }
}

TEST_F(WarmPool, CollectsWhatOtherThreadsFreed) {
    std::vector<char *> a = take(kClass, 64);
    EXPECT_EQ(wp_.classes[kClass].count, 0u);
    std::thread([&] {
        for (int i = 0; i < 63; i++) EXPECT_EQ(hak_slab_give_remote(a[i]), SLAB_OK);
    }).join();
    hak_warm_pool_collect(&wp_);
    EXPECT_EQ(wp_.classes[kClass].count, 1u);
    EXPECT_EQ(hak_slab_of(a[63])->out, 1);
    give({a[63]});
    EXPECT_EQ(registry_word(a[63]), WORD_UNUSED);
}

TEST_F(WarmPool, TrimKeepsOnlySlabsInUse) {
    std::vector<char *> busy = take(kClass, 40), idle = take(5, 3), none = take(6, 1);
    give(none);
    hak_warm_pool_trim(&wp_);
    EXPECT_EQ(wp_.empties, 0u);
    EXPECT_EQ(registry_word(none[0]), WORD_UNUSED);
    EXPECT_NE(hak_slab_of(idle[0])->owner, &wp_.owner);
    EXPECT_EQ(hak_slab_of(busy[0])->owner, &wp_.owner);
    for (char *b : idle) EXPECT_EQ(hak_slab_give_remote(b), SLAB_OK);
    give(busy);
}

TEST_F(WarmPool, ReleaseGivesEverySlabBack) {
    std::vector<char *> full = take(kClass, 64), some = take(5, 3), none = take(6, 1);
    give(none);
    hak_warm_pool_release(&wp_);
    EXPECT_TRUE(list_empty(&wp_.owned));
    EXPECT_NE(hak_slab_of(full[0])->owner, &wp_.owner);
    EXPECT_NE(hak_slab_of(some[0])->owner, &wp_.owner);
    EXPECT_EQ(registry_word(none[0]), WORD_UNUSED);
    for (char *b : full) EXPECT_EQ(hak_slab_give_remote(b), SLAB_OK);
    for (char *b : some) EXPECT_EQ(hak_slab_give_remote(b), SLAB_OK);
}

} // namespace
