/* The marks of free blocks in their slab: looked at when a block goes out, believed of no earlier
 * life and of no slab that a fork may have torn. */
#include <gtest/gtest.h>

#include <vector>

#include "hakmem/slab/one_slab.h"

namespace {

class Marks : public OneSlab {
  protected:
    static std::vector<void *> take(slab *s, unsigned want) {
        void *head = nullptr;
        hak_slab_take(s, want, &head, kCookie);
        std::vector<void *> blocks;
        for (; head != LIST_END; head = block_next(head)) blocks.push_back(head);
        return blocks;
    }
    /* A block that comes back as from a list. */
    static void give(slab *s, void *block) {
        block_link(block, LIST_END, kCookie);
        EXPECT_EQ(hak_slab_give(s, block), SLAB_OK);
    }
};

TEST_F(Marks, AreLookedAtAlsoAfterAFork) {
    for (int forks = 0; forks < 2; forks++) {
        slab *s = carve();
        std::vector<void *> blocks = take(s, 3);
        for (void *block : blocks) {
            give(s, block);
            *static_cast<int *>(block) ^= 1;
            EXPECT_DEATH(take(s, 1), "^hakmem: corrupted free block: ") << forks;
            *static_cast<int *>(block) ^= 1;
            EXPECT_EQ(take(s, 1), std::vector<void *>{block});
        }
        for (void *block : blocks) give(s, block);
        hak_slab_uncarve(s);
        hak_slab_forked();
    }
}

TEST_F(Marks, OfBlocksThatWereTakenOneByOneAreLookedAt) {
    slab *s = carve();
    std::vector<void *> blocks;
    for (int i = 0; i < 3; i++) blocks.push_back(take(s, 1)[0]);
    EXPECT_EQ(s->high, 3);
    give(s, blocks[2]);
    *static_cast<int *>(blocks[2]) ^= 1;
    EXPECT_DEATH(take(s, 1), "^hakmem: corrupted free block: ");
    *static_cast<int *>(blocks[2]) ^= 1;
    give(s, blocks[0]);
    give(s, blocks[1]);
    hak_slab_uncarve(s);
}

TEST_F(Marks, OfASlabThatAForkFoundAreNotLookedAt) {
    slab *s = carve();
    std::vector<void *> blocks = take(s, 3);
    give(s, blocks[1]);
    *block_cookie(blocks[1]) = 0;
    hak_slab_forked();
    EXPECT_EQ(take(s, 1), std::vector<void *>{blocks[1]});
    for (void *block : blocks) give(s, block);
    hak_slab_uncarve(s);
}

TEST_F(Marks, DoNotComeBackToWhatWasWrittenTo) {
    slab *s = carve();
    std::vector<void *> blocks = take(s, 3);
    for (int i = 1; i < 3; i++) give(s, blocks[i]);
    hak_slab_set_checked(s);
    /* The page went with both marks, and one of the blocks was written to since. */
    for (int i = 1; i < 3; i++) block_link(blocks[i], nullptr, 0);
    for (int i = 1; i < 3; i++) *block_cookie(blocks[i]) = 0;
    static_cast<int *>(blocks[2])[0] = 7;
    hak_slab_restore_marks(s, kCookie);
    EXPECT_FALSE(s->checked);
    EXPECT_TRUE(block_is_marked(blocks[1], kCookie));
    EXPECT_FALSE(block_is_marked(blocks[2], kCookie));
    EXPECT_DEATH(take(s, 2), "^hakmem: corrupted free block: ");
    static_cast<int *>(blocks[2])[0] = 0;
    give(s, blocks[0]);
    hak_slab_uncarve(s);
}

TEST_F(Marks, ABlockWithoutOneStaysOutForEver) {
    expect_report("^hakmem: corrupted free block: ", [this] {
        slab *s = carve();
        std::vector<void *> blocks = take(s, 3);
        give(s, blocks[1]);
        *block_cookie(blocks[1]) ^= 1;
        EXPECT_EQ(take(s, 1).size(), 1u);
        EXPECT_EQ(s->out, 4);
        EXPECT_TRUE(hak_slab_agrees(s));
    });
}

TEST_F(Marks, OfAListAreLookedAt) {
    slab *s = carve();
    std::vector<void *> blocks = take(s, 3);
    for (size_t i = 0; i < 3; i++) block_link(blocks[i], i < 2 ? blocks[i + 1] : LIST_END, kCookie);
    *block_cookie(blocks[1]) ^= 1;
    size_t count = 0;
    slab_result result;
    EXPECT_EQ(hak_slab_give_list(s, blocks[0], &count, kCookie, &result), blocks[1]);
    EXPECT_EQ(result, SLAB_CORRUPTED);
    EXPECT_EQ(count, 1u);
    EXPECT_TRUE(hak_slab_agrees(s));
}

TEST_F(Marks, ABlockThatCameBackTwiceCountsOnce) {
    expect_report("^hakmem: double free: ", [this] {
        slab *s = carve();
        std::vector<void *> blocks = take(s, 3);
        unsigned w;
        uint64_t bit;
        ASSERT_EQ(hak_slab_find(s, blocks[1], &w, &bit), SLAB_OK);
        *superslab_remote_word(ss_, 0, w) |= bit;
        *superslab_free_word(ss_, 0, w) |= bit; /* as if both had found it live */
        s->out--;
        EXPECT_EQ(hak_slab_collect(s), 0u);
        EXPECT_EQ(s->out, 2);
        EXPECT_TRUE(hak_slab_agrees(s));
    });
}

TEST_F(Marks, EndWithTheBlocks) {
    slab *s = carve();
    std::vector<void *> blocks = take(s, 200);
    for (void *block : blocks) give(s, block);
    hak_slab_uncarve(s);
    for (void *block : blocks) EXPECT_EQ(*block_cookie(block), 0u);
}

} // namespace
