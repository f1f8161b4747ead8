/* Huge pages where a heap grows: which superslabs get them, and when they end. */
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/budget.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/shared_pool/pool.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/size_class/size_class.h"

namespace {

constexpr size_t kHeapSlabs = HUGE_HEAP_BYTES / SLAB_BYTES;
const unsigned kSmall = size_class_of(200);

/* What the kernel was told of the mapping that `address` lies in: "rd wr mr ... hg". */
std::string FlagsOf(const void *address) {
    std::ifstream smaps("/proc/self/smaps");
    auto at = reinterpret_cast<uintptr_t>(address);
    bool here = false;
    for (std::string line; std::getline(smaps, line);) {
        uintptr_t from = 0, to = 0;
        char dash = 0;
        std::istringstream range(line);
        if (range >> std::hex >> from >> dash >> to && dash == '-') here = from <= at && at < to;
        if (here && line.rfind("VmFlags:", 0) == 0) return line + " ";
    }
    return "";
}
bool AsksForHuge(const slab *s) { return FlagsOf(slab_base(s)).find(" hg ") != std::string::npos; }

size_t ResidentPages(const superslab *ss) {
    std::vector<unsigned char> pages(SUPERSLAB_BYTES / 4096);
    EXPECT_EQ(mincore(ss->base, SUPERSLAB_BYTES, pages.data()), 0);
    size_t n = 0;
    for (unsigned char page : pages) n += page & 1;
    return n;
}

class Huge : public testing::Test {
  protected:
    void SetUp() override {
        hak_shared_pool_trim(0);
        hak_huge_clock = [] { return uint64_t{0}; }; /* whatever the host makes of them */
        hak_pool.huge = {};
        if (!hak_os_has_huge()) GTEST_SKIP() << "the kernel gives no transparent huge pages";
    }
    void TearDown() override {
        hak_os_set_fault(nullptr);
        Drop(0);
        hak_shared_pool_trim(0);
        EXPECT_TRUE(hak_shared_pool_agrees());
    }
    slab *Take(unsigned c, bool grows) {
        slab *s = hak_shared_pool_take(c, &owner_, grows);
        EXPECT_NE(s, nullptr);
        slabs_.push_back(s);
        return s;
    }
    void Grow(size_t slabs) {
        while (slabs_.size() < slabs) Take(kSmall, true);
    }
    /* Gives back all slabs from number `keep` on, the newest first. */
    void Drop(size_t keep) {
        while (slabs_.size() > keep) {
            hak_shared_pool_give_empty(slabs_.back());
            slabs_.pop_back();
        }
    }
    static uint64_t ResidentBytes() {
        shared_pool_stats s;
        hak_shared_pool_stats(&s);
        return s.resident_bytes;
    }

    std::vector<slab *> slabs_;
    slab_owner owner_ = {};
};

TEST_F(Huge, ASmallHeapHasNone) {
    Grow(kHeapSlabs);
    for (slab *s : slabs_) EXPECT_FALSE(slab_superslab(s)->huge);
    EXPECT_FALSE(AsksForHuge(slabs_.back()));
}

TEST_F(Huge, ALargeHeapGrowsByWholeSuperslabs) {
    Grow(kHeapSlabs);
    uint64_t before = ResidentBytes();
    slab *s = Take(kSmall, true);
    EXPECT_TRUE(slab_superslab(s)->huge);
    EXPECT_TRUE(AsksForHuge(s));
    EXPECT_EQ(ResidentBytes(), before + SUPERSLAB_BYTES);
    /* The rest of it serves first, whoever asks. */
    EXPECT_EQ(slab_superslab(Take(size_class_of(48 * KiB), false)), slab_superslab(s));
    EXPECT_TRUE(hak_shared_pool_agrees());
}

TEST_F(Huge, NotForWhoeverMayTouchLittle) {
    Grow(kHeapSlabs);
    EXPECT_FALSE(slab_superslab(Take(kSmall, false))->huge);
    Drop(kHeapSlabs);
    hak_shared_pool_trim(0);
    EXPECT_FALSE(slab_superslab(Take(size_class_of(HUGE_BLOCK_MAX + 1), true))->huge);
    Drop(kHeapSlabs);
    hak_shared_pool_trim(0);
    EXPECT_TRUE(slab_superslab(Take(size_class_of(HUGE_BLOCK_MAX), true))->huge);
}

/* Slabs of 16 KiB blocks, all of which are outside, and so many pages of each block there. */
class Touched : public Huge {
  protected:
    void TearDown() override {
        for (slab *s : slabs_) s->out = 0;
        Huge::TearDown();
    }
    void Fill(size_t pages_a_block) {
        const unsigned c = size_class_of(kBlock);
        while (hak_pool.all.used < kHeapSlabs) {
            slab *s = Take(c, true);
            s->out = s->capacity;
            Touch(s, pages_a_block);
        }
    }
    static void Touch(slab *s, size_t pages_a_block) {
        for (size_t i = 0; i < s->capacity; i++) {
            std::memset(slab_base(s) + i * kBlock, 1, pages_a_block * 4 * KiB);
        }
    }
    /* The next superslab for small blocks gets huge pages. */
    bool NextIsHuge() {
        while (longest_run(~slab_superslab(slabs_.back())->used) != 0) Take(kSmall, true);
        return slab_superslab(Take(kSmall, true))->huge;
    }
    static constexpr size_t kBlock = 16 * KiB;
};

TEST_F(Touched, WhatLeavesPagesUntouchedKeepsSmallOnes) {
    Fill(3);
    EXPECT_FALSE(NextIsHuge());
    EXPECT_FALSE(NextIsHuge()) << "also when asked again";
    for (slab *s : slabs_) {
        if (s->out != 0) Touch(s, 4);
    }
    EXPECT_TRUE(NextIsHuge());
}

TEST_F(Touched, ATenthMayBeUntouched) {
    Fill(4);
    superslab *last = slab_superslab(slabs_.back());
    size_t looked_at = HUGE_SAMPLE_SLABS * SLAB_BYTES, most = looked_at / HUGE_UNTOUCHED;
    size_t gone = most / (4 * KiB) + 1;
    for (unsigned i = 0; i < gone; i++) {
        char *page = last->base + i * 16 * KiB; /* one of each block's */
        ASSERT_EQ(madvise(page, 4 * KiB, MADV_DONTNEED), 0);
    }
    EXPECT_FALSE(NextIsHuge());
    *(last->base) = 1;
    EXPECT_TRUE(NextIsHuge());
}

TEST_F(Touched, OnlySlabsWithoutFreeBlocksSayIt) {
    Fill(1);
    for (slab *s : slabs_) s->out--;
    EXPECT_TRUE(NextIsHuge());
}

TEST_F(Touched, AfterEightIsLookedAgain) {
    Fill(4);
    EXPECT_TRUE(NextIsHuge());
    for (slab *s : slabs_) {
        if (s->out != 0) hak_os_purge(slab_base(s), s->span * SLAB_BYTES);
    }
    for (int i = 0; i < HUGE_TRUSTED; i++) ASSERT_TRUE(NextIsHuge()) << i;
    EXPECT_FALSE(NextIsHuge());
}

TEST_F(Huge, WhatWasHugeAndGoesToAnotherUseIsSoNoLonger) {
    Grow(kHeapSlabs);
    superslab *ss = slab_superslab(Take(kSmall, true));
    Drop(kHeapSlabs);
    hak_shared_pool_trim(0); /* as a whole: it stays huge */
    EXPECT_TRUE(ss->huge);
    EXPECT_EQ(slab_superslab(Take(kSmall, false)), ss);
    EXPECT_FALSE(ss->huge);
    EXPECT_FALSE(AsksForHuge(slabs_.back()));
}

TEST_F(Huge, APartThatGoesBackComesFreeAndTheRestStays) {
    Grow(kHeapSlabs);
    slab *s = Take(kSmall, true);
    std::memset(slab_base(s), 0x5a, SLAB_BYTES);
    EXPECT_GT(hak_shared_pool_trim(0), SUPERSLAB_BYTES / 2);
    EXPECT_FALSE(slab_superslab(s)->huge);
    EXPECT_FALSE(AsksForHuge(s));
    EXPECT_EQ(ResidentPages(slab_superslab(s)), SLAB_BYTES / 4096);
    for (size_t i = 0; i < SLAB_BYTES; i++) ASSERT_EQ(slab_base(s)[i], 0x5a);
    /* What is taken there again are small pages. */
    slab *next = Take(kSmall, true);
    EXPECT_EQ(slab_superslab(next), slab_superslab(s));
    *slab_base(next) = 1;
    EXPECT_LE(ResidentPages(slab_superslab(s)), SLAB_BYTES / 4096 + 1);
}

TEST_F(Huge, AreNotCountedWhereTheKernelRefuses) {
    Grow(kHeapSlabs);
    hak_os_set_fault([](os_call call) { return call == OS_HUGE; });
    uint64_t before = ResidentBytes();
    slab *s = Take(kSmall, true);
    EXPECT_FALSE(slab_superslab(s)->huge);
    EXPECT_EQ(ResidentBytes(), before + SLAB_BYTES);
}

TEST_F(Huge, AreNotTakenWhereALimitLeavesNoRoomForAWholeOne) {
    Grow(kHeapSlabs);
    superslab *ss = slab_superslab(Take(kSmall, true));
    Drop(kHeapSlabs);
    hak_shared_pool_trim(0); /* empty, and huge when it is taken again */
    hak_budget_set_limit(hak_budget_used() + SUPERSLAB_BYTES / 2);
    uint64_t before = ResidentBytes();
    slab *s = Take(kSmall, true);
    hak_budget_set_limit(0);
    EXPECT_EQ(slab_superslab(s), ss);
    EXPECT_FALSE(ss->huge);
    EXPECT_FALSE(AsksForHuge(s));
    EXPECT_EQ(ResidentBytes(), before + SLAB_BYTES);
}

TEST_F(Huge, TheOptionsDecide) {
    options saved = hak_options;
    for (thp choice : {THP_NEVER, THP_ALWAYS}) {
        hak_options.thp = choice;
        EXPECT_FALSE(hak_os_has_huge());
    }
    hak_options = saved;
    hak_options.hugetlb = 1;
    EXPECT_FALSE(hak_os_has_huge());
    hak_options = saved;
    EXPECT_TRUE(hak_os_has_huge());
}

TEST_F(Huge, WhatWentInPartsIsAskedForAnew) {
    Grow(kHeapSlabs);
    slab *s = Take(kSmall, true);
    superslab *ss = slab_superslab(s);
    *slab_base(s) = 1;
    hak_shared_pool_trim(0);
    EXPECT_TRUE(ss->parted);
    Drop(kHeapSlabs);
    hak_shared_pool_trim(0);
    EXPECT_TRUE(ss->parted); /* the last part went, and not the tables of the others */
    s = Take(kSmall, true);
    ASSERT_EQ(slab_superslab(s), ss);
    EXPECT_FALSE(ss->parted);
    EXPECT_TRUE(ss->huge);
    EXPECT_TRUE(AsksForHuge(s));
    EXPECT_EQ(ResidentPages(ss), SUPERSLAB_BYTES / 4096); /* at the first touch */
    Drop(kHeapSlabs);
    hak_shared_pool_trim(0); /* as a whole */
    EXPECT_FALSE(ss->parted);
}

TEST_F(Huge, PartsWaitForTheTickWithinAShareOfWhatIsInUse) {
    constexpr size_t kHeap = 4 * RESIDENT_SLACK_SHARE * RESIDENT_SLACK_BYTES / SLAB_BYTES;
    /* The tests before wanted purged slabs back: more is kept. */
    constexpr size_t kKept = RESIDENT_FREE_BYTES + RESIDENT_EXTRA_BYTES + RESIDENT_SLACK_BYTES;
    constexpr size_t kParts = kKept / SLAB_BYTES + 64;
    Grow(kHeapSlabs + kHeap);
    hak_pool.policy.beside = hak_pool.policy.refaulted = 0;
    std::vector<slab *> kept;
    size_t parts = 0;
    for (slab *s : slabs_) {
        if (slab_superslab(s)->huge && s->index % 5 == 1 && parts < kParts) {
            hak_shared_pool_give_empty(s);
            parts++;
        } else {
            kept.push_back(s);
        }
    }
    slabs_ = kept;
    ASSERT_EQ(parts, kParts);
    shared_pool_stats before, after;
    hak_shared_pool_stats(&before);
    EXPECT_GE(before.resident_free_bytes, kParts * SLAB_BYTES);
    hak_shared_pool_tick(clock_ms());
    hak_shared_pool_stats(&after);
    EXPECT_LT(after.resident_free_bytes, before.resident_free_bytes);
}

uint64_t now_ns;
uint64_t slow_ns;

class Pace : public Huge {
  protected:
    void SetUp() override {
        Huge::SetUp();
        if (IsSkipped()) return;
        hak_huge_clock = [] { return now_ns += slow_ns; };
        slow_ns = HUGE_SLOW_NS + 1;
        Grow(kHeapSlabs);
    }
    /* How many superslabs from now on have small pages before one has a huge one. */
    size_t SmallOnes() {
        for (size_t n = 0;; n++) {
            superslab *ss = slab_superslab(Take(kSmall, true));
            while (slab_superslab(slabs_.back()) == ss && longest_run(~ss->used) != 0) {
                Take(kSmall, true);
            }
            if (ss->huge) return n;
        }
    }
};

TEST_F(Pace, AfterASlowOneSmallPagesServeForAWhile) {
    EXPECT_EQ(SmallOnes(), 0u);
    EXPECT_EQ(SmallOnes(), HUGE_PAUSE);
    EXPECT_EQ(SmallOnes(), 2 * HUGE_PAUSE);
    slow_ns = HUGE_SLOW_NS;
    EXPECT_EQ(SmallOnes(), 4 * HUGE_PAUSE);
    EXPECT_EQ(SmallOnes(), 0u);
    slow_ns = HUGE_SLOW_NS + 1;
    EXPECT_EQ(SmallOnes(), 0u);
    EXPECT_EQ(SmallOnes(), HUGE_PAUSE) << "as if none had been slow before";
}

TEST_F(Pace, ThePauseIsBounded) {
    for (unsigned pause = 0; pause < HUGE_PAUSE_MAX; pause = hak_pool.huge.next) {
        hak_pool.huge.left = 0;
        SmallOnes();
    }
    EXPECT_EQ(SmallOnes(), HUGE_PAUSE_MAX / 2);
    EXPECT_EQ(SmallOnes(), HUGE_PAUSE_MAX);
    EXPECT_EQ(SmallOnes(), HUGE_PAUSE_MAX);
}

TEST_F(Pace, OneThatDidNotComeSaysNothing) {
    hak_os_set_fault([](os_call call) { return call == OS_POPULATE; });
    EXPECT_EQ(SmallOnes(), 0u);
    EXPECT_EQ(SmallOnes(), 0u);
}

struct superslab *seen;

TEST_F(Pace, NobodyTakesOfOneThatIsOnItsWay) {
    static slab_owner owner = {};
    hak_huge_clock = [] {
        if (seen == nullptr) {
            EXPECT_TRUE(hak_pool.huge.trying);
            EXPECT_TRUE(hak_shared_pool_agrees());
            slab *other = hak_shared_pool_take(kSmall, &owner, true);
            seen = slab_superslab(other);
            EXPECT_FALSE(seen->huge) << "one at a time";
            hak_shared_pool_give_empty(other);
        }
        return uint64_t{0};
    };
    superslab *ss = slab_superslab(Take(kSmall, true));
    EXPECT_TRUE(ss->huge);
    EXPECT_NE(seen, nullptr);
    EXPECT_NE(seen, ss);
    EXPECT_FALSE(hak_pool.huge.trying);
    EXPECT_EQ(ss->moving, 0u);
}

TEST_F(Pace, AForkedChildWaitsForNone) {
    EXPECT_EXIT(
        {
            hak_pool.huge.trying = true; /* in a thread that the child does not have */
            hak_shared_pool_repair(&owner_);
            superslab *ss = slab_superslab(Take(kSmall, true));
            _exit(ss->huge ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

} // namespace
