// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("latency", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --cycles=3000 --rounds=2 ";

TEST(Latency, ShowsPercentilesForEachMix) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text : {"small: 8192", "medium: 256", "wide: 256", "shared: 8192",
                             "malloc, ns", "free, ns", "p99.99", "max", "the clock alone"}) {
        EXPECT_NE(outcome.output.find(text), std::string::npos) << text << " not in\n"
                                                                << outcome.output;
    }
}

TEST(Latency, WritesJsonWithThePercentiles) {
    const Outcome outcome =
        RunBench(std::string(kQuick) + "--mix=wide --format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *key : {"\"malloc_p50\"", "\"free_p99.99\"", "\"clock_max\"", "\"switches\""}) {
        EXPECT_NE(outcome.output.find(key), std::string::npos) << key;
    }
}

TEST(Latency, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--mix=nosuch", "--threads=65", "--threads=0", "word"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("latency: ", 0), 0U) << outcome.output;
    }
}

} // namespace
