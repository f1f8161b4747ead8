#include "bench/profile_workload.h"

#include <map>
#include <string>

#include "bench/harness/bench.h"
#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(int threads) {
    return {{"cycles", 20000}, {"threads", threads}, {"seed", 1},
            {"ws", 100},       {"min_size", 1},      {"max_size", 300}};
}

TEST(ProfiledMix, RunsOnAnyNumberOfThreads) {
    for (const int threads : {1, 3}) {
        ProfiledMix workload(SmallParams(threads));
        EXPECT_TRUE(RunAllSteps(&workload, threads));
        EXPECT_EQ(workload.operations(), 20000);
    }
}

TEST(ProfiledMix, HasCountsOrTheReasonWhyNot) {
    ProfiledMix workload(SmallParams(1));
    RunAllSteps(&workload, 1);
    const std::map<std::string, double> figures = workload.figures();
    EXPECT_GT(figures.at("start_faults"), 0);
    EXPECT_TRUE(figures.count("hardware_cycles") != 0 || figures.at("hardware_error") != 0);
    EXPECT_TRUE(figures.count("syscalls_mmap") != 0 || figures.at("syscalls_error") != 0);
}

} // namespace
} // namespace hak_bench
