/* Who gives memory back: a thread that reclaims finds nothing in another's hands. */
#include <gtest/gtest.h>

#include "hakmem/base/reclaim.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"
#include "hakmem/large/large.h"
#include "hakmem/shared_pool/pool.h"

namespace interleave {
namespace {

int in_hand;   /* of threads that give */
int reclaims;  /* threads that do */
int sent_away; /* threads that left it to others */
int left;      /* turns that ended with a note */

void Clear() { in_hand = reclaims = sent_away = left = 0; }

void Give() {
    if (!hak_giving_begin()) {
        sent_away++;
        return;
    }
    in_hand++;
    Point(__FILE__, __LINE__);
    in_hand--;
    hak_giving_end();
}

void Reclaim() {
    hak_reclaim_begin();
    REQUIRE(reclaims == 0 && in_hand == 0);
    reclaims++;
    Point(__FILE__, __LINE__);
    REQUIRE(in_hand == 0);
    reclaims--;
    if (hak_reclaim_end()) left++;
}

/* Whoever was sent away is heard of by a turn that ends after that. */
void NoteIsHeard() { REQUIRE((sent_away != 0) == (left != 0)); }

TEST(Reclaim, FindsNothingInAnothersHands) {
    Explore({Clear, {Give, Give, Reclaim}, NoteIsHeard, 5});
}

TEST(Reclaim, GoesOneByOne) { Explore({Clear, {Reclaim, Give, Reclaim}, NoteIsHeard, 4}); }

TEST(Reclaim, LetsThoseThatMustGiveComeToIt) {
    auto must_give = [] {
        hak_giving_wait();
        REQUIRE(reclaims == 0);
        in_hand++;
        Point(__FILE__, __LINE__);
        in_hand--;
        hak_giving_end();
    };
    Explore({
        Clear,
        {must_give, Reclaim, must_give},
        [] { REQUIRE(in_hand == 0); },
        4,
    });
}

Owner first, second;

/* A tick and a free purge and unlist; the other thread's turn begins with all of it in place. */
TEST(Reclaim, FindsNoUnitsOnTheirWay) {
    Explore({
        [] {
            first.SetUp(2);
            second.SetUp(1, kOtherClass);
            hak_shared_pool_orphan(first.s);
            for (int i = 1; i < SPARSE_TICKS; i++) hak_shared_pool_tick(0);
            /* Nothing that is empty keeps its pages, for a long time to come. */
            hak_pool.policy.scarce = true;
            hak_pool.policy.scarce_ms = UINT64_MAX / 2;
        },
        {
            [] { hak_shared_pool_tick(0); },
            [] {
                GiveOwn(&second.wp, second.blocks[0]);
                hak_warm_pool_trim(&second.wp);
            },
            [] {
                hak_reclaim_begin();
                REQUIRE(!hak_shared_pool_is_purging());
                hak_shared_pool_trim(0);
                REQUIRE(!hak_shared_pool_is_purging());
                if (hak_reclaim_end()) hak_shared_pool_settle();
            },
        },
        [] {
            Settle({&first.wp, &second.wp});
            CheckAtRest();
        },
        2,
    });
}

} // namespace
} // namespace interleave
