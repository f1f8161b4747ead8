/* Slabs that change their owner, or begin another life, while others free into them. */
#include <gtest/gtest.h>

#include "hakmem/config/options.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"

namespace interleave {
namespace {

Owner first, second;
void *published;

void Begin(unsigned blocks_out) {
    first.SetUp(blocks_out);
    second.SetUpEmpty();
    published = nullptr;
}

/* What a thread may free that another has handed it. */
void GivePublished() {
    Point(__FILE__, __LINE__);
    if (published != nullptr) REQUIRE(GiveRemote(published) == SLAB_OK);
}

TEST(HandOver, OfAThreadThatEndsLosesNoRemoteFree) {
    Explore({
        [] { Begin(3); },
        {
            [] { hak_warm_pool_release(&first.wp); },
            [] { REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK); },
            [] { TakeOne(&second.wp, kClass); },
        },
        [] {
            REQUIRE(first.wp.owner.pending == PENDING_CLOSED);
            Settle({&second.wp});
            CheckAtRest();
        },
    });
}

/* The heap of a thread that ended serves the next one: a pusher that still goes by the old owner
 * finds a stack that is open again. */
TEST(HandOver, ToTheNextThreadWithTheSameHeapLosesNoNote) {
    Explore({
        [] { Begin(3); },
        {
            [] {
                hak_warm_pool_release(&first.wp);
                hak_warm_pool_init(&first.wp);
                TakeOne(&first.wp, kOtherClass);
                hak_warm_pool_collect(&first.wp);
            },
            [] {
                REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK);
                REQUIRE(GiveRemote(first.blocks[1]) == SLAB_OK);
            },
        },
        [] {
            Settle({&first.wp});
            CheckAtRest();
        },
        4,
    });
}

TEST(HandOver, OfASlabThatIsTrimmedAndAdoptedLosesNoRemoteFree) {
    Explore({
        [] { Begin(3); },
        {
            [] { hak_warm_pool_trim(&first.wp); },
            [] {
                REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK);
                REQUIRE(GiveRemote(first.blocks[1]) == SLAB_OK);
            },
            [] {
                TakeOne(&second.wp, kClass);
                hak_warm_pool_collect(&second.wp);
            },
        },
        [] {
            Settle({&first.wp, &second.wp});
            CheckAtRest();
        },
    });
}

/* The slab empties and is carved for another class, with a note about its earlier life still to
 * come; a block of the new life is freed at once. */
TEST(HandOver, ToAnotherClassOfTheSameThreadLosesNoRemoteFree) {
    Explore({
        [] { Begin(2); },
        {
            [] {
                hak_warm_pool_collect(&first.wp);
                published = TakeOne(&first.wp, kOtherClass);
                hak_warm_pool_collect(&first.wp);
            },
            [] { REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK); },
            [] {
                REQUIRE(GiveRemote(first.blocks[1]) == SLAB_OK);
                GivePublished();
            },
        },
        [] {
            Settle({&first.wp});
            CheckAtRest();
        },
    });
}

/* The note lies on the stack of a thread that ends, the orphaned slab is empty with it: the next
 * life begins while the note is looked at. */
TEST(HandOver, OfAnEmptiedSlabLeavesItsNoteToTheNextLife) {
    Explore({
        [] {
            Begin(1);
            REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK);
        },
        {
            [] { hak_warm_pool_release(&first.wp); },
            [] { published = TakeOne(&second.wp, kOtherClass); },
            GivePublished,
        },
        [] {
            Settle({&second.wp});
            CheckAtRest();
        },
        2,
        50000,
    });
}

/* With no room in the warm pool, a slab that is mostly free is an orphan once it is collected. */
TEST(HandOver, OfASlabBeyondTheWarmPoolsSizeLosesNoRemoteFree) {
    Explore({
        [] {
            Begin(17);
            hak_options.warm_pool_size = 0;
        },
        {
            [] {
                hak_warm_pool_collect(&first.wp);
                TakeOne(&first.wp, kClass);
            },
            [] {
                for (int i = 0; i < 2; i++) {
                    REQUIRE(GiveRemote(first.blocks[static_cast<size_t>(i)]) == SLAB_OK);
                }
            },
            [] { TakeOne(&second.wp, kClass); },
        },
        [] {
            Settle({&first.wp, &second.wp});
            CheckAtRest();
        },
        2,
    });
}

/* One thread has set its bit and not yet its note when the slab ends, and its owner after it. */
TEST(HandOver, OfTheLastSlabLeavesALatePusherAnOpenStack) {
    Explore({
        [] { Begin(2); },
        {
            [] {
                hak_warm_pool_trim(&first.wp);
                hak_warm_pool_release(&first.wp);
            },
            [] { REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK); },
            [] { REQUIRE(GiveRemote(first.blocks[1]) == SLAB_OK); },
        },
        [] {
            Settle({});
            CheckAtRest();
        },
    });
}

} // namespace
} // namespace interleave
