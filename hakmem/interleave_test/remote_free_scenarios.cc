/* Blocks that other threads free into a slab while its owner collects and hands out again. */
#include <gtest/gtest.h>

#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"

namespace interleave {
namespace {

TEST(RemoteFree, IsCollectedOnceWhileTheOwnerHandsOut) {
    static Owner owner;
    Explore({
        [] { owner.SetUp(3); },
        {
            [] {
                hak_warm_pool_collect(&owner.wp);
                TakeBlocks(owner.s, 2);
            },
            [] { REQUIRE(GiveRemote(owner.blocks[0]) == SLAB_OK); },
            [] { REQUIRE(GiveRemote(owner.blocks[1]) == SLAB_OK); },
        },
        [] {
            Settle({&owner.wp});
            CheckAtRest();
        },
    });
}

TEST(RemoteFree, OfOneThreadIsCollectedByAnOwnerThatLooksOften) {
    static Owner owner;
    Explore({
        [] { owner.SetUp(3); },
        {
            [] {
                for (int i = 0; i < 3; i++) {
                    hak_warm_pool_collect(&owner.wp);
                    TakeBlocks(owner.s, 1);
                }
            },
            [] {
                REQUIRE(GiveRemote(owner.blocks[0]) == SLAB_OK);
                REQUIRE(GiveRemote(owner.blocks[1]) == SLAB_OK);
            },
        },
        [] {
            Settle({&owner.wp});
            CheckAtRest();
        },
        4,
    });
}

TEST(RemoteFree, OfTheLastBlockLeavesAnEmptySlab) {
    static Owner owner;
    Explore({
        [] { owner.SetUp(2); },
        {
            [] { hak_warm_pool_collect(&owner.wp); },
            [] { REQUIRE(GiveRemote(owner.blocks[0]) == SLAB_OK); },
            [] { REQUIRE(GiveRemote(owner.blocks[1]) == SLAB_OK); },
        },
        [] {
            Settle({&owner.wp});
            CheckAtRest();
            REQUIRE(owner.s->span == 0); /* it went to the shared pool */
        },
    });
}

/* The owner's own free and another thread's of the same block: one of the two sees it, or the
 * collection does. */
TEST(RemoteFree, TwiceByTheOwnerAndAnotherIsSeen) {
    static Owner owner;
    static slab_result own, remote;
    Scenario s = {
        [] {
            owner.SetUp(2);
            own = remote = SLAB_NOT_OURS;
        },
        {
            [] {
                own = hak_slab_give(owner.s, owner.blocks[0]);
                hak_warm_pool_collect(&owner.wp);
            },
            [] { remote = hak_slab_give_remote(owner.blocks[0]); },
        },
        [] {
            bool seen = own == SLAB_DOUBLE_FREE || remote == SLAB_DOUBLE_FREE;
            hak_warm_pool_collect(&owner.wp);
            REQUIRE(seen);
        },
        kAll,
    };
    s.misuse_ends_it = true;
    Explore(s);
}

/* The second free may set its bit when the first one's is collected: the next one sees it. */
TEST(RemoteFree, TwiceByTwoOthersIsSeen) {
    static Owner owner;
    static slab_result results[2];
    Scenario s = {
        [] { owner.SetUp(2); },
        {
            [] { results[0] = hak_slab_give_remote(owner.blocks[0]); },
            [] { results[1] = hak_slab_give_remote(owner.blocks[0]); },
            [] { hak_warm_pool_collect(&owner.wp); },
        },
        [] {
            hak_warm_pool_collect(&owner.wp);
            REQUIRE((results[0] == SLAB_OK) != (results[1] == SLAB_OK));
            program.Give(owner.blocks[0]);
            CheckAtRest();
        },
    };
    s.misuse_ends_it = true;
    Explore(s);
}

} // namespace
} // namespace interleave
