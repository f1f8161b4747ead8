#include "bench/shared_lines_workload.h"

#include <cstdint>

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(Sharing sharing, std::int64_t size) {
    return {{"sharing", static_cast<std::int64_t>(sharing)},
            {"cycles", 1000},
            {"threads", 3},
            {"size", size},
            {"writes", 10}};
}

TEST(SharedLines, RunAllTheirStepsEitherWay) {
    for (const Sharing sharing : {Sharing::kThrash, Sharing::kScratch}) {
        SharedLines workload(SmallParams(sharing, 8));
        EXPECT_TRUE(RunAllSteps(&workload, 3));
        EXPECT_EQ(workload.operations(), 2000);
    }
}

TEST(SharedLines, SayWhenMemoryRunsOut) {
    SharedLines workload(SmallParams(Sharing::kScratch, std::int64_t{1} << 62));
    EXPECT_FALSE(RunAllSteps(&workload, 3));
}

} // namespace
} // namespace hak_bench
