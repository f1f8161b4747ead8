/* Runs of frees of a class that is cold. */
#include <gtest/gtest.h>

#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/slab/slab.h"
#include "hakmem/tls_front/steps.h"

namespace {

/* No look at the clock is due soon. */
std::vector<void *> take(size_t count, unsigned c = kClass) {
    std::vector<void *> blocks(count);
    for (void *&b : blocks) b = allocate(c);
    hak_front.heap->caps.until_look = 1000;
    return blocks;
}

bool free_on(void *block) { return hak_front_free_on(block, registry_word(block)); }

const list_use &use() { return hak_front.heap->use[kClass]; }

constexpr size_t kRun = 200;

TEST(Cold, TheFirstOfARunIsForTheFlowToSee) {
    in_a_thread([] {
        std::vector<void *> blocks = take(3);
        EXPECT_FALSE(free_on(blocks[0]));
        give(blocks[0]);
        EXPECT_TRUE(free_on(blocks[1]));
        void *again = allocate(kClass); /* ends it */
        EXPECT_FALSE(free_on(blocks[2]));
        give(blocks[2]);
        give(again);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Cold, EachBlockIsInItsSlabAtOnce) {
    in_a_thread([] {
        std::vector<void *> blocks = take(kRun);
        slab *s = hak_slab_of(blocks[0]);
        give(blocks[kRun - 1]);
        for (size_t i = kRun - 1; i-- > 0;) { /* each lower than any that is free */
            unsigned out = s->out;
            ASSERT_EQ(hak_slab_of(blocks[i]), s);
            EXPECT_TRUE(free_on(blocks[i])) << i;
            EXPECT_EQ(s->out, out - 1);
            EXPECT_TRUE(hak_slab_agrees(s));
            bool marked = block_is_marked(blocks[i], hak_front.heap->lists.cookie);
            EXPECT_EQ(marked, s->out != 0) << i; /* marks end with the life of the blocks */
        }
        EXPECT_EQ(hak_front.heap->lists.of[kClass].loaded, LIST_END);
        EXPECT_EQ(s->out, 0); /* which is why its slab is empty */
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Cold, TheyCountAsOthersDo) {
    in_a_thread([] {
        std::vector<void *> blocks = take(2 * FRONT_COLD_FREES);
        give(blocks[0]);
        uint32_t left = hak_front.heap->caps.until_look;
        EXPECT_EQ(use().frees, 1);
        hak_front.heap->use[kClass].rested = 3;
        EXPECT_TRUE(free_on(blocks[1]));
        EXPECT_EQ(use().frees, 2);
        EXPECT_EQ(use().rested, 0);
        EXPECT_EQ(hak_front.heap->caps.until_look, left - 1);
        /* The hot path counts down first, when it finds no room. */
        EXPECT_FALSE(front_push(blocks[2]));
        EXPECT_TRUE(free_on(blocks[2]));
        EXPECT_EQ(hak_front.heap->lists.of[kClass].room, 0);
        for (size_t i = 3; i < blocks.size(); i++) give(blocks[i]);
        EXPECT_EQ(use().frees, FRONT_COLD_FREES);
        give(allocate(kClass));
        EXPECT_EQ(use().cold, 0); /* warm */
    });
}

TEST(Cold, AClockThatIsDueIsLookedAt) {
    in_a_thread([] {
        std::vector<void *> blocks = take(3);
        give(blocks[0]);
        hak_front.heap->caps.until_look = 1;
        EXPECT_FALSE(free_on(blocks[1]));
        give(blocks[1]);
        EXPECT_GT(hak_front.heap->caps.until_look, 1u);
        give(blocks[2]);
    });
}

TEST(Cold, AClassThatIsWarmGetsItsList) {
    in_a_thread([] {
        std::vector<void *> blocks = take(3);
        give(blocks[0]);
        hak_front.heap->use[kClass].cold = 0;
        EXPECT_FALSE(free_on(blocks[1]));
        give(blocks[1]);
        give(blocks[2]);
    });
}

TEST(Cold, WhatWasTakenAheadGoesBackFirst) {
    for (unsigned c : {0u, kClass}) { /* with lists of its own for what is freed, and without */
        in_a_thread([c] {
            std::vector<void *> blocks = take(kRun, c);
            give(blocks[0]);
            void *ahead = blocks[1];
            block_link(ahead, LIST_END, hak_front.heap->lists.cookie);
            hak_front.heap->lists.of[c].loaded = ahead;
            EXPECT_FALSE(free_on(blocks[2]));
            give(blocks[2]);
            EXPECT_EQ(hak_front.heap->lists.of[c].loaded, LIST_END);
            for (size_t i = 3; i < kRun; i++) give(blocks[i]);
        });
    }
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Cold, AnothersBlockIsNoneOfThem) {
    in_a_thread([] {
        std::vector<void *> others = take(2);
        in_a_thread([&] {
            std::vector<void *> blocks = take(2);
            give(blocks[0]);
            EXPECT_FALSE(free_on(others[0]));
            EXPECT_TRUE(free_on(blocks[1]));
        });
        give(others[0]);
        give(others[1]);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Cold, WhatIsNoLiveBlockIsLeftToWhoReportsIt) {
    in_a_thread([] {
        std::vector<void *> blocks = take(4);
        give(blocks[0]);
        EXPECT_TRUE(free_on(blocks[1]));
        EXPECT_FALSE(free_on(blocks[1])); /* its mark and its bit */
        block_write_mark(blocks[1], 0);   /* its bit alone */
        EXPECT_FALSE(free_on(blocks[1]));
        block_link(blocks[1], LIST_END, hak_front.heap->lists.cookie);
        EXPECT_FALSE(free_on(static_cast<char *>(blocks[2]) + 16));
        EXPECT_FALSE(free_on(static_cast<char *>(blocks[2]) + 1));
        block_link(blocks[2], LIST_END, hak_front.heap->lists.cookie); /* its mark alone */
        EXPECT_FALSE(free_on(blocks[2]));
        block_write_mark(blocks[2], 0);
        give(blocks[2]);
        give(blocks[3]);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

/* Where the last block ends before the slab does. */
TEST(Cold, WhatLiesBehindTheLastBlockIsNone) {
    in_a_thread([] {
        unsigned c = 0;
        while (SLAB_BYTES % hak_size_class[c].block_bytes == 0) c++;
        std::vector<void *> blocks = take(2, c);
        give(blocks[0]);
        slab *s = hak_slab_of(blocks[1]);
        char *behind = slab_base(s) + s->capacity * hak_size_class[c].block_bytes;
        EXPECT_FALSE(free_on(behind));
        EXPECT_TRUE(free_on(blocks[1]));
    });
}

/* Nothing is served by lists that are hidden. */
TEST(Cold, NothingIsWhileListsAreHidden) {
    in_a_thread([] {
        std::vector<void *> blocks = take(3);
        give(blocks[0]);
        ASSERT_TRUE(front_enter());
        EXPECT_FALSE(free_on(blocks[1]));
        front_leave();
        EXPECT_TRUE(free_on(blocks[1]));
        give(blocks[2]);
    });
}

} // namespace
