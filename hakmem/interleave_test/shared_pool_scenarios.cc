/* The shared pool beside itself and beside remote frees. */
#include <gtest/gtest.h>

#include "hakmem/config/options.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/fake_os.h"
#include "hakmem/interleave_test/world.h"

namespace interleave {
namespace {

constexpr unsigned kWideClass = CLASSES - 8; /* a slab of several units */

Owner first, second, third;

void Begin(unsigned blocks_out) {
    first.SetUp(blocks_out);
    second.SetUpEmpty();
    third.SetUpEmpty();
}

void NobodyHoldsIt(const char *base, size_t bytes) { REQUIRE(!program.HoldsAnyIn(base, bytes)); }

TEST(SharedPool, EachSlabIsTakenOnce) {
    ASSERT_GT(hak_size_class[kWideClass].span, 1);
    Explore({
        [] { Begin(1); },
        {
            [] { TakeOne(&first.wp, kOtherClass); },
            [] { TakeOne(&second.wp, kClass); },
            [] { TakeOne(&third.wp, kWideClass); },
        },
        [] {
            Settle({&first.wp, &second.wp, &third.wp});
            CheckAtRest();
        },
        2,
    });
}

TEST(SharedPool, AnOrphanIsAdoptedOnceBesideRemoteFrees) {
    Explore({
        [] { Begin(3); },
        {
            [] { hak_shared_pool_orphan(first.s); },
            [] {
                slab *s = hak_shared_pool_take_partial(kClass, &second.wp.owner);
                if (s != nullptr) TakeBlocks(s, 1);
            },
            [] {
                REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK);
                slab *s = hak_shared_pool_take_partial(kClass, &third.wp.owner);
                if (s != nullptr) TakeBlocks(s, 1);
            },
        },
        [] {
            /* Adopted slabs are in no list of their warm pools, and are given up first. */
            slab *s = first.s;
            if (s->owner == &second.wp.owner || s->owner == &third.wp.owner) {
                hak_shared_pool_orphan(s);
            }
            Settle({&first.wp, &second.wp, &third.wp});
            CheckAtRest();
        },
    });
}

TEST(SharedPool, AnEmptiedSlabServesTheNextOnce) {
    Explore({
        [] { Begin(1); },
        {
            [] {
                GiveOwn(&first.wp, first.blocks[0]);
                hak_warm_pool_trim(&first.wp);
            },
            [] { TakeOne(&second.wp, kOtherClass); },
            [] { TakeOne(&third.wp, kClass); },
        },
        [] {
            Settle({&first.wp, &second.wp, &third.wp});
            CheckAtRest();
        },
        2,
    });
}

/* With this option the units of an emptied superslab are purged at once, the lock given up. */
TEST(SharedPool, ARunThatIsPurgedIsNotTaken) {
    Explore({
        [] {
            hak_options.ss_lazy_zero = 1;
            Begin(1);
            OnGone(NobodyHoldsIt);
        },
        {
            [] {
                GiveOwn(&first.wp, first.blocks[0]);
                hak_warm_pool_trim(&first.wp);
            },
            [] { TakeOne(&second.wp, kOtherClass); },
            [] { TakeOne(&third.wp, kClass); },
        },
        [] {
            Settle({&first.wp, &second.wp, &third.wp});
            CheckAtRest();
        },
        2,
    });
}

/* Counts are compared at any moment of a purge, of empty units and of a sparse slab. */
TEST(SharedPool, CountsAgreeBesideAPurge) {
    Explore({
        [] {
            hak_options.ss_lazy_zero = 1;
            Begin(2);
            hak_shared_pool_orphan(first.s);
            void *block = TakeOne(&second.wp, kOtherClass);
            GiveOwn(&second.wp, block);
            hak_options.purge = 0;
            hak_warm_pool_trim(&second.wp);
            hak_options.purge = 1;
            for (int i = 1; i < SPARSE_TICKS; i++) hak_shared_pool_tick(0);
        },
        {
            [] {
                hak_shared_pool_tick(0);
                hak_shared_pool_trim(0);
            },
            [] {
                REQUIRE(hak_shared_pool_agrees());
                REQUIRE(hak_shared_pool_agrees());
            },
        },
        [] {
            Settle({&first.wp, &second.wp});
            CheckAtRest();
        },
        2,
    });
}

/* Few blocks are outside an orphan: pages between go, the lock given up. */
TEST(SharedPool, ASparseOrphanLosesPagesThatNobodyHolds) {
    Explore({
        [] {
            Begin(2);
            hak_shared_pool_orphan(first.s);
            for (int i = 1; i < SPARSE_TICKS; i++) hak_shared_pool_tick(0);
            OnGone(NobodyHoldsIt);
        },
        {
            [] { hak_shared_pool_tick(0); },
            [] {
                REQUIRE(GiveRemote(first.blocks[0]) == SLAB_OK);
                hak_shared_pool_freed_into(first.s);
            },
            [] {
                slab *s = hak_shared_pool_take_partial(kClass, &third.wp.owner);
                if (s == nullptr) return;
                REQUIRE(!s->checked);
                TakeBlocks(s, 3);
            },
        },
        [] {
            slab *s = first.s;
            if (s->span != 0 && s->owner == &third.wp.owner) hak_shared_pool_orphan(s);
            Settle({&first.wp, &second.wp, &third.wp});
            CheckAtRest();
        },
        3,
    });
}

/* What happens when address space runs out, beside a thread that takes and one that frees. */
TEST(SharedPool, AddressSpaceThatIsGivenUpIsEmpty) {
    Explore({
        [] {
            Begin(1);
            OnGone(NobodyHoldsIt);
        },
        {
            [] {
                GiveOwn(&first.wp, first.blocks[0]);
                hak_warm_pool_trim(&first.wp);
                hak_shared_pool_release_address_space();
            },
            [] {
                void *block = TakeOne(&second.wp, kOtherClass);
                REQUIRE(IsMapped(block, 1));
                REQUIRE(GiveRemote(block) == SLAB_OK);
            },
        },
        [] {
            Settle({&first.wp, &second.wp});
            CheckAtRest();
        },
        3,
    });
}

} // namespace
} // namespace interleave
