#include "bench/thread_churn_workload.h"

#include <cstdint>

#include "bench/harness/bench.h"
#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(Churn churn, int threads) {
    return {{"cycles", 5000}, {"threads", threads},
            {"seed", 1},      {"churn", static_cast<std::int64_t>(churn)},
            {"blocks", 100},  {"replaced", churn == Churn::kLives ? 100 : 50},
            {"min_size", 1},  {"max_size", 300}};
}

TEST(ThreadChurn, RunsBothKindsOnAnyNumberOfThreads) {
    for (const Churn churn : {Churn::kGenerations, Churn::kLives}) {
        for (const int threads : {1, 2, 5}) {
            ThreadChurn workload(SmallParams(churn, threads));
            EXPECT_TRUE(RunAllSteps(&workload, threads))
                << static_cast<int>(churn) << ' ' << threads;
        }
    }
}

TEST(ThreadChurn, CountsTheWorkOfTheThreadsThatHaveEnded) {
    ThreadChurn workload(SmallParams(Churn::kLives, 2));
    RunAllSteps(&workload, 2);
    EXPECT_GT(workload.worked_ns(), 0);
}

TEST(ThreadChurn, CountsWholeLivesOfAtLeastTheCycles) {
    EXPECT_EQ(ThreadChurn(SmallParams(Churn::kGenerations, 1)).operations(), 5000);
    EXPECT_EQ(ThreadChurn(SmallParams(Churn::kLives, 1)).operations(), 5000);
    Params params = SmallParams(Churn::kGenerations, 1);
    params["cycles"] = 5001;
    EXPECT_EQ(ThreadChurn(params).operations(), 5100);
}

} // namespace
} // namespace hak_bench
