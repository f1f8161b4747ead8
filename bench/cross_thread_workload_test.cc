#include "bench/cross_thread_workload.h"

#include <cstddef>
#include <cstdint>
#include <ctime>

#include "bench/harness/bench.h"
#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

constexpr Pattern kPatterns[] = {Pattern::kOneWay, Pattern::kSymmetric, Pattern::kRing,
                                 Pattern::kExchange};

Params SmallParams(Pattern pattern, int threads, std::int64_t max_size) {
    return {{"cycles", 5000}, {"threads", threads},
            {"seed", 1},      {"pattern", static_cast<std::int64_t>(pattern)},
            {"min_size", 1},  {"max_size", max_size}};
}

TEST(CrossThread, RunsEveryPatternOnAnyNumberOfThreads) {
    for (const Pattern pattern : kPatterns) {
        for (const int threads : {1, 2, 3, 4, 5}) {
            CrossThread workload(SmallParams(pattern, threads, 300));
            EXPECT_TRUE(RunAllSteps(&workload, threads))
                << static_cast<int>(pattern) << ' ' << threads;
        }
    }
}

TEST(CrossThread, CountsWholeStepsOfAtLeastTheCycles) {
    for (const Pattern pattern : kPatterns) {
        const CrossThread workload(SmallParams(pattern, 2, 300));
        EXPECT_GE(workload.operations(), 5000);
        EXPECT_LT(workload.operations(), 5000 + 2 * kBatchBlocks);
    }
}

TEST(CrossThread, CountsNoMoreWorkThanTheProcessHadTimeForIt) {
    for (const Pattern pattern : kPatterns) {
        CrossThread workload(SmallParams(pattern, 8, 300));
        const std::clock_t before = std::clock();
        RunAllSteps(&workload, 8);
        const double spent = 1e9 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
        EXPECT_GT(workload.worked_ns(), 0);
        EXPECT_LT(workload.worked_ns(), spent);
    }
}

TEST(CrossThread, NobodyWaitsForAThreadThatGetsNoMemory) {
    for (const Pattern pattern : kPatterns) {
        Params params = SmallParams(pattern, 3, 0);
        params["min_size"] = params["max_size"] = std::int64_t{1} << 62;
        CrossThread workload(params);
        EXPECT_FALSE(RunAllSteps(&workload, 3)) << static_cast<int>(pattern);
    }
}

} // namespace
} // namespace hak_bench
