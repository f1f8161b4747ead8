#include "bench/ticks.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(TickHistogram, HasNoPercentileWithoutTicks) { EXPECT_EQ(TickHistogram().Percentile(0.5), 0U); }

TEST(TickHistogram, IsExactWhereTicksAreFew) {
    TickHistogram histogram;
    for (std::uint64_t ticks = 1; ticks <= 10; ++ticks) histogram.Add(ticks);
    EXPECT_EQ(histogram.Percentile(0.5), 5U);
    EXPECT_EQ(histogram.Percentile(0.9), 9U);
    EXPECT_EQ(histogram.Percentile(1), 10U);
}

TEST(TickHistogram, RoundsUpByASixteenthAtTheMost) {
    for (std::uint64_t ticks = 1; ticks < (std::uint64_t{1} << 62); ticks = ticks * 3 + 1) {
        TickHistogram histogram;
        histogram.Add(ticks);
        histogram.Add(std::uint64_t{1} << 63); // else the most itself would be the answer
        const std::uint64_t said = histogram.Percentile(0.5);
        EXPECT_GE(said, ticks);
        EXPECT_LE(said - ticks, ticks / 16);
    }
}

TEST(TickHistogram, KnowsTheMostExactly) {
    TickHistogram histogram;
    histogram.Add(1'234'567);
    histogram.Add(3);
    EXPECT_EQ(histogram.most(), 1'234'567U);
    EXPECT_EQ(histogram.Percentile(1), 1'234'567U);
}

TEST(TickHistogram, TakesUpAnother) {
    TickHistogram one;
    TickHistogram other;
    for (int i = 0; i < 99; ++i) one.Add(2);
    other.Add(9);
    one.Add(other);
    EXPECT_EQ(one.total(), 100U);
    EXPECT_EQ(one.Percentile(0.99), 2U);
    EXPECT_EQ(one.Percentile(1), 9U);
}

TEST(Ticks, GoForward) {
    const std::uint64_t before = Ticks();
    EXPECT_GE(Ticks(), before);
}

} // namespace
} // namespace hak_bench
