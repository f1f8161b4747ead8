#include "bench/latency_workload.h"

#include <cstdint>
#include <string>

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(std::int64_t wide, std::int64_t shared, std::int64_t max_size = 3000) {
    return {{"cycles", 20000}, {"threads", 3},         {"seed", 1},    {"ws", 100},
            {"min_size", 16},  {"max_size", max_size}, {"wide", wide}, {"shared", shared}};
}

void ExpectAscending(const std::map<std::string, double> &figures, const std::string &call) {
    double last = 0;
    for (const LatencyShare &share : LatencyShares()) {
        const double ns = figures.at(call + share.name);
        EXPECT_GE(ns, last) << call << share.name;
        last = ns;
    }
    EXPECT_GT(last, 0) << call;
}

TEST(Latency, RunsAllItsStepsOnOwnAndSharedSlotsOfEitherSizes) {
    for (const std::int64_t wide : {0, 1}) {
        for (const std::int64_t shared : {0, 1}) {
            Latency workload(SmallParams(wide, shared));
            EXPECT_TRUE(RunAllSteps(&workload, 3));
            for (const char *call : {"malloc_", "free_", "clock_"}) {
                ExpectAscending(workload.figures(), call);
            }
        }
    }
}

TEST(Latency, SaysWhenMemoryRunsOut) {
    Params params = SmallParams(0, 1, std::int64_t{1} << 62);
    params["min_size"] = params["max_size"];
    Latency workload(params);
    EXPECT_FALSE(RunAllSteps(&workload, 3));
}

} // namespace
} // namespace hak_bench
