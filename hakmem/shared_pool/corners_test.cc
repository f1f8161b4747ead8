/* The shared pool where the kernel refuses, address space is short, and orphans come and go. */
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/shared_pool/stock.h"

namespace {

constexpr unsigned kSmall = 3;  /* 64 bytes, one unit */
constexpr unsigned kPages = 31; /* 1 KiB: four blocks a page, or more */

slab_owner owner = {};

shared_pool_stats stats() {
    shared_pool_stats s;
    hak_shared_pool_stats(&s);
    return s;
}

std::vector<void *> take_blocks(slab *s, unsigned want) {
    void *head = nullptr;
    hak_slab_take(s, want, &head, 0);
    std::vector<void *> blocks;
    for (; head != LIST_END; head = *static_cast<void **>(head)) blocks.push_back(head);
    return blocks;
}

/* In a process whose pool has served nobody. */
template <typename Body> void in_a_fresh_process(Body body) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            body();
            EXPECT_TRUE(hak_shared_pool_agrees());
            _Exit(testing::Test::HasFailure() ? 1 : 0);
        },
        testing::ExitedWithCode(0), "");
}

TEST(PoolCorners, AnOrphanEndsAtOnceWithItsLastBlock) {
    in_a_fresh_process([] {
        slab *s = hak_shared_pool_take(kSmall, &owner, false);
        char *base = slab_base(s);
        std::vector<void *> blocks = take_blocks(s, 3);
        hak_shared_pool_orphan(s);
        EXPECT_EQ(hak_shared_pool_partials(kSmall), 1u);
        for (void *block : blocks) {
            EXPECT_EQ(hak_slab_of(base), s);
            EXPECT_EQ(hak_slab_give_remote(block), SLAB_OK);
            hak_shared_pool_freed_into(s);
        }
        EXPECT_EQ(hak_slab_of(base), nullptr);
        EXPECT_EQ(registry_word(base), WORD_UNUSED);
        EXPECT_EQ(hak_shared_pool_partials(kSmall), 0u);
    });
}

TEST(PoolCorners, OrphansThatAreListedAreCounted) {
    in_a_fresh_process([] {
        for (int round = 0; round < 3; round++) {
            slab *s = hak_shared_pool_take(kSmall, &owner, false);
            std::vector<void *> blocks = take_blocks(s, 3);
            EXPECT_EQ(hak_shared_pool_partials(kSmall), 0u);
            hak_shared_pool_orphan(s);
            EXPECT_EQ(hak_shared_pool_partials(kSmall), 1u);
            EXPECT_EQ(hak_shared_pool_take_partial(kSmall, &owner), s);
            EXPECT_EQ(hak_shared_pool_partials(kSmall), 0u);
            for (void *block : blocks) EXPECT_EQ(hak_slab_give(s, block), SLAB_OK);
            hak_shared_pool_give_empty(s);
        }
    });
}

TEST(PoolCorners, WhatTheKernelDoesNotPurgeIsResident) {
    in_a_fresh_process([] {
        hak_shared_pool_take(kSmall, &owner, false); /* else the address space would go */
        slab *s = hak_shared_pool_take(kSmall, &owner, false);
        std::memset(slab_base(s), 0x99, SLAB_BYTES);
        hak_shared_pool_give_empty(s);
        hak_os_set_fault([](os_call call) { return call == OS_PURGE; });
        EXPECT_EQ(hak_shared_pool_trim(0), 0u);
        EXPECT_EQ(stats().resident_free_bytes, SLAB_BYTES);
        EXPECT_EQ(stats().resident_bytes, 2 * SLAB_BYTES);
        hak_os_set_fault(nullptr);
        EXPECT_EQ(hak_shared_pool_trim(0), SLAB_BYTES);
        EXPECT_EQ(stats().resident_bytes, SLAB_BYTES);
    });
}

/* Asked in the middle of a purge. */
TEST(PoolCorners, WhilePagesGoOthersAreServed) {
    in_a_fresh_process([] {
        static int served;
        slab *kept = hak_shared_pool_take(kSmall, &owner, false),
             *s = hak_shared_pool_take(kSmall, &owner, false);
        hak_shared_pool_give_empty(s);
        alarm(20); /* a deadlock ends as a signal */
        hak_os_set_fault([](os_call call) {
            if (call == OS_PURGE) served += hak_shared_pool_resident_bytes() == 2 * SLAB_BYTES;
            return false;
        });
        EXPECT_EQ(hak_shared_pool_trim(0), SLAB_BYTES);
        EXPECT_EQ(served, 1);
        EXPECT_EQ(hak_slab_of(slab_base(kept)), kept);
    });
}

TEST(PoolCorners, ATrimKeepsWhatItMay) {
    in_a_fresh_process([] {
        slab *slabs[4];
        for (slab *&s : slabs) s = hak_shared_pool_take(kSmall, &owner, false);
        for (int i = 0; i < 3; i++) hak_shared_pool_give_empty(slabs[i]);
        EXPECT_EQ(hak_shared_pool_trim(3 * SLAB_BYTES), 0u);
        EXPECT_EQ(stats().resident_free_bytes, 3 * SLAB_BYTES);
        EXPECT_GT(hak_shared_pool_trim(3 * SLAB_BYTES - 1), 0u);
    });
}

/* The bytes of a purged unit are gone, those of the units beside it are not. */
TEST(PoolCorners, APurgeEndsWithItsUnits) {
    in_a_fresh_process([] {
        slab *slabs[3];
        for (slab *&s : slabs) {
            s = hak_shared_pool_take(kSmall, &owner, false);
            std::memset(slab_base(s), 0x99, SLAB_BYTES);
        }
        char *middle = slab_base(slabs[1]);
        ASSERT_EQ(slab_base(slabs[2]), middle + SLAB_BYTES);
        hak_shared_pool_give_empty(slabs[1]);
        EXPECT_EQ(hak_shared_pool_trim(0), SLAB_BYTES);
        EXPECT_EQ(middle[0] | middle[SLAB_BYTES - 1], 0);
        EXPECT_EQ(middle[-1] & 0xff, 0x99);
        EXPECT_EQ(middle[SLAB_BYTES] & 0xff, 0x99);
    });
}

TEST(PoolCorners, WhereAddressSpaceIsShortWhatEmptiesIsUnmapped) {
    in_a_fresh_process([] {
        slab *s = hak_shared_pool_take(kSmall, &owner, false);
        hak_shared_pool_release_address_space();
        EXPECT_EQ(stats().superslabs, 1u);
        hak_shared_pool_give_empty(s);
        EXPECT_EQ(stats().superslabs, 0u);
        /* That is over some time later. */
        uint64_t now = clock_ms();
        for (int i = 1; i <= 20; i++) hak_shared_pool_tick(now + i * SCARCE_MS / 10);
        s = hak_shared_pool_take(kSmall, &owner, false);
        hak_shared_pool_give_empty(s);
        EXPECT_EQ(stats().superslabs, 1u);
        EXPECT_EQ(stats().resident_free_bytes, SLAB_BYTES);
    });
}

/* Walks the seconds of a program that wants no slab. */
TEST(PoolCorners, WhatNobodyWantsHalvesFromSecondToSecond) {
    in_a_fresh_process([] {
        std::vector<slab *> slabs;
        for (size_t i = 0; i < RESIDENT_FREE_BYTES / SLAB_BYTES; i++) {
            slabs.push_back(hak_shared_pool_take(kSmall, &owner, false));
        }
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        EXPECT_EQ(stats().resident_free_bytes, RESIDENT_FREE_BYTES);
        uint64_t now = clock_ms();
        for (int i = 1; i <= 10; i++) hak_shared_pool_tick(now + i * REFAULT_MS);
        size_t stocked = hak_stock_count() * SLAB_BYTES;
        EXPECT_LE(stats().resident_free_bytes, std::max(RESIDENT_QUIET_BYTES, stocked));
    });
}

/* Units beyond the base after four seconds more than a burst may last, in which all that was purged
 * is wanted back, where the process works for so many milliseconds of each. */
uint64_t worked_ms;
size_t extra_after_churn(uint64_t works) {
    hak_shared_pool_give_empty(hak_shared_pool_take(kSmall, &owner, false));
    hak_pool_worked_ms = [] { return worked_ms; };
    purge_policy *p = &hak_pool.policy;
    uint64_t now = clock_ms();
    for (int i = 0; i <= 10 * (BURST_S + 4); i++, now += REFAULT_MS / 10, worked_ms += works / 10) {
        p->purged = p->refaulted = 100 * SLABS_PER_SUPERSLAB;
        p->lowest = 0;
        hak_shared_pool_tick(now);
    }
    return p->extra;
}

TEST(PoolCorners, MoreIsKeptWhereChurnGoesOnForSecondsOfWork) {
    size_t once = RESIDENT_EXTRA_BYTES / SLAB_BYTES;
    in_a_fresh_process([=] { EXPECT_GE(extra_after_churn(REFAULT_MS), 16 * once); });
    in_a_fresh_process([=] { EXPECT_GE(extra_after_churn(REFAULT_MS / 2), 4 * once); });
    in_a_fresh_process([=] { EXPECT_LE(extra_after_churn(REFAULT_MS / 5), once); });
    /* Many processors work for longer than a second lasts. */
    in_a_fresh_process([=] { EXPECT_LE(extra_after_churn(64 * REFAULT_MS), 256 * once); });
}

/* A tick after much was purged, all of which was wanted back. */
void churn_tick(uint64_t now) {
    purge_policy *p = &hak_pool.policy;
    p->purged = p->refaulted = 100 * SLABS_PER_SUPERSLAB;
    hak_shared_pool_tick(now);
}

TEST(PoolCorners, AShareOfWhatIsInUseIsKeptAtOnceWhereItIsWantedBack) {
    in_a_fresh_process([] {
        size_t base = RESIDENT_FREE_BYTES / SLAB_BYTES, once = RESIDENT_EXTRA_BYTES / SLAB_BYTES;
        std::vector<slab *> slabs(2 * RESIDENT_SHARE * once);
        for (slab *&s : slabs) s = hak_shared_pool_take(kSmall, &owner, false);
        EXPECT_EQ(hak_purge_bound(), base);
        uint64_t now = clock_ms();
        churn_tick(now);
        EXPECT_EQ(hak_purge_bound(), base + 2 * once);
        /* It goes with what is in use; what stays is what a burst may leave. */
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        EXPECT_LE(stats().resident_free_bytes, RESIDENT_FREE_BYTES + RESIDENT_EXTRA_BYTES);
        EXPECT_EQ(hak_purge_bound() + hak_stock_count(), base + once);
    });
}

TEST(PoolCorners, OfTheShareHalfGoesEachSecondThatItLiesUnused) {
    in_a_fresh_process([] {
        size_t once = RESIDENT_EXTRA_BYTES / SLAB_BYTES;
        std::vector<slab *> slabs(2 * RESIDENT_SHARE * once);
        for (slab *&s : slabs) s = hak_shared_pool_take(kSmall, &owner, false);
        uint64_t now = clock_ms();
        churn_tick(now);
        ASSERT_EQ(hak_pool.policy.beside, 2 * once);
        for (int i = 1; i <= 12; i++) {
            hak_pool.policy.lowest = 3 * once;
            hak_shared_pool_tick(now + i * REFAULT_MS);
        }
        EXPECT_EQ(hak_pool.policy.beside, 0u);
    });
}

TEST(PoolCorners, WhatIsExpectedToBeWantedBackIsKept) {
    in_a_fresh_process([] {
        size_t far = SWING_BYTES / SLAB_BYTES;
        std::vector<slab *> slabs(4 * far);
        for (slab *&s : slabs) s = hak_shared_pool_take(kSmall, &owner, false);
        hak_shared_pool_expect(2 * far);
        hak_shared_pool_expect(far);
        EXPECT_EQ(hak_pool.policy.extra, 3 * far);
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        EXPECT_GE(stats().resident_free_bytes, 3 * SWING_BYTES);
        hak_shared_pool_expect(9 * far); /* more than is used */
        EXPECT_EQ(hak_pool.policy.extra, 3 * far);
    });
    in_a_fresh_process([] {
        hak_shared_pool_expect(SIZE_MAX / 2);
        EXPECT_EQ(hak_pool.policy.extra, SWING_BYTES / SLAB_BYTES);
    });
}

TEST(PoolCorners, WhatIsKeptAnywayNeedNotWaitBeyondIt) {
    in_a_fresh_process([] {
        size_t most = RESIDENT_SLACK_BYTES / SLAB_BYTES;
        EXPECT_EQ(hak_purge_slack(), most);
        hak_pool.policy.extra = most / 4;
        EXPECT_EQ(hak_purge_slack(), most - most / 4);
        hak_pool.policy.extra = 2 * most;
        EXPECT_EQ(hak_purge_slack(), 0u);
    });
}

TEST(PoolCorners, TheStockIsBounded) {
    in_a_fresh_process([] {
        std::vector<slab *> slabs;
        for (int i = 0; i < 3 * STOCK_SLABS; i++) {
            slabs.push_back(hak_shared_pool_take(kSmall, &owner, false));
        }
        for (slab *s : slabs) hak_shared_pool_give_empty(s);
        EXPECT_EQ(hak_stock_count(), unsigned{STOCK_SLABS});
    });
}

/* ---- What a stopped thread leaves in a forked child ---- */

TEST(PoolCorners, NothingOfATornSlabIsBelieved) {
    in_a_fresh_process([] {
        slab_owner other = {};
        slab *s = hak_shared_pool_take(kSmall, &other, false);
        EXPECT_EQ(take_blocks(s, 10).size(), 10u);
        s->owned = s->listed = {nullptr, nullptr};
        s->low = BITMAP_WORDS / 4 - 1;
        s->out = 999;
        hak_shared_pool_orphan_all(&other);
        EXPECT_EQ(hak_shared_pool_take_partial(kSmall, &owner), s);
        EXPECT_EQ(s->out, 10);
        EXPECT_EQ(take_blocks(s, UINT32_MAX).size(), s->capacity - 10u);
    });
}

TEST(PoolCorners, HalfChangedWordsAreChangedInTheChild) {
    in_a_fresh_process([] {
        slab_owner other = {};
        slab *s = hak_shared_pool_take(kSmall, &other, false);
        EXPECT_EQ(take_blocks(s, 10).size(), 10u);
        s->checked = true; /* its words do not say so yet */
        hak_shared_pool_orphan_all(&other);
        EXPECT_TRUE(word_is_checked(registry_word(slab_base(s))));
    });
}

TEST(PoolCorners, TheStockIsForgottenAndItsSlabsAreFree) {
    in_a_fresh_process([] {
        slab *kept = hak_shared_pool_take(kSmall, &owner, false);
        hak_shared_pool_give_empty(hak_shared_pool_take(kSmall, &owner, false));
        EXPECT_EQ(hak_stock_count(), 1u);
        hak_shared_pool_repair(&owner);
        EXPECT_EQ(hak_stock_count(), 0u);
        EXPECT_TRUE(hak_shared_pool_agrees());
        slab *a = hak_shared_pool_take(kSmall, &owner, false),
             *b = hak_shared_pool_take(kSmall, &owner, false);
        EXPECT_NE(a, b);
        EXPECT_NE(a, kept);
        EXPECT_NE(b, kept);
    });
}

/* ---- Superslabs that come and go ---- */

int metadata_until_refused = -1;

bool refuses_metadata(os_call call) {
    return call == OS_META && (metadata_until_refused == 0 || metadata_until_refused-- == 0);
}

TEST(PoolCorners, ASuperslabWithoutWordsLeavesItsRecordAndItsPlace) {
    in_a_fresh_process([] {
        hak_os_set_fault(refuses_metadata);
        metadata_until_refused = 1; /* its record is there, and not the words */
        for (int i = 0; i < 3; i++) EXPECT_EQ(hak_shared_pool_take(kSmall, &owner, false), nullptr);
        hak_os_set_fault(nullptr);
        EXPECT_NE(hak_shared_pool_take(kSmall, &owner, false), nullptr);
        const superslabs &all = hak_pool.all;
        EXPECT_EQ(all.all->next, nullptr);
        EXPECT_EQ(static_cast<size_t>(all.region_end - all.region),
                  REGION_FIRST_BYTES - SUPERSLAB_BYTES);
    });
}

TEST(PoolCorners, ASuperslabThatGoesHasNoRecord) {
    in_a_fresh_process([] {
        slab *s = hak_shared_pool_take(kSmall, &owner, false);
        char *base = slab_base(s);
        EXPECT_NE(hak_registry_record(base), nullptr);
        hak_shared_pool_give_empty(s);
        hak_shared_pool_release_address_space();
        EXPECT_EQ(hak_registry_record(base), nullptr);
        EXPECT_EQ(registry_word(base), 0u);
        EXPECT_EQ(hak_budget_used(), hak_os_meta_bytes());
    });
}

TEST(PoolCorners, ASuperslabThatMustStayHasItsRecord) {
    in_a_fresh_process([] {
        slab *s = hak_shared_pool_take(kSmall, &owner, false);
        char *base = slab_base(s);
        hak_shared_pool_give_empty(s);
        hak_os_set_fault([](os_call call) { return call == OS_UNMAP; });
        hak_shared_pool_release_address_space();
        EXPECT_EQ(registry_word(base), WORD_UNUSED);
        EXPECT_NE(hak_registry_record(base), nullptr);
        EXPECT_EQ(stats().superslabs, 1u);
        EXPECT_TRUE(hak_shared_pool_agrees());
        EXPECT_NE(hak_shared_pool_take(kSmall, &owner, false), nullptr);
    });
}

TEST(PoolCorners, TheBudgetHasBackWhatGoesWithItsAddressSpace) {
    in_a_fresh_process([] {
        hak_shared_pool_give_empty(hak_shared_pool_take(kSmall, &owner, false));
        EXPECT_EQ(hak_budget_used(), hak_os_meta_bytes() + SLAB_BYTES);
        hak_os_set_fault([](os_call call) { return call == OS_PURGE; });
        hak_shared_pool_trim(0);
        EXPECT_EQ(stats().superslabs, 0u);
        EXPECT_EQ(hak_budget_used(), hak_os_meta_bytes());
    });
}

TEST(PoolCorners, TheBudgetHasBackWhatTheKernelDoesNotPopulate) {
    in_a_fresh_process([] {
        hak_os_set_fault([](os_call call) { return call == OS_POPULATE; });
        EXPECT_TRUE(hak_shared_pool_prewarm(kSmall, 1));
        EXPECT_EQ(hak_budget_used(), hak_os_meta_bytes() + SUPERSLAB_BYTES);
    });
}

/* ---- The check of all counts sees what is wrong ---- */

TEST(PoolCorners, CountsAndBitsThatDisagreeAreSeen) {
    in_a_fresh_process([] {
        slab *s = hak_shared_pool_take(kSmall, &owner, false);
        take_blocks(s, 64 + 10);
        superslab *ss = slab_superslab(s);
        uint64_t *free = superslab_free_word(ss, s->index, 0);
        uint64_t *remote = superslab_remote_word(ss, s->index, 0);
        auto is_seen = [](auto &field, auto value) {
            auto before = field;
            field = value;
            EXPECT_FALSE(hak_shared_pool_agrees());
            field = before;
            EXPECT_TRUE(hak_shared_pool_agrees());
        };
        is_seen(s->out, s->out + 1);
        is_seen(s->low, 2);
        is_seen(free[1], free[1] | 1);
        is_seen(free[1], free[1] & (free[1] - 1));
        is_seen(remote[1], free[1]);
        is_seen(ss->heads[s->index], 3);
        is_seen(ss->used, ss->used | 1u << 7);
        is_seen(ss->resident, 0u);
        is_seen(ss->run, 1);
        is_seen(ss->resident_run, 9);
        is_seen(hak_pool.all.used, size_t{7});
        is_seen(hak_pool.all.mapped, size_t{7});
        is_seen(hak_pool.all.resident_free, size_t{7});
        is_seen(hak_pool.all.cached, size_t{7});
        is_seen(hak_pool.all.cached_resident, size_t{7});
        hak_registry_set(slab_base(s), 1, word_of_class(kSmall + 1));
        EXPECT_FALSE(hak_shared_pool_agrees());
        hak_registry_set(slab_base(s), 1, word_of_class(kSmall));
        hak_registry_set(slab_base(s) + SLAB_BYTES, 1, 0);
        EXPECT_FALSE(hak_shared_pool_agrees());
        hak_registry_set(slab_base(s) + SLAB_BYTES, 1, WORD_UNUSED);
    });
}

/* ---- Orphans with few blocks ---- */

void pass_time() {
    for (int i = 0; i <= 2 * SPARSE_TICKS; i++) hak_shared_pool_tick(clock_ms());
}

TEST(PoolCorners, AnOrphanThatWasInUseMayLoseItsPagesAgain) {
    const size_t went = SLAB_BYTES - std::min(SLAB_BYTES, hak_os_page_bytes());
    if (went == 0) GTEST_SKIP() << "a slab is one page";
    in_a_fresh_process([=] {
        slab *s = hak_shared_pool_take(kPages, &owner, false);
        std::vector<void *> blocks = take_blocks(s, 64);
        for (int i = 1; i < 64; i++) EXPECT_EQ(hak_slab_give(s, blocks[i]), SLAB_OK);
        uint64_t before = hak_os_purged_bytes();
        for (unsigned round = 1; round <= 3; round++) {
            hak_shared_pool_orphan(s);
            pass_time();
            EXPECT_EQ(hak_os_purged_bytes() - before, round * went);
            EXPECT_EQ(hak_shared_pool_take_partial(kPages, &owner), s);
        }
    });
}

TEST(PoolCorners, AnOrphanThatIsHalfFullKeepsItsPages) {
    in_a_fresh_process([] {
        slab *s = hak_shared_pool_take(kPages, &owner, false);
        std::vector<void *> blocks = take_blocks(s, 64);
        for (int i = 32; i < 64; i++) EXPECT_EQ(hak_slab_give(s, blocks[i]), SLAB_OK);
        uint64_t before = hak_os_purged_bytes();
        hak_shared_pool_orphan(s);
        pass_time();
        EXPECT_EQ(hak_os_purged_bytes(), before);
    });
}

} // namespace
