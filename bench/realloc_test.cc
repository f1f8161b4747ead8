// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("realloc", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --cycles=100 --rounds=1 ";

bool Has(const Outcome &outcome, const char *text) {
    return outcome.output.find(text) != std::string::npos;
}

TEST(Realloc, ShowsATableForEachWay) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text : {"grow, 4 KiB to 64 MiB", "double, 1024 vectors", "shrink, 64 KiB",
                             "same size, 1024 blocks", "ns a realloc", "µs a way", "moved %"}) {
        EXPECT_TRUE(Has(outcome, text)) << text << " not in\n" << outcome.output;
    }
}

TEST(Realloc, WritesJsonOfTheWayThatTheFlagNames) {
    const Outcome outcome =
        RunBench(std::string(kQuick) + "--resize=same --format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    EXPECT_TRUE(Has(outcome, "\"moved_share\""));
    EXPECT_FALSE(Has(outcome, "grow"));
}

TEST(Realloc, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--threads=65", "--resize=fold", "--cycles=0"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("realloc: ", 0), 0U) << outcome.output;
    }
}

} // namespace
