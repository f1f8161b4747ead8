// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("cross_thread", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --cycles=2000 --rounds=2 ";

bool Has(const Outcome &outcome, const char *text) {
    return outcome.output.find(text) != std::string::npos;
}

TEST(CrossThread, ShowsATableForEachPatternAndRangeOfSizes) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *pattern : {"one-way", "symmetric", "ring", "exchange"}) {
        for (const char *sizes : {", 16–512 B\n", ", 64 B\n", ", 4–64 KiB\n"}) {
            EXPECT_TRUE(Has(outcome, (std::string(pattern) + sizes).c_str())) << outcome.output;
        }
    }
}

TEST(CrossThread, RunsTheOneCaseThatTheFlagsDescribe) {
    const Outcome outcome =
        RunBench(std::string(kQuick) + "--pattern=ring --min_size=32 --threads=3");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_TRUE(Has(outcome, "ring, 32–512 B")) << outcome.output;
    EXPECT_FALSE(Has(outcome, "4–64 KiB")) << outcome.output;
    EXPECT_FALSE(Has(outcome, "exchange")) << outcome.output;
}

TEST(CrossThread, EachCaseHasItsOwnStepsUnlessTheyAreGiven) {
    const std::string one =
        "--allocators=system --rounds=1 --pattern=exchange --min_size=4096 --max_size=4096 ";
    EXPECT_TRUE(Has(RunBench(one), "threads: 2, steps a thread: by case"));
    EXPECT_TRUE(Has(RunBench(one + "--cycles=2000"), "threads: 2, steps a thread: 2000"));
    EXPECT_TRUE(Has(RunBench("--help"), "(default: each case has its own)"));
}

TEST(CrossThread, WritesJsonWithWhatTheThreadsWorked) {
    const Outcome outcome = RunBench(std::string(kQuick) + "--format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *key : {"\"one_way_16_512\"", "\"exchange_4k_64k\"", "\"worked_ns\""}) {
        EXPECT_TRUE(Has(outcome, key)) << key;
    }
}

TEST(CrossThread, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--threads=0", "--threads=9", "--pattern=square",
                              "--pattern=", "--min_size=0", "--min_size=513", "--ws=1"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("cross_thread: ", 0), 0U) << outcome.output;
    }
}

} // namespace
