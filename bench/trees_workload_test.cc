#include "bench/trees_workload.h"

#include <cstdint>

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(std::int64_t node_bytes) {
    return {{"cycles", 1000}, {"depth", 7}, {"node_bytes", node_bytes}, {"threads", 2}};
}

TEST(Trees, RunAllTheirSteps) {
    Trees workload(SmallParams(32));
    EXPECT_TRUE(RunAllSteps(&workload, 2));
    EXPECT_EQ(workload.operations(), 2 * 4 * 255) << "whole trees of 255 nodes";
}

TEST(Trees, SayWhenMemoryRunsOut) {
    Trees workload(SmallParams(std::int64_t{1} << 62));
    EXPECT_FALSE(RunAllSteps(&workload, 2));
}

} // namespace
} // namespace hak_bench
