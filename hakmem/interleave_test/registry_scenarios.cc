/* Words and records of addresses that come and go, beside look-ups. */
#include <gtest/gtest.h>

#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/fake_os.h"
#include "hakmem/interleave_test/world.h"
#include "hakmem/large/large.h"

namespace interleave {
namespace {

constexpr size_t kLargeBytes = 2 * MEDIUM_MAX;

/* Reserves and sets the word of one slab, and looks it up. */
void Publish(size_t unit, uint32_t word) {
    char *base = FakeBase() + unit * SLAB_BYTES;
    REQUIRE(hak_registry_reserve(base, SLAB_BYTES));
    hak_registry_set(base, 1, word);
    REQUIRE(registry_word(base) == word);
}

TEST(Registry, WordsOfTwoThreadsShareALeaf) {
    Explore({
        [] {},
        {
            [] { Publish(0, 0x201); },
            [] { Publish(1, 0x302); },
            [] { REQUIRE(registry_word(FakeBase() + 2 * SLAB_BYTES) == 0); },
        },
        [] {
            REQUIRE(registry_word(FakeBase()) == 0x201);
            REQUIRE(registry_word(FakeBase() + SLAB_BYTES) == 0x302);
        },
        4,
    });
}

/* A large block of the program: its word is its own as long as it lives. `aside` keeps the cache
 * out of it. */
void *AllocLarge() {
    bool zero = false;
    void *block = hak_large_alloc(kLargeBytes, 1, true, &zero);
    REQUIRE(block != nullptr && IsMapped(block, kLargeBytes));
    return block;
}

void FreeLarge(void *block) {
    uint32_t word = registry_word(block);
    REQUIRE(word_is_large(word));
    REQUIRE(hak_slab_of(block) == nullptr);
    REQUIRE(hak_large_usable(block, word) == kLargeBytes);
    hak_large_free(block, word, true);
}

TEST(Registry, AnAddressGoesFromASuperslabToALargeBlock) {
    static Owner owner;
    Explore({
        [] {
            owner.SetUp(1);
            GiveOwn(&owner.wp, owner.blocks[0]);
            hak_warm_pool_trim(&owner.wp);
        },
        {
            [] { hak_shared_pool_release_address_space(); },
            [] { FreeLarge(AllocLarge()); },
            [] {
                /* Any pointer value may be looked up, also one that is nobody's now. */
                uint32_t word = registry_word(FakeBase());
                REQUIRE(word == 0 || word == WORD_UNUSED || word_is_large(word));
                REQUIRE(hak_slab_of(FakeBase()) == nullptr);
            },
        },
        [] { CheckAtRest(); },
        2,
    });
}

TEST(Registry, AnAddressGoesFromALargeBlockToAnother) {
    static void *block;
    Explore({
        [] { block = AllocLarge(); },
        {
            [] { FreeLarge(block); },
            [] { FreeLarge(AllocLarge()); },
            [] {
                uint32_t word = registry_word(FakeBase());
                REQUIRE(word == 0 || word_is_large(word));
            },
        },
        [] { REQUIRE(registry_word(FakeBase()) == 0); },
    });
}

/* A superslab is unmapped, and its record serves another, while a block elsewhere is freed. */
TEST(Registry, ABlockIsFoundWhileOtherSuperslabsComeAndGo) {
    static Owner owner, other;
    Explore({
        [] {
            owner.SetUp(2);
            other.SetUp(1, CLASSES - 1);
        },
        {
            [] {
                GiveOwn(&other.wp, other.blocks[0]);
                hak_warm_pool_trim(&other.wp);
                hak_shared_pool_release_address_space();
                TakeOne(&other.wp, CLASSES - 1);
            },
            [] {
                REQUIRE(hak_slab_of(owner.blocks[0]) == owner.s);
                REQUIRE(GiveRemote(owner.blocks[0]) == SLAB_OK);
            },
        },
        [] {
            Settle({&owner.wp, &other.wp});
            CheckAtRest();
        },
        2,
    });
}

} // namespace
} // namespace interleave
