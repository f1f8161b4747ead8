/* Lists on their way back to their slabs, and those that the program wrote to: reported, and the
 * rest of them dropped. */
#include "hakmem/tls_front/bin.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "hakmem/config/config.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/steps.h"

namespace {

constexpr unsigned kTiny = 0; /* 16 bytes: blocks share lines */
constexpr unsigned kFour = 59;

/* The list of these blocks, as lists are. */
void *list_of(const std::vector<void *> &blocks) {
    for (size_t i = 0; i < blocks.size(); i++) {
        void *next = i + 1 < blocks.size() ? blocks[i + 1] : LIST_END;
        block_link(blocks[i], next, hak_front.heap->lists.cookie);
    }
    return blocks[0];
}

/* Two blocks of one slab of a thread that goes on living; class `c`. */
std::vector<void *> anothers_blocks(unsigned c) {
    static std::vector<void *> blocks;
    static std::atomic<bool> there{false};
    std::thread([c] {
        hak_front_start();
        /* The first of the slab stays with the other: what is freed never empties it. */
        for (int i = 0; i < 3; i++) blocks.push_back(allocate(c));
        there = true;
        for (;;) pause();
    }).detach();
    while (!there) sched_yield();
    return {blocks[1], blocks[2]};
}

constexpr char kCorrupted[] = "^hakmem: corrupted free block: ";

TEST(Bin, OfAnotherClassAreNotReturned) {
    expect_heap_report(kCorrupted, [](heap *heap) {
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of({allocate(kClass + 4)})), 0u);
    });
    expect_heap_report(kCorrupted, [](heap *heap) {
        EXPECT_TRUE(hak_bin_return_one(heap, kClass, allocate(kClass + 4)));
    });
    expect_heap_report(kCorrupted, [](heap *heap) {
        chain other = {list_of({allocate(kClass + 4)}), 1};
        EXPECT_FALSE(hak_bin_hand_over(heap, kClass, other));
    });
    expect_heap_report(kCorrupted, [](heap *heap) {
        void *own = allocate(kTiny);
        chain kept = hak_bin_keep_own(heap, kTiny, list_of({own, allocate(kClass)}));
        EXPECT_EQ(kept.head, own);
        EXPECT_EQ(kept.count, 1u);
        EXPECT_EQ(block_next(own), LIST_END);
    });
}

TEST(Bin, ThatGoToOthersAreLookedAtThere) {
    expect_heap_report(kCorrupted, [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        list_of(blocks);
        *block_cookie(blocks[1]) ^= 1;
        EXPECT_TRUE(hak_bin_hand_over(heap, kClass, {blocks[0], 2}));
        EXPECT_EQ(hak_transfer_bytes(), 128u);
        EXPECT_EQ(allocate(kClass), blocks[0]);
        EXPECT_EQ(hak_transfer_bytes(), 0u);
        EXPECT_NE(allocate(kClass), blocks[1]);
    });
    expect_heap_report(kCorrupted, [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kTiny);
        list_of(blocks);
        *block_cookie(blocks[1]) ^= 1;
        EXPECT_EQ(hak_bin_keep_own(heap, kTiny, blocks[0]).count, 0u);
    });
}

TEST(Bin, OfAnothersBlocksStopWhereTheyAreBroken) {
    expect_heap_report(kCorrupted, [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        list_of(blocks);
        *block_cookie(blocks[1]) ^= 1;
        EXPECT_EQ(hak_bin_return(heap, kClass, blocks[0]), 64u);
    });
    expect_heap_report("^hakmem: invalid free: ", [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        void *inside = static_cast<char *>(blocks[0]) + 16;
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of({inside, blocks[1]})), 0u);
    });
    expect_heap_report("^hakmem: double free: ", [](heap *heap) {
        std::vector<void *> blocks = anothers_blocks(kClass);
        EXPECT_EQ(hak_slab_give_remote(blocks[0]), SLAB_OK);
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of({blocks[0]})), 64u);
    });
}

/* What malloc takes after `block` was freed to an empty list: the block itself, if that stayed. */
void *take_after(void *block) {
    while (front_pop(kTiny << CLASS_SCALE) != nullptr) {
    }
    give(block);
    return allocate(kTiny);
}

TEST(Bin, OfListsThatAreOwnForLongOneInAFewIsLookedAt) {
    expect_heap_report("^$", [](heap *heap) {
        void *theirs = anothers_blocks(kTiny)[0];
        warm_up(kTiny);
        void *own = take_after(allocate(kTiny));
        heap->own_lists[kTiny] = 0;
        for (int round = 0; round < 3; round++) {
            int lists = round == 0 ? FRONT_OWN_LISTS : 1;
            for (int i = 0; i < lists; i++) EXPECT_EQ(take_after(own), own);
            EXPECT_EQ(heap->own_lists[kTiny], FRONT_OWN_LISTS);
            for (int i = 0; i < FRONT_OWN_SKIPPED; i++) EXPECT_EQ(take_after(theirs), theirs);
        }
        EXPECT_NE(take_after(theirs), theirs) << "it went home";
        EXPECT_EQ(heap->own_lists[kTiny], 0);
        EXPECT_EQ(take_after(own), own);
        EXPECT_EQ(heap->own_lists[kTiny], 1);
        hak_front_end();
        std::thread([=] {
            ASSERT_TRUE(hak_front_start());
            EXPECT_EQ(hak_front.heap, heap);
            EXPECT_EQ(heap->own_lists[kTiny], 0) << "of another thread";
        }).join();
    });
}

TEST(Bin, AnothersBlocksGoBackWordByWord) {
    expect_heap_report("^$", [](heap *heap) {
        static std::vector<void *> blocks;
        static std::atomic<bool> there{false};
        std::thread([] {
            hak_front_start();
            for (int i = 0; i < 200; i++) blocks.push_back(allocate(kClass));
            there = true;
            for (;;) pause();
        }).detach();
        while (!there) sched_yield();
        slab *of_all = hak_slab_of(blocks[0]);
        unsigned before = hak_slab_count_free(of_all);
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of(blocks)), 200 * 64u);
        EXPECT_EQ(hak_slab_count_free(of_all), before + 200);
    });
}

TEST(Bin, ABlockThatIsInItsSlabIsNotGivenAgain) {
    expect_heap_report("^hakmem: double free: ", [](heap *heap) {
        void *kept = allocate(kClass), *freed = allocate(kClass);
        EXPECT_TRUE(hak_bin_return_one(heap, kClass, freed));
        EXPECT_TRUE(hak_bin_return_one(heap, kClass, freed));
        give(kept);
    });
}

TEST(Bin, TheWarmPoolIsToldOfAListThatWentBack) {
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        heap *heap = hak_front.heap;
        std::vector<void *> blocks;
        for (int i = 0; i < 4; i++) blocks.push_back(allocate(kFour));
        slab *s = hak_slab_of(blocks[0]);
        ASSERT_EQ(hak_slab_of(blocks[3]), s);
        EXPECT_EQ(hak_warm_pool_peek(&heap->warm, kFour), nullptr) << "it is full";
        EXPECT_EQ(hak_bin_return(heap, kFour, list_of({blocks[0], blocks[1]})), 2 * 16 * KiB);
        EXPECT_EQ(hak_warm_pool_peek(&heap->warm, kFour), s);
        hak_bin_return(heap, kFour, list_of({blocks[2], blocks[3]}));
        EXPECT_EQ(hak_warm_pool_peek(&heap->warm, kFour), nullptr) << "it is empty";
        hak_front_end();
    }).join();
}

/* They were the last blocks outside of a slab of a thread that has ended. */
TEST(Bin, ASlabOfNobodyEndsWithTheListThatEmptiesIt) {
    std::thread([] {
        ASSERT_TRUE(hak_front_start());
        std::vector<void *> blocks;
        std::thread([&] {
            ASSERT_TRUE(hak_front_start());
            for (int i = 0; i < 3; i++) blocks.push_back(allocate(kClass));
            hak_front_end();
        }).join();
        ASSERT_TRUE(hak_shared_pool_is_orphan(hak_slab_of(blocks[0])));
        hak_bin_return(hak_front.heap, kClass, list_of(blocks));
        EXPECT_EQ(hak_slab_of(blocks[0]), nullptr);
        EXPECT_EQ(registry_word(blocks[0]), WORD_UNUSED);
        hak_front_end();
    }).join();
}

TEST(Bin, ListsOfEachOrderAreCounted) {
    in_a_thread([] {
        heap *heap = hak_front.heap;
        std::vector<void *> blocks, mixed;
        for (unsigned i = 0; i < 4 * hak_size_class[kClass].capacity; i++) {
            blocks.push_back(allocate(kClass));
        }
        flush();
        size_t stride = blocks.size() / 8 + 1; /* runs, and blocks that stand alone */
        for (size_t first = 0; first < stride; first++) {
            for (size_t i = first; i < blocks.size(); i += stride) mixed.push_back(blocks[i]);
        }
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of(mixed)), mixed.size() * 64);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

/* Two slabs, and blocks of theirs in turn: each stands alone. */
std::pair<std::vector<void *>, std::vector<void *>> of_two_slabs() {
    std::vector<void *> of[2];
    for (unsigned i = 0; i < 2 * hak_size_class[kClass].capacity; i++) {
        void *block = allocate(kClass);
        of[hak_slab_of(block) != hak_slab_of(of[0].empty() ? block : of[0][0])].push_back(block);
    }
    flush();
    return {of[0], of[1]};
}

TEST(Bin, ABlockThatStandsAloneGoesBackOnce) {
    expect_heap_report("^hakmem: double free: [^\n]*\n$", [](heap *heap) {
        auto [one, other] = of_two_slabs();
        hak_bin_return(heap, kClass, list_of({one[0], other[0]}));
        EXPECT_EQ(hak_bin_return(heap, kClass, list_of({one[1], other[1], one[0], other[2]})),
                  128u);
    });
}

TEST(Bin, ABlockThatStandsAloneMustBeWhole) {
    expect_heap_report(kCorrupted, [](heap *heap) {
        auto [one, other] = of_two_slabs();
        void *list = list_of({one[0], other[0], one[1], other[1]});
        *block_cookie(one[1]) ^= 1;
        EXPECT_EQ(hak_bin_return(heap, kClass, list), 128u);
    });
}

/* The slab ends with the first, which comes once more. */
TEST(Bin, ABlockOfASlabThatEndedMeanwhileIsReported) {
    expect_heap_report(kCorrupted, [](heap *heap) {
        std::vector<void *> blocks;
        for (int i = 0; i < 8; i++) blocks.push_back(allocate(kFour));
        flush();
        slab *ends = hak_slab_of(blocks[0]);
        ASSERT_EQ(hak_slab_of(blocks[3]), ends);
        ASSERT_NE(hak_slab_of(blocks[4]), ends);
        hak_bin_return(heap, kFour, list_of({blocks[1], blocks[2], blocks[3]}));
        ASSERT_EQ(ends->out, 1u);
        list_of({blocks[4], blocks[0]});
        block_link(blocks[0], blocks[4], heap->lists.cookie);
        EXPECT_EQ(hak_bin_return(heap, kFour, blocks[0]), 2 * 16 * KiB);
        EXPECT_EQ(hak_slab_of(blocks[0]), nullptr);
    });
}

TEST(Bin, AnothersBlockGoesBackOnceInAList) {
    expect_heap_report("^hakmem: double free: [^\n]*\n$", [](heap *heap) {
        void *block = anothers_blocks(kClass)[0];
        block_link(block, block, heap->lists.cookie);
        EXPECT_EQ(hak_bin_return(heap, kClass, block), 64u);
    });
}

} // namespace
