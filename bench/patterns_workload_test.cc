#include "bench/patterns_workload.h"

#include <cstdint>

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(Order order, std::int64_t blocks, std::int64_t threads) {
    return {{"order", static_cast<std::int64_t>(order)},
            {"blocks", blocks},
            {"cycles", 5000},
            {"threads", threads},
            {"seed", 1},
            {"min_size", 1},
            {"max_size", 300}};
}

TEST(Patterns, RunAllTheirStepsInEveryOrder) {
    for (const Order order : {Order::kLifo, Order::kBatch, Order::kFifo, Order::kCalloc}) {
        Patterns workload(SmallParams(order, order == Order::kLifo ? 1 : 100, 2));
        EXPECT_TRUE(RunAllSteps(&workload, 2));
        EXPECT_EQ(workload.operations(), 2 * 5000);
    }
}

TEST(Patterns, FreeAllThatWasBuiltOnce) {
    for (const Order order : {Order::kOnce, Order::kOnceShuffled}) {
        Patterns workload(SmallParams(order, 5000, 2));
        EXPECT_TRUE(RunAllSteps(&workload, 2));
        EXPECT_EQ(workload.operations(), 2 * 5000);
    }
}

TEST(Patterns, CountWholeBatches) {
    Patterns workload(SmallParams(Order::kBatch, 3000, 1));
    EXPECT_EQ(workload.operations(), 2 * 6000);
}

TEST(Patterns, SayWhenMemoryRunsOut) {
    Params params = SmallParams(Order::kBatch, 10, 1);
    params["min_size"] = params["max_size"] = std::int64_t{1} << 62;
    Patterns workload(params);
    EXPECT_FALSE(RunAllSteps(&workload, 1));
}

} // namespace
} // namespace hak_bench
