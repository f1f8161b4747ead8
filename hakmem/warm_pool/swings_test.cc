/* What a thread holds rises and falls: what is expected to be wanted back. */
#include "hakmem/warm_pool/swings.h"

#include <gtest/gtest.h>

#include <vector>

#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/warm_pool/warm_pool.h"

namespace {

constexpr unsigned kFar = SWING_BYTES / SLAB_BYTES;

/* First: what the other tests expect is kept by the pool of the process. */
TEST(WarmPoolSwings, OfAThreadsSlabsAreKept) {
    constexpr unsigned kClass = 31;
    constexpr unsigned kSlabs = 3 * kFar;
    static warm_pool wp;
    hak_warm_pool_init(&wp);
    uint64_t kept[3];
    for (uint64_t &bytes : kept) {
        std::vector<slab *> slabs;
        for (unsigned i = 0; i < kSlabs; i++) {
            slab *s = hak_warm_pool_get(&wp, kClass);
            ASSERT_NE(s, nullptr);
            void *head = nullptr;
            ASSERT_EQ(hak_slab_take(s, 64, &head, 0), 64u);
            hak_warm_pool_taken(&wp, s);
            slabs.push_back(s);
        }
        EXPECT_EQ(wp.swings.units, kSlabs);
        for (slab *s : slabs) {
            for (int i = 0; i < 64; i++) {
                unsigned before = s->out;
                ASSERT_EQ(hak_slab_give(s, slab_base(s) + i * 1024), SLAB_OK);
                hak_warm_pool_given(&wp, s, before);
            }
        }
        shared_pool_stats s;
        hak_shared_pool_stats(&s);
        bytes = s.resident_free_bytes;
    }
    EXPECT_LT(kept[0], SWING_BYTES);
    EXPECT_LT(kept[1], SWING_BYTES);
    EXPECT_GT(kept[2], 2 * SWING_BYTES);
    hak_warm_pool_release(&wp);
    EXPECT_TRUE(hak_shared_pool_agrees());
}

class Swings : public testing::Test {
  protected:
    void Rise(unsigned units) {
        for (unsigned i = 0; i < units; i++) swings_add(&s_, 1);
    }
    void Fall(unsigned units) {
        for (unsigned i = 0; i < units; i++) swings_subtract(&s_, 1);
    }
    void RiseAndFall(unsigned units) {
        Rise(units);
        Fall(units);
    }
    swings s_ = {};
};

TEST_F(Swings, AreExpectedToGoOnAtTheThirdFall) {
    Rise(5 * kFar); /* stay */
    RiseAndFall(2 * kFar);
    RiseAndFall(2 * kFar);
    EXPECT_EQ(s_.expected, 0u);
    RiseAndFall(2 * kFar);
    EXPECT_EQ(s_.expected, 2 * kFar);
}

TEST_F(Swings, AreOfAtLeastSoMuch) {
    for (int i = 0; i < 20; i++) RiseAndFall(kFar - 1);
    EXPECT_EQ(s_.rises, 0u);
    EXPECT_EQ(s_.expected, 0u);
    for (int i = 0; i < 3; i++) RiseAndFall(kFar);
    EXPECT_EQ(s_.expected, kFar);
}

TEST_F(Swings, EndWhereARiseComesLate) {
    for (int i = 0; i < 20; i++) {
        RiseAndFall(2 * kFar);
        s_.fell_ms -= REFAULT_MS;
    }
    EXPECT_EQ(s_.expected, 0u);
}

TEST_F(Swings, BeginAnewAfterAPause) {
    for (int i = 0; i < 3; i++) RiseAndFall(2 * kFar);
    ASSERT_EQ(s_.expected, 2 * kFar);
    s_.fell_ms -= REFAULT_MS;
    RiseAndFall(2 * kFar);
    EXPECT_EQ(s_.expected, 0u);
    RiseAndFall(2 * kFar);
    RiseAndFall(2 * kFar);
    EXPECT_EQ(s_.expected, 2 * kFar);
}

TEST_F(Swings, AreExpectedToBeAsHighAsTheHighest) {
    for (unsigned height : {2u, 2u, 3u, 2u, 4u, 2u}) RiseAndFall(height * kFar);
    EXPECT_EQ(s_.expected, 4 * kFar);
}

} // namespace
