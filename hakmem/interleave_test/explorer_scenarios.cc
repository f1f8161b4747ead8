/* The explorer itself, on threads whose schedules can be counted by hand. */
#include "hakmem/interleave_test/explorer.h"

#include <gtest/gtest.h>

#include "hakmem/base/lock.h"

namespace interleave {
namespace {

uint32_t counter;

void Count() { store_relaxed(&counter, load_relaxed(&counter) + 1); }

Scenario TwoThatCount() {
    return {[] { counter = 0; }, {Count, Count}, [] { REQUIRE(counter == 2); }, kAll, 0};
}

/* Each thread begins, loads and stores: three steps. */
TEST(Explorer, RunsEachScheduleOnce) {
    Scenario s = TwoThatCount();
    s.check = [] { REQUIRE(counter != 0); };
    Outcome out = RunAll(s);
    EXPECT_EQ(out.failure, "");
    EXPECT_TRUE(out.all);
    EXPECT_EQ(out.schedules, 6 * 5 * 4 / (3 * 2 * 1));
    s.preemptions = 0;
    out = RunAll(s);
    EXPECT_FALSE(out.all);
    EXPECT_EQ(out.schedules, 2);
}

TEST(Explorer, FindsALostUpdateByOnePreemption) {
    Scenario s = TwoThatCount();
    s.preemptions = 0;
    EXPECT_EQ(RunAll(s).failure, "");
    s.preemptions = 1;
    Outcome out = RunAll(s);
    EXPECT_NE(out.failure.find("counter == 2"), std::string::npos) << out.failure;
    flags.schedule = out.schedule;
    Outcome again = RunAll(s);
    flags.schedule.clear();
    EXPECT_EQ(again.failure, out.failure);
    EXPECT_EQ(again.trace, out.trace);
}

TEST(Explorer, FindsALostUpdateByWalking) {
    Scenario s = TwoThatCount();
    s.preemptions = 0;
    s.walks = 100;
    EXPECT_NE(RunAll(s).failure, "");
}

TEST(Explorer, FindsADeadlock) {
    static lock a, b;
    Scenario s = {
        [] { a.state = b.state = 0; },
        {
            [] {
                lock_acquire(&a);
                lock_acquire(&b);
            },
            [] {
                lock_acquire(&b);
                lock_acquire(&a);
            },
        },
        [] {},
    };
    EXPECT_NE(RunAll(s).failure.find("deadlock"), std::string::npos);
}

TEST(Explorer, StopsTheOtherThreadAtEachOfItsSteps) {
    static unsigned seen;
    seen = 0;
    Scenario s = {
        [] { counter = 0; },
        {
            [] {
                Point(__FILE__, __LINE__);
                StopOthers();
            },
            [] {
                Count();
                Count();
            },
        },
        [] { seen |= 1u << counter; },
        kAll,
    };
    EXPECT_EQ(RunAll(s).failure, "");
    EXPECT_EQ(seen, 7u);
}

} // namespace
} // namespace interleave
