#include "bench/realloc_workload.h"

#include <cstdint>

#include "bench/harness/bench.h"
#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(Resize resize, int threads) {
    return {{"resize", static_cast<std::int64_t>(resize)},
            {"cycles", 200},
            {"threads", threads},
            {"seed", 1}};
}

TEST(Reallocs, RunsEveryWayOnAnyNumberOfThreads) {
    for (const Resize resize : {Resize::kGrow, Resize::kDouble, Resize::kShrink, Resize::kSame}) {
        for (const int threads : {1, 3}) {
            Reallocs workload(SmallParams(resize, threads));
            EXPECT_TRUE(RunAllSteps(&workload, threads)) << static_cast<int>(resize);
            EXPECT_EQ(workload.operations(), 200);
            const double moved = workload.figures().at("moved_share");
            EXPECT_GE(moved, 0);
            EXPECT_LE(moved, 1);
        }
    }
}

TEST(StepsOf, CountsTheSizesOfAWay) {
    EXPECT_EQ(StepsOf(Resize::kDouble), 10); // 16, 32 … 8192
    EXPECT_EQ(StepsOf(Resize::kGrow), 84);
    EXPECT_EQ(StepsOf(Resize::kShrink), 54);
    EXPECT_EQ(StepsOf(Resize::kSame), 0);
}

} // namespace
} // namespace hak_bench
