#include "bench/harness/stats.h"

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(SpreadOf, AnOddCountHasItsMiddleAsMedian) {
    const Spread spread = SpreadOf({5, 1, 3});
    EXPECT_EQ(spread.median, 3);
    EXPECT_EQ(spread.min, 1);
    EXPECT_EQ(spread.max, 5);
}

TEST(SpreadOf, AnEvenCountHasTheMeanOfTheMiddleTwo) { EXPECT_EQ(SpreadOf({4, 1, 2, 9}).median, 3); }

TEST(SpreadOf, OneValueIsAllThree) {
    const Spread spread = SpreadOf({7});
    EXPECT_EQ(spread.median, 7);
    EXPECT_EQ(spread.min, 7);
    EXPECT_EQ(spread.max, 7);
}

TEST(SpreadOf, NothingIsZero) { EXPECT_EQ(SpreadOf({}).median, 0); }

} // namespace
} // namespace hak_bench
