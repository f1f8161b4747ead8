/* Pages before they are needed: at once, lazily, adaptively. */
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/size_class/size_class.h"

namespace {

int asked; /* calls that populate */

bool count_populate(os_call call) {
    if (call == OS_POPULATE) asked++;
    return false;
}

bool refuse_populate(os_call call) { return call == OS_POPULATE; }

shared_pool_stats stats() {
    shared_pool_stats s;
    hak_shared_pool_stats(&s);
    return s;
}

bool is_resident(const slab *s) {
    std::vector<unsigned char> pages(SLAB_BYTES / static_cast<size_t>(sysconf(_SC_PAGESIZE)));
    if (mincore(slab_base(s), SLAB_BYTES, pages.data()) != 0) return false;
    for (unsigned char p : pages) {
        if ((p & 1) == 0) return false;
    }
    return true;
}

/* Each test has its class, as what was asked for a class stays. */
class Prewarm : public testing::Test {
  protected:
    void SetUp() override {
        hak_os_set_fault(count_populate);
        asked = 0;
        hak_shared_pool_release_address_space();
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        for (slab *s : slabs_) hak_shared_pool_give_empty(s);
        hak_budget_set_limit(0);
        EXPECT_TRUE(hak_shared_pool_agrees());
    }
    void Take(unsigned c, int count) {
        for (int i = 0; i < count; i++) {
            slab *s = hak_shared_pool_take(c, &owner_, false);
            ASSERT_NE(s, nullptr);
            EXPECT_EQ(s->class_index, c);
            slabs_.push_back(s);
        }
    }
    std::vector<slab *> slabs_;
    slab_owner owner_ = {};
};

TEST_F(Prewarm, IsThereAtOnce) {
    unsigned c = size_class_of(64);
    ASSERT_TRUE(hak_shared_pool_prewarm(c, 1));
    EXPECT_EQ(asked, 1);
    Take(c, 32);
    for (slab *s : slabs_) EXPECT_TRUE(is_resident(s));
}

TEST_F(Prewarm, WhatNobodyTookGoesBackWithAllThatIsFree) {
    unsigned c = size_class_of(48);
    uint64_t before = stats().resident_bytes;
    ASSERT_TRUE(hak_shared_pool_prewarm(c, 2));
    Take(c, 1);
    EXPECT_GE(stats().resident_bytes, before + 2 * SUPERSLAB_BYTES);
    hak_shared_pool_trim(0);
    EXPECT_EQ(stats().resident_bytes, before + SLAB_BYTES);
    EXPECT_TRUE(hak_shared_pool_agrees());
    slab *in_use = slabs_.back();
    void *block = nullptr;
    ASSERT_EQ(hak_slab_take(in_use, 1, &block, 0), 1u);
    hak_shared_pool_orphan(in_use);
    slabs_.pop_back();
    ASSERT_TRUE(hak_shared_pool_prewarm(c, 1)) << "and may come again";
    hak_shared_pool_trim(0);
    EXPECT_EQ(in_use->out, 1) << "what is in use stays";
    Take(c, 1);
    ASSERT_EQ(slabs_.back(), in_use);
    ASSERT_EQ(hak_slab_give(in_use, block), SLAB_OK);
    Take(c, 40);
    hak_shared_pool_release_address_space();
    EXPECT_TRUE(hak_shared_pool_agrees());
}

TEST_F(Prewarm, WhatNobodyTookServesOthersUnderALimit) {
    unsigned c = size_class_of(80), other = size_class_of(48 * KiB);
    hak_shared_pool_trim(0);
    hak_budget_set_limit(hak_budget_used() + SUPERSLAB_BYTES + 1 * MiB);
    ASSERT_TRUE(hak_shared_pool_prewarm(c, 1));
    while (slab *s = hak_shared_pool_take(other, &owner_, false)) slabs_.push_back(s);
    size_t few = slabs_.size();
    hak_shared_pool_trim(0); /* as a request that fails does */
    Take(other, 8);
    EXPECT_EQ(slabs_.size(), few + 8);
}

TEST_F(Prewarm, OfALazyKindComesWhenItsClassNeedsSlabs) {
    unsigned c = size_class_of(128), other = size_class_of(256);
    uint64_t superslabs = stats().superslabs;
    hak_shared_pool_prewarm_lazily(c, 2);
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(stats().superslabs, superslabs);
    Take(other, 1);
    EXPECT_EQ(asked, 0);
    Take(c, 1);
    EXPECT_EQ(asked, 1);
    Take(c, 31);
    EXPECT_EQ(asked, 1);
    for (size_t i = 1; i < slabs_.size(); i++) EXPECT_TRUE(is_resident(slabs_[i])) << i;
    Take(c, 32);
    EXPECT_EQ(asked, 2);
    Take(c, 40); /* all that was owed has come */
    EXPECT_EQ(asked, 2);
}

TEST_F(Prewarm, OfALazyKindDoesWithoutWhatTheKernelRefuses) {
    unsigned c = size_class_of(512);
    hak_os_set_fault(refuse_populate);
    hak_shared_pool_prewarm_lazily(c, 1);
    Take(c, 32);
    EXPECT_FALSE(is_resident(slabs_[31]));
}

TEST_F(Prewarm, OfAnAdaptiveKindGrowsWithTheNeed) {
    unsigned c = size_class_of(1024);
    hak_shared_pool_prewarm_adaptively(c, 4);
    Take(c, 1);
    EXPECT_EQ(asked, 0) << "one need says nothing";
    Take(c, 127);
    /* 1, 2, 4, 8, 16 units, the rest of the superslab each time at most. */
    EXPECT_GE(asked, 5);
    EXPECT_LE(asked, 12);
    size_t resident = 0;
    for (slab *s : slabs_) resident += is_resident(s);
    EXPECT_GE(resident, 100u);
}

TEST_F(Prewarm, OfAnAdaptiveKindIsBounded) {
    unsigned c = size_class_of(768);
    hak_shared_pool_prewarm_adaptively(c, 1);
    Take(c, 200);
    size_t resident = 0;
    for (slab *s : slabs_) resident += is_resident(s);
    EXPECT_GE(resident, 16u);
    EXPECT_LE(resident, 64u); /* a superslab's worth a second, and this takes no two */
    hak_shared_pool_prewarm_adaptively(c, 0);
    int before = asked;
    Take(c, 100);
    EXPECT_EQ(asked, before);
}

TEST_F(Prewarm, KeepsWithinTheLimit) {
    unsigned c = size_class_of(640);
    hak_budget_set_limit(hak_budget_used() + 1 * MiB);
    EXPECT_FALSE(hak_shared_pool_prewarm(c, 1));
    hak_shared_pool_prewarm_adaptively(c, 4);
    while (slab *s = hak_shared_pool_take(c, &owner_, false)) slabs_.push_back(s);
    EXPECT_LE(hak_budget_used(), hak_budget_limit() + 1 * MiB); /* metadata comes beyond it */
    EXPECT_LE(slabs_.size(), 16u);
}

} // namespace
