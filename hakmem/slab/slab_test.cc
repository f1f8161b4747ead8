/* A slab's blocks: each given once, each taken back once, from its owner and from others. */
#include "hakmem/slab/slab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "hakmem/base/misuse.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace {

constexpr uint64_t kCookie = 0x5eed;

/* One superslab, as the shared pool would make it, and an owner. */
class Slab : public testing::Test {
  protected:
    void SetUp() override {
        char *base = static_cast<char *>(hak_os_map(SUPERSLAB_BYTES, SUPERSLAB_BYTES));
        ASSERT_NE(base, nullptr);
        ASSERT_TRUE(hak_registry_reserve(base, SUPERSLAB_BYTES));
        ss_ = static_cast<superslab *>(hak_os_meta_alloc(sizeof(superslab)));
        ASSERT_NE(ss_, nullptr);
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            ss_->slabs[i].index = ss_->heads[i] = static_cast<uint8_t>(i);
            list_init(&ss_->slabs[i].owned);
            list_init(&ss_->slabs[i].listed);
        }
        ss_->base = base;
        ss_->mapped = true;
        hak_registry_set(base, SLABS_PER_SUPERSLAB, WORD_UNUSED);
        hak_registry_set_record(base, ss_);
    }
    void TearDown() override {
        hak_registry_set(ss_->base, SLABS_PER_SUPERSLAB, 0);
        hak_registry_set_record(ss_->base, nullptr);
        EXPECT_TRUE(hak_os_unmap(ss_->base, SUPERSLAB_BYTES));
    }

    slab *carve(unsigned c, unsigned index = 0) {
        hak_slab_carve(&ss_->slabs[index], c, &owner_);
        return &ss_->slabs[index];
    }

    static std::vector<char *> blocks_of(void *head) {
        std::vector<char *> blocks;
        for (; head != LIST_END; head = *static_cast<void **>(head)) {
            blocks.push_back(static_cast<char *>(head));
        }
        return blocks;
    }

    static std::vector<char *> take(slab *s, unsigned want) {
        void *head = nullptr;
        unsigned n = hak_slab_take(s, want, &head, 0);
        std::vector<char *> blocks = blocks_of(head);
        EXPECT_EQ(blocks.size(), n);
        return blocks;
    }

    /* All blocks that are out come back, and the slab ends. */
    static void end(slab *s) {
        for (unsigned i = 0; i < s->capacity; i++) {
            hak_slab_give(s, slab_base(s) + i * size_t{hak_size_class[s->class_index].block_bytes});
        }
        hak_slab_uncarve(s);
    }

    /* Collects everything that is pending, as a warm pool does. */
    unsigned collect_pending() {
        unsigned came = 0;
        slab *s = hak_slab_take_pending(&owner_);
        while (s != nullptr) {
            slab *next = s->pending_next;
            hak_slab_clear_pending(s);
            came += hak_slab_collect(s);
            s = next;
        }
        return came;
    }

    superslab *ss_ = nullptr;
    slab_owner owner_ = {};
    uint64_t random_ = 0x9e3779b97f4a7c15;
};

TEST_F(Slab, GivesEachBlockOnceInEveryClass) {
    for (unsigned c = 0; c < CLASSES; c++) {
        slab *s = carve(c, 5);
        size_t bytes = hak_size_class[c].block_bytes;
        std::set<char *> shadow;
        std::mt19937_64 random(c);
        while (slab_has_free(s)) {
            for (char *b : take(s, 1 + random() % 97)) {
                ASSERT_TRUE(shadow.insert(b).second);
                ASSERT_EQ(static_cast<size_t>(b - slab_base(s)) % bytes, 0u);
                ASSERT_LE(b + bytes, slab_base(s) + hak_size_class[c].span * SLAB_BYTES);
            }
            hak_slab_check_invariant(s);
        }
        EXPECT_EQ(shadow.size(), hak_size_class[c].capacity);
        EXPECT_TRUE(take(s, 1).empty());
        EXPECT_EQ(hak_slab_count_free(s), 0u);
        std::vector<char *> order(shadow.begin(), shadow.end());
        std::shuffle(order.begin(), order.end(), random);
        for (char *b : order) ASSERT_TRUE(!hak_slab_has_all(s) && hak_slab_give(s, b) == SLAB_OK);
        EXPECT_EQ(s->out, 0);
        EXPECT_TRUE(hak_slab_count_free(s) == hak_size_class[c].capacity && hak_slab_has_all(s));
        hak_slab_check_invariant(s);
        hak_slab_uncarve(s);
        EXPECT_EQ(registry_word(slab_base(s)), WORD_UNUSED);
    }
}

TEST_F(Slab, TakesTheLowestBlocksFirst) {
    slab *s = carve(2);
    std::vector<char *> blocks = take(s, 200);
    EXPECT_TRUE(std::is_sorted(blocks.begin(), blocks.end()));
    EXPECT_EQ(blocks[0], slab_base(s));
    EXPECT_EQ(hak_slab_give(s, blocks[150]), SLAB_OK);
    EXPECT_EQ(hak_slab_give(s, blocks[3]), SLAB_OK);
    EXPECT_EQ(take(s, 2), (std::vector<char *>{blocks[3], blocks[150]}));
    hak_slab_check_invariant(s);
}

TEST_F(Slab, MixedTakesAndGivesMatchAShadow) {
    slab *s = carve(1);
    std::mt19937_64 random(7);
    std::vector<char *> out;
    std::set<char *> shadow;
    for (int i = 0; i < 20000; i++) {
        if (random() % 2 != 0) {
            for (char *b : take(s, random() % 40)) {
                ASSERT_TRUE(shadow.insert(b).second);
                out.push_back(b);
            }
        } else if (!out.empty()) {
            std::swap(out[random() % out.size()], out.back());
            ASSERT_EQ(hak_slab_give(s, out.back()), SLAB_OK);
            shadow.erase(out.back());
            out.pop_back();
        }
        ASSERT_EQ(s->out, out.size());
        if (i % 500 == 0) hak_slab_check_invariant(s);
    }
    hak_slab_check_invariant(s);
}

TEST_F(Slab, FindsADoubleFree) {
    slab *s = carve(0);
    std::vector<char *> b = take(s, 3);
    EXPECT_EQ(hak_slab_give(s, b[1]), SLAB_OK);
    EXPECT_EQ(hak_slab_give(s, b[1]), SLAB_DOUBLE_FREE);
    EXPECT_EQ(hak_slab_give_remote(b[1]), SLAB_DOUBLE_FREE);
    EXPECT_EQ(hak_slab_give_remote(b[2]), SLAB_OK);
    EXPECT_EQ(hak_slab_give_remote(b[2]), SLAB_DOUBLE_FREE);
    EXPECT_EQ(hak_slab_give(s, b[2]), SLAB_DOUBLE_FREE);
    /* A block that never left is free too. */
    EXPECT_EQ(hak_slab_give(s, slab_base(s) + 100 * 16), SLAB_DOUBLE_FREE);
    EXPECT_EQ(s->out, 2); /* one out, one in the remote bits */
    EXPECT_EQ(collect_pending(), 1u);
    EXPECT_EQ(s->out, 1);
    hak_slab_check_invariant(s);
}

TEST_F(Slab, KnowsWhichBlocksItHas) {
    slab *s = carve(3);
    std::vector<char *> b = take(s, 3);
    EXPECT_EQ(hak_slab_give(s, b[0]), SLAB_OK);
    EXPECT_EQ(hak_slab_give_remote(b[1]), SLAB_OK);
    auto has = [s](char *block) {
        unsigned w = 0;
        uint64_t bit = 0;
        EXPECT_EQ(hak_slab_find(s, block, &w, &bit), SLAB_OK);
        return hak_slab_has(s, w, bit);
    };
    EXPECT_TRUE(has(b[0]));
    EXPECT_TRUE(has(b[1])); /* not collected yet */
    EXPECT_FALSE(has(b[2]));
    EXPECT_TRUE(has(slab_base(s) + 1000 * 64)); /* never handed out */
}

TEST_F(Slab, RefusesAddressesThatAreNoBlock) {
    for (unsigned c = 0; c < CLASSES; c++) {
        slab *s = carve(c, 1);
        char *base = slab_base(s);
        size_t bytes = hak_size_class[c].block_bytes;
        take(s, UINT32_MAX);
        EXPECT_EQ(hak_slab_give(s, base + 1), SLAB_INTERIOR) << c;
        EXPECT_EQ(hak_slab_give(s, base + bytes - 1), SLAB_INTERIOR) << c;
        EXPECT_EQ(hak_slab_give_remote(base + 8), SLAB_INTERIOR) << c;
        size_t used = hak_size_class[c].capacity * bytes;
        if (used < hak_size_class[c].span * SLAB_BYTES) {
            EXPECT_EQ(hak_slab_give(s, base + used), SLAB_INTERIOR) << c;
            EXPECT_EQ(hak_slab_give_remote(base + used), SLAB_INTERIOR) << c;
        }
        EXPECT_EQ(s->out, hak_size_class[c].capacity) << c;
        hak_slab_check_invariant(s);
        s->span = 0;
    }
}

TEST_F(Slab, IsFoundFromEveryAddressInItsRun) {
    unsigned c = CLASSES - 1; /* 16 units */
    slab *s = carve(c, 4);
    char *base = slab_base(s);
    EXPECT_EQ(base, ss_->base + 4 * SLAB_BYTES);
    for (size_t at = 0; at < 16 * SLAB_BYTES; at += 4093) ASSERT_EQ(hak_slab_of(base + at), s);
    EXPECT_EQ(hak_slab_of(base - 1), nullptr);
    EXPECT_EQ(hak_slab_of(base + 16 * SLAB_BYTES), nullptr);
    EXPECT_EQ(registry_word(base + 15 * SLAB_BYTES), hak_slab_word(c, 15));
    hak_slab_uncarve(s);
    EXPECT_EQ(hak_slab_of(base), nullptr);
}

TEST_F(Slab, IsNotFoundFromUnitsOfALongerRunThatWasThere) {
    slab *s = carve(CLASSES - 1, 4); /* 16 units */
    hak_slab_uncarve(s);
    s = carve(3, 4); /* one */
    EXPECT_EQ(hak_slab_of(slab_base(s) + SLAB_BYTES - 1), s);
    for (unsigned unit = 1; unit < 16; unit++) {
        EXPECT_EQ(hak_slab_of(slab_base(s) + unit * SLAB_BYTES), nullptr) << unit;
        EXPECT_EQ(hak_slab_give_remote(slab_base(s) + unit * SLAB_BYTES), SLAB_NOT_OURS) << unit;
    }
    hak_slab_uncarve(s);
}

TEST_F(Slab, RefusesPointersThatAreNotOurs) {
    int local = 0;
    EXPECT_EQ(hak_slab_of(&local), nullptr);
    EXPECT_EQ(hak_slab_of(nullptr), nullptr);
    EXPECT_EQ(hak_slab_of(reinterpret_cast<void *>(UINTPTR_MAX)), nullptr);
    EXPECT_EQ(hak_slab_give_remote(&local), SLAB_NOT_OURS);
    EXPECT_EQ(hak_slab_give_remote(ss_->base), SLAB_NOT_OURS); /* not carved */
}

TEST_F(Slab, ARemoteFreeTellsTheOwnerOnce) {
    slab *s = carve(3), *t = carve(4, 1);
    std::vector<char *> b = take(s, 4), d = take(t, 1);
    for (char *p : b) EXPECT_EQ(hak_slab_give_remote(p), SLAB_OK);
    EXPECT_EQ(owner_.pending, s);
    EXPECT_EQ(s->pending_next, nullptr);
    EXPECT_EQ(hak_slab_give_remote(d[0]), SLAB_OK);
    EXPECT_EQ(owner_.pending, t);
    EXPECT_EQ(t->pending_next, s);
    EXPECT_EQ(s->out, 4);
    EXPECT_EQ(collect_pending(), 5u);
    EXPECT_EQ(s->out, 0);
    EXPECT_EQ(t->out, 0);
    EXPECT_EQ(owner_.pending, nullptr);
    EXPECT_EQ(hak_slab_take_pending(&owner_), nullptr);
    hak_slab_check_invariant(s);
    hak_slab_check_invariant(t);
}

TEST_F(Slab, APushGoesToTheNewOwnerOnceTheOldOneIsClosed) {
    slab_owner heir = {};
    slab *s = carve(3);
    std::vector<char *> b = take(s, 2);
    EXPECT_EQ(hak_slab_give_remote(b[0]), SLAB_OK);
    hak_slab_set_owner(s, &heir);
    EXPECT_EQ(s->owner, &heir);
    slab *left = hak_slab_close_pending(&owner_);
    EXPECT_EQ(left, s);
    EXPECT_EQ(owner_.pending, PENDING_CLOSED);
    hak_slab_forward_pending(s);
    EXPECT_EQ(heir.pending, s);
    EXPECT_EQ(hak_slab_give_remote(b[1]), SLAB_OK);
    EXPECT_EQ(hak_slab_take_pending(&heir), s);
    hak_slab_clear_pending(s);
    EXPECT_EQ(hak_slab_collect(s), 2u);
    EXPECT_EQ(s->out, 0);
}

TEST_F(Slab, ANoteAboutAnEarlierLifeEnds) {
    slab *s = carve(3);
    std::vector<char *> b = take(s, 1);
    EXPECT_EQ(hak_slab_give_remote(b[0]), SLAB_OK);
    EXPECT_EQ(hak_slab_collect(s), 1u); /* as trimming does, without looking at the stack */
    hak_slab_uncarve(s);
    EXPECT_EQ(hak_slab_take_pending(&owner_), s);
    hak_slab_forward_pending(s);
    EXPECT_EQ(s->pending, 0u);
    EXPECT_EQ(owner_.pending, nullptr);
}

TEST_F(Slab, RemoteFreesOfSeveralThreadsAllArrive) {
    slab *s = carve(0), *t = carve(1, 1);
    constexpr unsigned kThreads = 4;
    std::vector<char *> blocks = take(s, 4096), more = take(t, 2048);
    blocks.insert(blocks.end(), more.begin(), more.end());
    std::shuffle(blocks.begin(), blocks.end(), std::mt19937_64(3));
    std::atomic<unsigned> failed{0}, working{kThreads};
    std::vector<std::thread> threads;
    for (unsigned n = 0; n < kThreads; n++) {
        threads.emplace_back([&, n] {
            for (size_t i = n; i < blocks.size(); i += kThreads) {
                *reinterpret_cast<size_t *>(blocks[i]) = i;
                if (hak_slab_give_remote(blocks[i]) != SLAB_OK) failed++;
            }
            working--;
        });
    }
    unsigned came = 0;
    while (working != 0) {
        came += collect_pending();
        /* What came may be used again at once. */
        for (char *b : take(s, 5)) {
            *reinterpret_cast<size_t *>(b) = 0;
            EXPECT_EQ(hak_slab_give(s, b), SLAB_OK);
        }
    }
    for (auto &thread : threads) thread.join();
    came += collect_pending();
    EXPECT_EQ(failed, 0u);
    EXPECT_EQ(came, 6144u);
    EXPECT_EQ(s->out, 0);
    EXPECT_EQ(t->out, 0);
    EXPECT_EQ(owner_.pending, nullptr);
    hak_slab_check_invariant(s);
    hak_slab_check_invariant(t);
}

/* The pages that hak_slab_free_pages finds, against a look at every block. */
TEST_F(Slab, FreePagesTouchNoBlockThatIsOutside) {
    std::mt19937 random(7);
    for (size_t page : {4 * KiB, 16 * KiB, 64 * KiB}) {
        for (unsigned c : {0u, 10u, 31u, 33u, 52u, 62u, 71u}) {
            slab *s = carve(c);
            std::vector<char *> blocks = take(s, s->capacity), out;
            for (char *b : blocks) {
                if (random() % 8 != 0) {
                    ASSERT_EQ(hak_slab_give(s, b), SLAB_OK);
                } else {
                    out.push_back(b);
                }
            }
            std::set<size_t> expected, found;
            for (size_t at = 0; at < s->span * SLAB_BYTES; at += page) expected.insert(at);
            for (char *b : out) {
                size_t first = static_cast<size_t>(b - slab_base(s));
                size_t last = first + hak_size_class[c].block_bytes - 1;
                for (size_t at = first / page; at <= last / page; at++) expected.erase(at * page);
            }
            size_t bytes = 0;
            for (size_t at = hak_slab_free_pages(s, 0, page, &bytes); bytes != 0;
                 at = hak_slab_free_pages(s, at + bytes, page, &bytes)) {
                for (size_t i = 0; i < bytes; i += page) EXPECT_TRUE(found.insert(at + i).second);
            }
            EXPECT_EQ(found, expected) << "class " << c << ", page " << page;
            for (char *b : out) ASSERT_EQ(hak_slab_give(s, b), SLAB_OK);
            hak_slab_uncarve(s);
        }
    }
}

/* Twice half of a slab, of which every second block comes back, then all. */
TEST_F(Slab, BlocksFromRandomPlacesAreEachTakenOnce) {
    for (unsigned c : {0, 3, 31, 60, CLASSES - 1}) {
        slab *s = carve(c);
        unsigned capacity = hak_size_class[c].capacity;
        for (unsigned want : {capacity / 2, capacity / 2, capacity + 1}) {
            unsigned n = std::min(want, capacity - s->out);
            void *head;
            ASSERT_EQ(hak_slab_take_random(s, want, &head, kCookie, &random_), n) << c;
            std::vector<char *> blocks = blocks_of(head);
            for (char *b : blocks) ASSERT_TRUE(block_is_marked(b, kCookie));
            ASSERT_EQ(std::set<char *>(blocks.begin(), blocks.end()).size(), n);
            EXPECT_FALSE(capacity > 20 && blocks[0] == slab_base(s));
            hak_slab_check_invariant(s);
            for (size_t i = 0; i < n; i += 2) ASSERT_EQ(hak_slab_give(s, blocks[i]), SLAB_OK);
        }
        end(s);
    }
}

TEST_F(Slab, ABlockThatWasWrittenToIsNotTakenFromARandomPlace) {
    slab *s = carve(31);
    void *head, *rest;
    ASSERT_EQ(hak_slab_take_random(s, 1, &head, kCookie, &random_), 1u);
    ASSERT_EQ(hak_slab_give(s, head), SLAB_OK);
    memset(head, 1, 8);
    hak_misuse_set_policy(nullptr, /* report */ true, false);
    EXPECT_EQ(hak_slab_take_random(s, 100, &rest, kCookie, &random_), s->capacity - 1u);
    for (char *b : blocks_of(rest)) EXPECT_NE(b, head);
    end(s);
}

TEST_F(Slab, MarksThatWentWithTheirPagesComeBack) {
    slab *s = carve(31);
    void *head = nullptr;
    ASSERT_EQ(hak_slab_take(s, 40, &head, kCookie), 40u);
    std::vector<char *> blocks = blocks_of(head);
    for (size_t i = 1; i < blocks.size(); i++) ASSERT_EQ(hak_slab_give(s, blocks[i]), SLAB_OK);
    *block_cookie(blocks[0]) = 0;
    hak_slab_set_checked(s);
    EXPECT_TRUE(word_is_checked(registry_word(blocks[0])));
    EXPECT_EQ(word_class(registry_word(blocks[0])), 31u);
    EXPECT_GE(registry_word(blocks[0]), word_of_class(CLASSES)) << "no hot path takes it";
    hak_slab_check_invariant(s);
    size_t bytes;
    size_t at = hak_slab_free_pages(s, 0, 4 * KiB, &bytes);
    ASSERT_EQ(at, 4 * KiB);
    ASSERT_TRUE(hak_os_purge(slab_base(s) + at, bytes));
    EXPECT_EQ(*block_cookie(blocks[39]), 0u);
    hak_slab_restore_marks(s, kCookie);
    EXPECT_EQ(registry_word(blocks[0]), word_of_class(31));
    EXPECT_EQ(*block_cookie(blocks[0]), 0u) << "it is outside";
    for (size_t i = 1; i < blocks.size(); i++) {
        EXPECT_TRUE(block_is_marked(blocks[i], kCookie)) << i;
    }
    EXPECT_EQ(*block_cookie(slab_base(s) + 50 * KiB), 0u) << "it was never outside";
    ASSERT_EQ(hak_slab_give(s, blocks[0]), SLAB_OK);
    hak_slab_uncarve(s);
}

TEST_F(Slab, AListStopsAtTheBlockAtFault) {
    slab *s = carve(3);
    auto give = [s](std::vector<char *> list, size_t *count, slab_result *result) {
        for (size_t i = 0; i < list.size(); i++) {
            bool last = i + 1 == list.size();
            /* What is at fault is not read. */
            if (!last || list.size() == 1)
                *reinterpret_cast<void **>(list[i]) = last ? LIST_END : list[i + 1];
        }
        return hak_slab_give_list(s, list[0], count, 0, result);
    };
    std::vector<char *> b = take(s, 6);
    size_t count = 0;
    slab_result result;
    EXPECT_EQ(give({b[0], b[1], b[0] + 16}, &count, &result), b[0] + 16);
    EXPECT_EQ(result, SLAB_INTERIOR);
    char *tail = slab_base(s) + SLAB_BYTES; /* another's: no fault */
    EXPECT_EQ(give({b[2], tail}, &count, &result), tail);
    EXPECT_EQ(result, SLAB_OK);
    EXPECT_EQ(give({b[3], b[1]}, &count, &result), b[1]);
    EXPECT_EQ(result, SLAB_DOUBLE_FREE);
    EXPECT_EQ(hak_slab_give_remote(b[4]), SLAB_OK);
    EXPECT_EQ(give({b[5], b[4]}, &count, &result), b[4]);
    EXPECT_EQ(result, SLAB_DOUBLE_FREE);
    EXPECT_EQ(count, 5u);
    EXPECT_EQ(collect_pending(), 1u);
    EXPECT_EQ(s->out, 0);
    hak_slab_check_invariant(s);
}

TEST_F(Slab, ANoteFindsBitsThatCameForTheNextLife) {
    slab *s = carve(3);
    std::vector<char *> b = take(s, 1);
    EXPECT_EQ(hak_slab_give_remote(b[0]), SLAB_OK);
    EXPECT_EQ(hak_slab_collect(s), 1u);
    hak_slab_uncarve(s);
    EXPECT_EQ(hak_slab_take_pending(&owner_), s);
    *superslab_remote_word(ss_, 0, 0) = 1; /* a free that found the flag set meanwhile */
    hak_slab_forward_pending(s);
    EXPECT_EQ(s->pending, 1u);
    EXPECT_EQ(hak_slab_take_pending(&owner_), s);
    *superslab_remote_word(ss_, 0, 0) = 0;
}

TEST_F(Slab, ABlockThatComesBackTwiceAtOnceStopsTheProgram) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    slab *s = carve(3);
    std::vector<char *> b = take(s, 70);
    EXPECT_EQ(hak_slab_give_remote(b[66]), SLAB_OK);
    *superslab_free_word(ss_, 0, 1) |= 4; /* the owner did not see the other's bit yet */
    EXPECT_EXIT(hak_slab_collect(s), testing::KilledBySignal(SIGABRT),
                "^hakmem: double free: block 0x[0-9a-f]+ \\(size class 64 bytes\\); two threads");
}

TEST_F(Slab, ConcurrentDoubleFreesAreFoundOnce) {
    slab *s = carve(2);
    std::vector<char *> blocks = take(s, 1365);
    std::atomic<unsigned> ok{0}, twice{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < 3; n++) {
        threads.emplace_back([&] {
            for (char *b : blocks) {
                slab_result r = hak_slab_give_remote(b);
                ok += r == SLAB_OK;
                twice += r == SLAB_DOUBLE_FREE;
            }
        });
    }
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(ok, 1365u);
    EXPECT_EQ(twice, 2 * 1365u);
    EXPECT_EQ(collect_pending(), 1365u);
    hak_slab_check_invariant(s);
}

} // namespace
