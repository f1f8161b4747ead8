#include "bench/program_workload.h"

#include <cstdint>
#include <string>

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(Programs, EachThatIsInstalledDoesItsSteps) {
    const auto &programs = Programs();
    int ran = 0;
    for (std::size_t i = 0; i < programs.size(); ++i) {
        if (FindProgram(programs[i].name).empty()) continue;
        ProgramRun run({{"program", static_cast<std::int64_t>(i)}, {"cycles", 40}});
        run.Prepare(0);
        EXPECT_TRUE(run.Run(0)) << run.failure();
        EXPECT_GT(run.worked_ns(), 0) << programs[i].name;
        EXPECT_GT(run.figures().at("program_peak_kib"), 0) << programs[i].name;
        ++ran;
    }
    EXPECT_GT(ran, 0);
}

TEST(Programs, MoreStepsAreMoreMemory) {
    if (FindProgram("perl").empty()) GTEST_SKIP() << "perl is not installed";
    const auto peak = [](std::int64_t steps) {
        ProgramRun run({{"program", 5}, {"cycles", steps}});
        run.Prepare(0);
        EXPECT_TRUE(run.Run(0)) << run.failure();
        return run.figures().at("program_peak_kib");
    };
    EXPECT_GT(peak(300'000), peak(1) + 4096);
}

TEST(FindProgram, FindsNoneByAnUnknownName) { EXPECT_EQ(FindProgram("no such program"), ""); }

} // namespace
} // namespace hak_bench
