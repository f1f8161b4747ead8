#include "bench/sizes_workload.h"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"
#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(SweepSizes, HasThreeSizesBetweenTwoPowersOfTwo) {
    EXPECT_EQ(SweepSizes(40), (std::vector<std::size_t>{16, 20, 24, 28, 32, 40}));
    EXPECT_EQ(SweepSizes(std::size_t{32} << 20).size(), 21U * 4 + 1);
    EXPECT_EQ(SweepSizes(std::size_t{32} << 20).back(), std::size_t{32} << 20);
}

TEST(SizeSweep, HasAFigureForEachSizeAndWay) {
    SizeSweep workload({{"threads", 1}, {"seed", 1}, {"span_us", 1}, {"max_size", 1 << 20}});
    EXPECT_TRUE(RunAllSteps(&workload, 1));
    const std::map<std::string, double> figures = workload.figures();
    for (const std::size_t size : SweepSizes(1 << 20)) {
        for (const Pairs pairs : {Pairs::kLifo, Pairs::kBatch}) {
            ASSERT_EQ(figures.count(SweepFigure(pairs, size)), 1U) << size;
            EXPECT_GT(figures.at(SweepFigure(pairs, size)), 0) << size;
        }
    }
    EXPECT_GT(figures.at("loop_lifo"), 0);
    EXPECT_GT(workload.operations(), 0);
}

} // namespace
} // namespace hak_bench
