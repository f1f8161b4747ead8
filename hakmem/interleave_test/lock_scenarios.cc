/* The futex lock, and what it alone guards: chains in transit. */
#include <gtest/gtest.h>

#include "hakmem/base/lock.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"
#include "hakmem/transfer/transfer.h"

namespace interleave {
namespace {

struct lock a_lock;
int inside;

void Enter() {
    lock_acquire(&a_lock);
    REQUIRE(inside == 0);
    inside = 1;
    Point(__FILE__, __LINE__);
    inside = 0;
    lock_release(&a_lock);
}

void ClearLock() {
    a_lock.state = 0;
    inside = 0;
}

TEST(Lock, LetsOneOfThreeInAndWakesAll) {
    Explore({
        ClearLock,
        {Enter, Enter, Enter},
        [] { REQUIRE(a_lock.state == 0); },
        5,
    });
}

TEST(Lock, LetsOneOfTwoInAgainAndAgain) {
    auto twice = [] {
        Enter();
        Enter();
    };
    Explore({
        ClearLock,
        {twice, twice},
        [] { REQUIRE(a_lock.state == 0); },
        7,
    });
}

/* Chains are told apart by their heads; the stock does not look into them. */
chain ChainOf(uintptr_t name) { return chain{reinterpret_cast<void *>(name), 1}; }

struct Popped {
    uintptr_t bits;

    void Add(chain c) {
        if (c.head == nullptr) return;
        uintptr_t name = reinterpret_cast<uintptr_t>(c.head);
        REQUIRE((bits & name) == 0);
        bits |= name;
    }
    void AddAll(unsigned c) {
        for (chain next = hak_transfer_pop(c); next.head != nullptr; next = hak_transfer_pop(c)) {
            Add(next);
        }
    }
} popped;

TEST(Transfer, EachChainIsPoppedOnce) {
    Explore({
        [] {
            popped.bits = 0;
            REQUIRE(hak_transfer_push(kClass, ChainOf(1)));
        },
        {
            [] {
                REQUIRE(hak_transfer_push(kClass, ChainOf(2)));
                popped.Add(hak_transfer_pop(kClass));
            },
            [] { REQUIRE(hak_transfer_push(kClass, ChainOf(4))); },
            [] { popped.Add(hak_transfer_pop(kClass)); },
        },
        [] {
            popped.AddAll(kClass);
            REQUIRE(popped.bits == 7);
        },
        4,
    });
}

/* The stock of the largest class holds one chain. */
TEST(Transfer, AFullStockRefusesAllButOne) {
    static bool pushed[2];
    constexpr unsigned kLargest = CLASSES - 1;
    Explore({
        [] { popped.bits = 0; },
        {
            [] { pushed[0] = hak_transfer_push(kLargest, ChainOf(1)); },
            [] { pushed[1] = hak_transfer_push(kLargest, ChainOf(2)); },
        },
        [] {
            REQUIRE(pushed[0] != pushed[1]);
            popped.AddAll(kLargest);
            REQUIRE(popped.bits == (pushed[0] ? 1u : 2u));
        },
        kAll,
    });
}

} // namespace
} // namespace interleave
