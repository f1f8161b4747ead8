/* A class's two lists: what is freed is loaded, a full list is put aside and loaded again. */
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "hakmem/tls_front/steps.h"

namespace {

/* All that the lists of class `c` have at hand. */
std::vector<void *> empty_lists(unsigned c) {
    std::vector<void *> blocks;
    for (;;) {
        void *block = front_pop(c << CLASS_SCALE);
        if (block == nullptr) block = front_reload(c << CLASS_SCALE);
        if (block == nullptr) return blocks;
        blocks.push_back(block);
    }
}

TEST(Loaded, GivesTheBlockThatWasFreedLast) {
    in_a_thread([] {
        warm_up(kClass);
        void *a = allocate(kClass), *b = allocate(kClass);
        make_room(kClass);
        EXPECT_TRUE(front_push(a));
        EXPECT_TRUE(front_push(b));
        EXPECT_EQ(front_pop(kClass << CLASS_SCALE), b);
        EXPECT_EQ(*block_cookie(b), 0u);
        EXPECT_EQ(front_pop(kClass << CLASS_SCALE), a);
        give(a);
        give(b);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

/* 16 KiB: lists of a few blocks. */
constexpr unsigned kAlone = 56;

/* The blocks of a full list that was put aside, and then one that is loaded; `others` are out. */
std::vector<void *> put_one_list_aside(std::vector<void *> *others) {
    warm_up(kAlone);
    *others = empty_lists(kAlone);
    list_pair *list = &hak_front.heap->lists.of[kAlone];
    EXPECT_EQ(list_room(list, &hak_front.heap->use[kAlone]), list->cap);
    std::vector<void *> blocks;
    while (blocks.size() < list->cap + 1u) blocks.push_back(allocate(kAlone));
    for (void *b : empty_lists(kAlone)) others->push_back(b);
    EXPECT_EQ(front_reload(kAlone << CLASS_SCALE), nullptr) << "nothing was put aside";
    make_room(kAlone);
    for (void *b : blocks) give(b);
    return blocks;
}

TEST(Loaded, AFullListIsPutAsideAndLoadedAgain) {
    in_a_thread([] {
        std::vector<void *> others, blocks = put_one_list_aside(&others);
        list_pair *list = &hak_front.heap->lists.of[kAlone];
        void *last = blocks.back(), *aside = blocks[blocks.size() - 2];
        EXPECT_EQ(list->loaded, last);
        EXPECT_EQ(list->previous, aside);
        EXPECT_EQ(list->room, list->cap - 1);
        EXPECT_EQ(front_pop(kAlone << CLASS_SCALE), last);
        EXPECT_EQ(front_pop(kAlone << CLASS_SCALE), nullptr);
        uint64_t refills = hak_front.heap->refills;
        EXPECT_EQ(front_reload(kAlone << CLASS_SCALE), aside);
        EXPECT_EQ(*block_cookie(aside), 0u);
        EXPECT_EQ(list->previous, LIST_END);
        EXPECT_EQ(list_room(list, &hak_front.heap->use[kAlone]), 1);
        EXPECT_EQ(hak_front.heap->refills, refills + 1);
        EXPECT_EQ(hak_front.busy, 0u);
        others.insert(others.end(), {last, aside});
        for (void *b : others) give(b);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Loaded, AReloadWaitsForWhatIsDue) {
    in_a_thread([] {
        std::vector<void *> others;
        put_one_list_aside(&others);
        constexpr uint32_t kScaled = kAlone << CLASS_SCALE;
        heap *heap = hak_front.heap;
        EXPECT_EQ(front_reload(kScaled), nullptr) << "there is a loaded one";
        others.push_back(front_pop(kScaled));
        ASSERT_NE(others.back(), nullptr);
        heap->caps.until_look = list_weight(&heap->lists.of[kAlone]);
        EXPECT_EQ(front_reload(kScaled), nullptr) << "a sweep is due";
        heap->caps.until_look = FRONT_LOOK_CALLS;
        heap->use[kAlone].swinging = true;
        EXPECT_EQ(front_reload(kScaled), nullptr) << "the cap may grow";
        heap->use[kAlone].swinging = false;
        ASSERT_TRUE(front_enter());
        EXPECT_EQ(front_reload(kScaled), nullptr) << "in a slow path";
        front_leave();
        others.push_back(front_reload(kScaled));
        EXPECT_NE(others.back(), nullptr);
        for (void *b : others) give(b);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Loaded, BlocksThatShareALineAreSortedFirst) {
    in_a_thread([] {
        for (unsigned c : {LINE_CLASSES - 1u, LINE_CLASSES + 0u}) {
            warm_up(c);
            void *a = allocate(c);
            std::vector<void *> rest = empty_lists(c);
            make_room(c);
            EXPECT_TRUE(front_push(a));
            void *popped = front_pop(c << CLASS_SCALE);
            EXPECT_EQ(popped, c >= LINE_CLASSES ? a : nullptr);
            EXPECT_EQ(front_reload(c << CLASS_SCALE), nullptr);
            EXPECT_EQ(popped != nullptr ? popped : allocate(c), a);
            give(a);
            for (void *b : rest) give(b);
        }
    });
    EXPECT_EQ(bytes_out(), 0u);
}

/* What was put aside, or is loaded where blocks share lines, is not in the cache any more. */
TEST(Loaded, InARunOfFreesTheFullListGoesBack) {
    for (unsigned c : {LINE_CLASSES - 1u, LINE_CLASSES + 0u}) {
        in_a_thread([c] {
            warm_up(c);
            std::vector<void *> blocks;
            while (blocks.size() < 4000) blocks.push_back(allocate(c));
            for (void *b : empty_lists(c)) blocks.push_back(b);
            const heap *heap = hak_front.heap;
            const list_pair *list = &heap->lists.of[c],
                            *freed = list_freed(&hak_front.heap->lists, c);
            void *const &aside = c < LINE_CLASSES ? list->loaded : list->previous;
            ASSERT_EQ(heap->use[c].last, FLOW_IN);
            void *unused = nullptr;
            for (; heap->use[c].last != FLOW_OUT; blocks.pop_back()) {
                unused = aside;
                give(blocks.back());
            }
            EXPECT_NE(aside, unused) << "the first full list of a run is put aside";
            for (int lists = 0; lists < 3; lists++) {
                void *before = aside, *last = nullptr;
                ASSERT_NE(before, LIST_END);
                for (uint64_t out = bytes_out(); bytes_out() == out; blocks.pop_back()) {
                    ASSERT_FALSE(blocks.empty());
                    give(last = blocks.back());
                }
                EXPECT_EQ(aside, before);
                EXPECT_EQ(freed->loaded, last);
                EXPECT_EQ(block_next(last), LIST_END);
            }
            for (void *b : blocks) give(b);
        });
    }
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Loaded, MallocMakesRoomForFree) {
    in_a_thread([] {
        warm_up(kClass);
        heap *heap = hak_front.heap;
        list_pair *list = &heap->lists.of[kClass];
        std::vector<void *> blocks;
        while (blocks.size() < 600) blocks.push_back(allocate(kClass));
        for (void *b : empty_lists(kClass)) blocks.push_back(b);
        make_room(kClass);
        heap->use[kClass].swinging = false;
        heap->caps.until_look = FRONT_LOOK_CALLS;
        int cap = list->cap;
        uint32_t word = registry_word(blocks[0]);
        for (int i = 0; i < cap; i++) {
            ASSERT_TRUE(front_push(blocks[0]));
            ASSERT_EQ(front_pop(kClass << CLASS_SCALE), blocks[0]);
        }
        EXPECT_FALSE(front_push(blocks[0]));
        EXPECT_TRUE(front_make_room(word));
        EXPECT_EQ(heap->caps.until_look, FRONT_LOOK_CALLS - list_weight(list));
        EXPECT_EQ(list->room, cap);
        EXPECT_FALSE(front_make_room(word)) << "there is room";
        for (int i = 0; i < cap; i++) ASSERT_TRUE(front_push(blocks[i]));
        EXPECT_FALSE(front_push(blocks[cap]));
        EXPECT_FALSE(front_make_room(word)) << "malloc took nothing";
        ASSERT_TRUE(front_enter());
        hak_front_free(blocks[cap], kClass);
        front_leave();
        for (size_t i = cap + 1; i < blocks.size(); i++) give(blocks[i]);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

/* Of every class the room is what the cap leaves. */
void expect_room(unsigned c) {
    list_pair *list = &hak_front.heap->lists.of[c], *freed = list_freed(&hak_front.heap->lists, c);
    for (list_pair *l : {list, freed}) {
        int count = 0;
        for (void *b = l->loaded; b != LIST_END; b = block_next(b)) count++;
        const list_use *use = &hak_front.heap->use[l - hak_front.heap->lists.of];
        EXPECT_EQ(list_room(l, use), list->cap - count) << c;
        EXPECT_GE(l->room, 0) << c;
    }
    int previous = 0;
    for (void *b = list->previous; b != LIST_END; b = block_next(b)) previous++;
    int counted = list->previous == LIST_END ? 0 : hak_front.heap->use[c].previous;
    EXPECT_EQ(counted, previous) << c;
}

void slowly(bool slow, void *block, unsigned c) {
    if (!slow) return give(block);
    ASSERT_TRUE(front_enter());
    hak_front_free(block, c);
    front_leave();
}

TEST(Loaded, TheRoomIsWhatTheCapLeaves) {
    in_a_thread([] {
        std::mt19937 random(1);
        for (unsigned c : {0u, 2u, 3u, 20u, 31u, 32u, 56u, 60u, 87u}) {
            std::vector<void *> blocks;
            for (int step = 0; step < 2000; step++) {
                /* Some of either, in runs. */
                bool frees = random() % 2 == 0;
                for (unsigned n = random() % 40; n > 0; n--) {
                    if (!frees) {
                        blocks.push_back(allocate(c));
                    } else if (!blocks.empty()) {
                        /* As realloc and the modes do, past the hot path. */
                        slowly(n % 8 == 0, blocks.back(), c);
                        blocks.pop_back();
                    }
                }
                if (step % 16 == 0) expect_room(c);
            }
            for (void *b : blocks) give(b);
            expect_room(c);
        }
        flush();
        for (unsigned c = 0; c < CLASSES; c++) expect_room(c);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

TEST(Loaded, ABusyThreadsListsGoWhenItIsCalm) {
    in_a_thread([] {
        warm_up(kClass);
        heap *heap = hak_front.heap;
        list_pair *list = &heap->lists.of[kClass];
        heap->caps.busy = true;
        std::vector<void *> blocks;
        for (int run = 0; run < 20; run++) {
            while (blocks.size() < 3 * FRONT_RUN_BLOCKS) blocks.push_back(allocate(kClass));
            heap->caps.looks = 0; /* no sweep comes in between */
            for (void *b : blocks) give(b);
            blocks.clear();
        }
        EXPECT_EQ(list->cap, FRONT_RUN_BYTES / 64);
        EXPECT_NE(list->previous, LIST_END);
        uint64_t held = bytes_out();
        EXPECT_GE(held, uint64_t{FRONT_RUN_BYTES});
        heap->caps.swept_ms -= 2 * FRONT_SWEEP_MS;
        heap->caps.until_look = 1;
        void *other = allocate(kClass + 1);
        EXPECT_FALSE(heap->caps.busy);
        EXPECT_EQ(list->cap, FRONT_CLASS_BYTES / 64);
        EXPECT_EQ(list->previous, LIST_END);
        EXPECT_LT(bytes_out(), held - FRONT_CLASS_BYTES);
        expect_room(kClass);
        give(other);
    });
    EXPECT_EQ(bytes_out(), 0u);
}

} // namespace
