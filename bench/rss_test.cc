// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("rss", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --shorten=100 ";

bool Has(const Outcome &outcome, const char *text) {
    return outcome.output.find(text) != std::string::npos;
}

TEST(Rss, ShowsATableForEachLife) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text : {"idle: 5.12 MB freed", "pool: 0.64 MB", "sparse: 1.5 MB", "90 % freed",
                             "20th done", "trim", "over live"}) {
        EXPECT_TRUE(Has(outcome, text)) << text << " not in\n" << outcome.output;
    }
}

TEST(Rss, WritesJsonWithTheCurve) {
    const Outcome outcome =
        RunBench(std::string(kQuick) + "--life=sparse --format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *key :
         {"\"moment_full\"", "\"moment_trimmed\"", "\"sample_0000", "\"live_mb\""}) {
        EXPECT_TRUE(Has(outcome, key)) << key;
    }
}

TEST(Rss, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--threads=2", "--shorten=0", "--life=wild"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("rss: ", 0), 0U) << outcome.output;
    }
}

} // namespace
