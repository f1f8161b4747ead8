/* A fork at every point of the other threads' slow paths that prepare's locks allow: they stop for
 * ever, the child repairs, and then has every block but those that died in motion. */
#include <gtest/gtest.h>

#include "hakmem/config/options.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"
#include "hakmem/large/large.h"

namespace interleave {
namespace {

Owner mine, dying, other;
std::vector<void *> in_lists; /* of a thread in no slow path: the child frees them */

void Begin(unsigned blocks_out) {
    dying.SetUp(blocks_out);
    mine.SetUp(2);
    other.SetUpEmpty();
    in_lists.clear();
}

/* What lifecycle.c does around fork, for the locks that the others take here; then the program
 * goes on in the child. */
void Fork() {
    hak_shared_pool_lock();
    hak_large_lock();
    StopOthers();
    hak_large_unlock();
    hak_shared_pool_unlock();
    OneStep step; /* nobody else is left */
    for (void *block : in_lists) REQUIRE(GiveRemote(block) == SLAB_OK);
    hak_warm_pool_abandon(&dying.wp);
    hak_warm_pool_abandon(&other.wp);
    hak_warm_pool_recount(&mine.wp);
    hak_shared_pool_repair(&mine.wp.owner);
}

/* The child frees all that it inherited, then allocates in every class that was in use. */
void CheckChild(size_t lost) {
    Settle({&mine.wp});
    CheckAtRest(lost);
    for (unsigned c : {kClass, kOtherClass}) {
        for (int i = 0; i < 100; i++) TakeOne(&mine.wp, c);
    }
    CheckAtRest(lost);
    while (!program.held().empty()) {
        REQUIRE(GiveRemote(program.held().back().block) == SLAB_OK);
    }
    Settle({&mine.wp});
    CheckAtRest(lost);
}

void ExploreFork(unsigned blocks_out, std::vector<std::function<void()>> threads, size_t lost,
                 int preemptions) {
    threads.insert(threads.begin(), Fork);
    Explore({
        [=] { Begin(blocks_out); },
        threads,
        [=] { CheckChild(lost); },
        preemptions,
    });
}

TEST(Fork, BesideARefill) {
    ExploreFork(60, {[] {
                    for (int i = 0; i < 6; i++) TakeOne(&dying.wp, kClass);
                }},
                1, 3);
}

TEST(Fork, BesideARemoteFree) {
    ExploreFork(2,
                {
                    [] { GiveRemote(mine.blocks[0]); },
                    [] { GiveRemote(dying.blocks[0]); },
                },
                2, 3);
}

TEST(Fork, BesideACollection) {
    ExploreFork(3,
                {
                    [] { hak_warm_pool_collect(&dying.wp); },
                    [] {
                        GiveRemote(dying.blocks[0]);
                        GiveRemote(dying.blocks[1]);
                    },
                },
                2, 3);
}

/* The last blocks come back, and the slab is carved anew without a lock. */
TEST(Fork, BesideASlabThatIsCarvedForAnotherClass) {
    ExploreFork(1, {[] {
                    dying.wp.empties_max = 1; /* the slab stays with its thread */
                    GiveOwn(&dying.wp, dying.blocks[0]);
                    TakeOne(&dying.wp, kOtherClass);
                }},
                1, 3);
}

TEST(Fork, BesideATrim) {
    ExploreFork(2,
                {
                    [] {
                        GiveOwn(&dying.wp, dying.blocks[0]);
                        hak_warm_pool_trim(&dying.wp);
                    },
                    [] { GiveRemote(dying.blocks[1]); },
                },
                2, 2);
}

TEST(Fork, BesideAThreadThatEnds) {
    ExploreFork(3,
                {
                    [] { hak_warm_pool_release(&dying.wp); },
                    [] { GiveRemote(dying.blocks[0]); },
                },
                1, 3);
}

TEST(Fork, BesideAnAdoption) {
    ExploreFork(3,
                {
                    [] { hak_shared_pool_orphan(dying.s); },
                    [] { TakeOne(&other.wp, kClass); },
                },
                1, 2);
}

TEST(Fork, FreesTheListsOfAThreadBesideOthersInSlowPaths) {
    Explore({
        [] {
            Begin(4);
            in_lists = {dying.blocks[0], dying.blocks[1]};
            hak_shared_pool_orphan(dying.s);
        },
        {
            Fork,
            [] {
                TakeOne(&other.wp, kClass);
                hak_warm_pool_release(&other.wp);
            },
            [] { GiveRemote(dying.blocks[2]); },
        },
        [] { CheckChild(2); },
        3,
    });
}

/* The cache is locked by prepare; records and words are not. */
TEST(Fork, BesideLargeBlocksThatComeAndGo) {
    static auto large = [] {
        bool zero = false;
        void *block = hak_large_alloc(2 * MEDIUM_MAX, 1, false, &zero);
        REQUIRE(block != nullptr);
        return block;
    };
    static void *block;
    Explore({
        [] {
            Begin(0);
            block = large();
            void *cached = large();
            hak_large_free(cached, registry_word(cached), false);
        },
        {
            Fork,
            [] {
                hak_large_free(block, registry_word(block), false);
                large();
            },
            [] { large(); },
        },
        [] {
            void *blocks[3] = {large(), large(), large()};
            for (void *b : blocks) hak_large_free(b, registry_word(b), false);
        },
        3,
    });
}

TEST(Fork, BesideAPurge) {
    Explore({
        [] {
            hak_options.ss_lazy_zero = 1;
            /* Alone in its superslab, which empties. */
            dying.SetUp(1);
            mine.SetUpEmpty();
            other.SetUpEmpty();
            in_lists.clear();
        },
        {
            Fork,
            [] {
                GiveOwn(&dying.wp, dying.blocks[0]);
                hak_warm_pool_trim(&dying.wp);
            },
        },
        [] { CheckChild(1); },
        4,
    });
}

TEST(Fork, BesideAPurgeOfASparseOrphan) {
    Explore({
        [] {
            dying.SetUp(1);
            mine.SetUpEmpty();
            other.SetUpEmpty();
            in_lists.clear();
            hak_shared_pool_orphan(dying.s);
            for (int i = 1; i < SPARSE_TICKS; i++) hak_shared_pool_tick(0);
        },
        {
            Fork,
            [] { hak_shared_pool_tick(0); },
        },
        [] { CheckChild(1); },
        4,
    });
}

} // namespace
} // namespace interleave
