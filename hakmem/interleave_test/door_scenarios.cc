/* A guest uses what a thread that sleeps does not look after. */
#include <gtest/gtest.h>

#include "hakmem/base/door.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/world.h"

namespace interleave {
namespace {

struct door a_door;
int inside;

void Use() {
    REQUIRE(inside == 0);
    inside = 1;
    Point(__FILE__, __LINE__);
    inside = 0;
}

void Own() {
    door_enter(&a_door);
    Use();
    door_leave(&a_door);
}

void Visit() {
    if (!hak_door_visit(&a_door)) return;
    Use();
    hak_door_end_visit(&a_door);
}

TEST(Door, LetsTheOwnerOrOneGuestIn) {
    Explore({
        [] {
            a_door = {};
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
        [] { REQUIRE(a_door.busy == 0 && a_door.guest == 0); },
        4,
    });
}

Owner sleeper, other;

/* The guest takes in what others free, and gives up what is empty or sparse; the sleeper wakes. */
TEST(Door, AGuestLosesNothingOfAThreadThatWakes) {
    Explore({
        [] {
            a_door = {};
            sleeper.SetUp(3);
            other.SetUpEmpty();
        },
        {
            [] {
                door_enter(&a_door);
                TakeOne(&sleeper.wp, kClass);
                door_leave(&a_door);
            },
            [] { REQUIRE(GiveRemote(sleeper.blocks[0]) == SLAB_OK); },
            [] {
                if (!hak_door_visit(&a_door)) return;
                hak_warm_pool_trim(&sleeper.wp);
                hak_door_end_visit(&a_door);
            },
        },
        [] {
            Settle({&sleeper.wp, &other.wp});
            CheckAtRest();
        },
        2,
    });
}

} // namespace
} // namespace interleave
