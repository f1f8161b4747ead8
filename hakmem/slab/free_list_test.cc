/* A slab's free list: what comes back goes out again as it came, and is settled into bits; blocks
 * that were written to, or came back twice, are found whichever way they go. */
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "hakmem/slab/one_slab.h"

namespace {

class FreeList : public OneSlab {
  protected:
    void SetUp() override {
        OneSlab::SetUp();
        s_ = carve();
    }
    std::vector<void *> Take(unsigned want) {
        void *head = nullptr;
        unsigned taken = hak_slab_take(s_, want, &head, kCookie);
        std::vector<void *> blocks;
        for (; head != LIST_END; head = block_next(head)) {
            EXPECT_TRUE(block_is_marked(head, kCookie));
            blocks.push_back(head);
            if (blocks.size() > taken) break;
        }
        EXPECT_EQ(blocks.size(), taken);
        /* As the program has them. */
        for (void *block : blocks) *block_cookie(block) = 0;
        EXPECT_TRUE(hak_slab_agrees(s_));
        return blocks;
    }
    static void *Link(const std::vector<void *> &blocks) {
        for (size_t i = 0; i < blocks.size(); i++) {
            block_link(blocks[i], i + 1 < blocks.size() ? blocks[i + 1] : LIST_END, kCookie);
        }
        return blocks[0];
    }
    slab_result GiveFrom(void *head, void **rest, size_t *count) {
        slab_result result;
        *count = 0;
        *rest = hak_slab_give_list(s_, head, count, kCookie, &result);
        return result;
    }
    void Give(const std::vector<void *> &blocks) {
        void *rest;
        size_t count;
        ASSERT_EQ(GiveFrom(Link(blocks), &rest, &count), SLAB_OK);
        EXPECT_EQ(rest, LIST_END);
        EXPECT_EQ(count, blocks.size());
        EXPECT_TRUE(hak_slab_agrees(s_));
    }

    slab *s_ = nullptr;
};

using Blocks = std::vector<void *>;

TEST_F(FreeList, GoesOutAsItCame) {
    Blocks blocks = Take(30), others = Take(5);
    std::swap(blocks[3], blocks[20]);
    Give({blocks.begin() + 10, blocks.end()});
    Give({blocks.begin(), blocks.begin() + 10});
    EXPECT_EQ(s_->free_listed, 30);
    EXPECT_EQ(s_->out, 5);
    EXPECT_EQ(hak_slab_count_free(s_), s_->capacity - 5u);
    EXPECT_EQ(Take(30), blocks);
    EXPECT_EQ(s_->free_listed, 0);
    EXPECT_EQ(s_->out, 35);
}

TEST_F(FreeList, GoesOutWholeWhereItIsNotMuchMoreThanWanted) {
    Blocks blocks = Take(40);
    Give(blocks);
    EXPECT_EQ(Take(10), blocks);
}

TEST_F(FreeList, IsCutWhereItIsMuchMore) {
    Blocks blocks = Take(100);
    Give(blocks);
    EXPECT_EQ(Take(7), Blocks(blocks.begin(), blocks.begin() + 7));
    EXPECT_EQ(s_->free_listed, 93);
    EXPECT_EQ(s_->out, 7);
    EXPECT_EQ(Take(1), Blocks(blocks.begin() + 7, blocks.begin() + 8));
    EXPECT_EQ(Take(92), Blocks(blocks.begin() + 8, blocks.end()));
}

TEST_F(FreeList, ComesAfterWhatTheBitsAdd) {
    Blocks blocks = Take(3);
    Give(blocks);
    Blocks more = Take(10);
    ASSERT_EQ(more.size(), 10u);
    EXPECT_EQ(more[0], slab_base(s_) + 3 * 64);
    EXPECT_EQ(Blocks(more.end() - 3, more.end()), blocks);
    EXPECT_EQ(s_->high, 10);
}

TEST_F(FreeList, EndsWhereTheListLeavesTheSlab) {
    Blocks blocks = Take(3);
    alignas(16) char foreign[32];
    Link(blocks);
    block_link(foreign, LIST_END, kCookie);
    block_link(blocks[1], foreign, kCookie);
    void *rest;
    size_t count;
    EXPECT_EQ(GiveFrom(blocks[0], &rest, &count), SLAB_OK);
    EXPECT_EQ(rest, foreign);
    EXPECT_EQ(count, 2u);
    EXPECT_TRUE(hak_slab_agrees(s_));
    /* One of another slab alone gives nothing. */
    EXPECT_EQ(GiveFrom(foreign, &rest, &count), SLAB_OK);
    EXPECT_EQ(rest, foreign);
    EXPECT_EQ(count, 0u);
    EXPECT_EQ(Take(2), Blocks(blocks.begin(), blocks.begin() + 2));
}

TEST_F(FreeList, IsSettledIntoBits) {
    Blocks blocks = Take(200);
    std::reverse(blocks.begin(), blocks.end());
    Give({blocks.begin(), blocks.begin() + 150});
    hak_slab_settle(s_);
    EXPECT_EQ(s_->free_listed, 0);
    EXPECT_EQ(s_->out, 50);
    EXPECT_TRUE(hak_slab_agrees(s_));
    /* Lowest first: not as they came. */
    EXPECT_EQ(Take(1)[0], slab_base(s_) + 50 * 64);
    hak_slab_settle(s_); /* nothing to do */
    EXPECT_TRUE(hak_slab_agrees(s_));
}

TEST_F(FreeList, IsSettledBeforeBlocksGoOutAtRandom) {
    Blocks blocks = Take(300);
    Give({blocks.begin(), blocks.begin() + 100});
    uint64_t state = 1;
    void *head;
    unsigned free = s_->capacity - 200u;
    EXPECT_EQ(hak_slab_take_random(s_, s_->capacity, &head, kCookie, &state), free);
    EXPECT_EQ(s_->out, s_->capacity);
}

TEST_F(FreeList, HasAllBlocksOfAnEmptySlab) {
    Blocks blocks = Take(64);
    Give({blocks.begin(), blocks.begin() + 63});
    EXPECT_FALSE(hak_slab_end_list(s_));
    Give({blocks[63]});
    EXPECT_EQ(s_->free_listed, 64);
    EXPECT_TRUE(hak_slab_end_list(s_));
    hak_slab_uncarve(s_);
    EXPECT_EQ(s_->free_listed, 0);
    for (void *block : blocks) EXPECT_EQ(*block_cookie(block), 0u);
}

TEST_F(FreeList, EndsAtABlockThatWasWrittenTo) {
    expect_report("^hakmem: corrupted free block: block 0x[0-9a-f]+", [this] {
        Blocks blocks = Take(100);
        Give(blocks);
        *static_cast<void **>(blocks[3]) = &blocks;
        /* What comes before it is whole; what it led to is lost. */
        Blocks taken = Take(5);
        EXPECT_EQ(Blocks(taken.end() - 3, taken.end()), Blocks(blocks.begin(), blocks.begin() + 3));
        EXPECT_EQ(s_->free_listed, 0);
        EXPECT_EQ(s_->out, 102); /* two more by the bits */
    });
}

TEST_F(FreeList, WhoseFirstBlockWasWrittenToLeavesTheBits) {
    expect_report("^hakmem: corrupted free block: block 0x[0-9a-f]+", [this] {
        Blocks blocks = Take(100);
        Give(blocks);
        *block_cookie(blocks[0]) = 0;
        EXPECT_EQ(Take(5), Blocks({slab_base(s_) + 100 * 64, slab_base(s_) + 101 * 64,
                                   slab_base(s_) + 102 * 64, slab_base(s_) + 103 * 64,
                                   slab_base(s_) + 104 * 64}));
        EXPECT_EQ(s_->out, 105);
    });
}

TEST_F(FreeList, OneThatWasWrittenToIsNotGiven) {
    Blocks blocks = Take(3);
    Link(blocks);
    *block_cookie(blocks[1]) ^= 1;
    void *rest;
    size_t count;
    EXPECT_EQ(GiveFrom(blocks[0], &rest, &count), SLAB_CORRUPTED);
    EXPECT_EQ(rest, blocks[1]);
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(s_->out, 2);
    EXPECT_TRUE(hak_slab_agrees(s_));
}

TEST_F(FreeList, IsSettledUpToABlockThatWasWrittenTo) {
    expect_report("^hakmem: corrupted free block: block 0x[0-9a-f]+", [this] {
        Blocks blocks = Take(20);
        Give(blocks);
        *block_cookie(blocks[12]) = 0;
        hak_slab_settle(s_);
        EXPECT_EQ(s_->out, 8);
        EXPECT_TRUE(hak_slab_agrees(s_));
    });
}

/* The owner stopped in mid-step: that is no mistake of the program's. */
TEST_F(FreeList, IsSettledInSilenceInAForkedChild) {
    Blocks blocks = Take(20);
    Give(blocks);
    *block_cookie(blocks[12]) = 0;
    hak_slab_settle_forked(s_);
    EXPECT_EQ(s_->out, 8);
    EXPECT_TRUE(hak_slab_agrees(s_));
}

/* A mark that was written over hides that the block is free already. */
TEST_F(FreeList, OneThatIsTwiceInAListIsNamed) {
    Blocks blocks = Take(10);
    Link({blocks[0], blocks[1], blocks[2]});
    block_link(blocks[2], blocks[1], kCookie);
    void *rest;
    size_t count;
    EXPECT_EQ(GiveFrom(blocks[0], &rest, &count), SLAB_DOUBLE_FREE);
    EXPECT_EQ(rest, blocks[1]);
    EXPECT_EQ(count, 3u);
    EXPECT_EQ(s_->out, 7);
    EXPECT_TRUE(hak_slab_agrees(s_));
}

TEST_F(FreeList, OneThatIsHereAndInALongerListCountsOnce) {
    expect_report("^hakmem: double free: block 0x[0-9a-f]+", [this] {
        Blocks blocks = Take(3);
        void *rest;
        size_t count;
        Give({blocks[0], blocks[1]});
        Link({blocks[2], blocks[0]});
        block_link(blocks[0], blocks[2], kCookie);
        EXPECT_EQ(GiveFrom(blocks[2], &rest, &count), SLAB_DOUBLE_FREE);
        EXPECT_TRUE(hak_slab_agrees(s_));
    });
}

TEST_F(FreeList, OneThatIsHereAndComesAgainMakesNoSlabEmpty) {
    expect_report("^hakmem: double free: block 0x[0-9a-f]+", [this] {
        Blocks blocks = Take(3);
        void *rest;
        size_t count;
        Give({blocks[0], blocks[1]});
        /* Freed again, with its mark gone. It is counted once too often, and the third is out. */
        block_link(blocks[1], LIST_END, kCookie);
        EXPECT_EQ(GiveFrom(blocks[1], &rest, &count), SLAB_OK);
        EXPECT_EQ(s_->out, 0);
        EXPECT_FALSE(hak_slab_end_list(s_));
        EXPECT_GE(s_->out, 1);
        EXPECT_TRUE(hak_slab_agrees(s_));
        EXPECT_EQ(*block_cookie(blocks[2]), 0u);
    });
}

TEST_F(FreeList, OneThatAnotherThreadFreedAsWellIsFound) {
    expect_report("^hakmem: double free: block 0x[0-9a-f]+", [this] {
        Blocks blocks = Take(2);
        Give(blocks);
        unsigned w;
        uint64_t bit;
        ASSERT_EQ(hak_slab_find(s_, blocks[0], &w, &bit), SLAB_OK);
        *superslab_remote_word(ss_, 0, w) |= bit; /* as if both had found it live */
        hak_slab_collect(s_);
        EXPECT_LE(s_->out, 2);
        EXPECT_TRUE(hak_slab_agrees(s_));
    });
}

/* Each block is in one place at any time, whatever the order of what the owner and others do. */
TEST_F(FreeList, LosesNoneAndGivesNoneOutTwice) {
    std::mt19937_64 random(7);
    Blocks out;
    std::set<void *> held;
    for (int step = 0; step < 20000; step++) {
        size_t n = std::min<size_t>(out.size(), random() % 60);
        switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
            unsigned here = s_->capacity - s_->out;
            unsigned want = static_cast<unsigned>(random() % (step % 1000 < 100 ? 1000 : 20));
            Blocks taken = Take(want);
            ASSERT_GE(taken.size(), std::min(want, here));
            for (void *block : taken) ASSERT_TRUE(held.insert(block).second);
            out.insert(out.end(), taken.begin(), taken.end());
            break;
        }
        case 3: /* from another thread */
            for (; n > 50; n--) {
                held.erase(out.back());
                block_link(out.back(), LIST_END, kCookie);
                ASSERT_EQ(hak_slab_give_remote(out.back()), SLAB_OK);
                out.pop_back();
            }
            hak_slab_take_pending(&owner_);
            hak_slab_clear_pending(s_);
            hak_slab_collect(s_);
            break;
        case 4:
            if (random() % 8 == 0) hak_slab_settle(s_);
            break;
        default:
            std::shuffle(out.begin(), out.end(), random);
            if (n == 0) break;
            for (auto block = out.end() - static_cast<long>(n); block != out.end(); ++block) {
                held.erase(*block);
            }
            Give({out.end() - static_cast<long>(n), out.end()});
            out.resize(out.size() - n);
        }
        ASSERT_EQ(s_->out, out.size());
        ASSERT_EQ(hak_slab_end_list(s_), out.empty());
        if (out.empty()) {
            hak_slab_uncarve(s_);
            hak_slab_carve(s_, kClass, &owner_);
        }
        ASSERT_TRUE(hak_slab_agrees(s_)) << step;
    }
}

/* Whole words of blocks that were out are looked at one by one, as others are. */
TEST_F(FreeList, WhatWasWrittenToIsFoundWhenItsWordGoesOut) {
    expect_report("^hakmem: corrupted free block: block 0x[0-9a-f]+", [this] {
        Blocks blocks = Take(128);
        Give(blocks);
        hak_slab_settle(s_);
        *block_cookie(blocks[70]) = 1;
        blocks[70] = static_cast<char *>(blocks[127]) + 64; /* goes out in its place */
        Blocks taken = Take(128);
        std::sort(taken.begin(), taken.end());
        std::sort(blocks.begin(), blocks.end());
        EXPECT_EQ(taken, blocks);
    });
}

/* A list that leads out of its slab is not followed there. */
TEST_F(FreeList, DoesNotLeadElsewhere) {
    expect_report("^hakmem: corrupted free block: ", [this] {
        Blocks blocks = Take(100);
        Give(blocks);
        alignas(16) static char foreign[32];
        block_link(foreign, LIST_END, kCookie);
        block_link(blocks[2], foreign, kCookie);
        EXPECT_EQ(Take(5).size(), 5u); /* two by the bits */
        EXPECT_EQ(s_->out, 102);
    });
    expect_report("^hakmem: corrupted free block: ", [this] {
        Blocks blocks = Take(100);
        Give(blocks);
        alignas(16) static char foreign[32];
        block_link(foreign, LIST_END, kCookie);
        block_link(blocks[2], foreign, kCookie);
        hak_slab_settle(s_);
        EXPECT_EQ(s_->out, 97);
        EXPECT_TRUE(hak_slab_agrees(s_));
    });
}

} // namespace
