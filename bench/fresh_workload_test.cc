#include "bench/fresh_workload.h"

#include <cstdint>

#include "bench/harness/bench.h"
#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

constexpr std::int64_t kMb = 1 << 20;

Params SmallParams(int threads, bool zeroed) {
    return {{"bytes", 4 * kMb}, {"min_size", 16},     {"max_size", 16000},
            {"zeroed", zeroed}, {"threads", threads}, {"seed", 1}};
}

TEST(FreshBlocks, RunsWithMallocAndCallocOnAnyNumberOfThreads) {
    for (const bool zeroed : {false, true}) {
        for (const int threads : {1, 3}) {
            FreshBlocks workload(SmallParams(threads, zeroed));
            EXPECT_TRUE(RunAllSteps(&workload, threads));
        }
    }
}

TEST(FreshBlocks, AllocatesTheBytesAndNotABlockMore) {
    FreshBlocks workload(SmallParams(2, false));
    const double live_mb = workload.figures().at("live_mb");
    EXPECT_GE(live_mb, 4);
    EXPECT_LT(live_mb, 4 + 2 * 16000.0 / kMb);
    EXPECT_GT(workload.operations(), 100);
}

} // namespace
} // namespace hak_bench
