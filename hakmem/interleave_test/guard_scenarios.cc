/* A guest uses what a thread that sleeps does not look after. */
#include <gtest/gtest.h>

#include "hakmem/base/guard.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"

namespace interleave {
namespace {

struct guard a_guard;
int inside;

void Use() {
    REQUIRE(inside == 0);
    inside = 1;
    Point(__FILE__, __LINE__);
    inside = 0;
}

void Own() {
    guard_enter(&a_guard);
    Use();
    guard_leave(&a_guard);
}

void Visit() {
    if (!hak_guard_visit(&a_guard)) return;
    Use();
    hak_guard_end_visit(&a_guard);
}

TEST(Guard, LetsTheOwnerOrOneGuestIn) {
    Explore({
        [] {
            a_guard = {};
            inside = 0;
        },
        {
            [] {
                Own();
                Own();
            },
            Visit,
            Visit,
        },
        [] { REQUIRE(a_guard.busy == 0 && a_guard.guest == 0); },
        5,
    });
}

Owner sleeper, other;

/* The guest takes in what others free, and gives up what is empty or sparse; the sleeper wakes. */
TEST(Guard, AGuestLosesNothingOfAThreadThatWakes) {
    Explore({
        [] {
            a_guard = {};
            sleeper.SetUp(3);
            other.SetUpEmpty();
        },
        {
            [] {
                guard_enter(&a_guard);
                TakeOne(&sleeper.wp, kClass);
                guard_leave(&a_guard);
            },
            [] { REQUIRE(GiveRemote(sleeper.blocks[0]) == SLAB_OK); },
            [] {
                if (!hak_guard_visit(&a_guard)) return;
                hak_warm_pool_trim(&sleeper.wp);
                hak_guard_end_visit(&a_guard);
            },
        },
        [] {
            Settle({&sleeper.wp, &other.wp});
            CheckAtRest();
        },
        3,
    });
}

} // namespace
} // namespace interleave
