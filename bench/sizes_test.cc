// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("sizes", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --cycles=2000 --rounds=1 --span_us=1 ";

bool Has(const Outcome &outcome, const char *text) {
    return outcome.output.find(text) != std::string::npos;
}

TEST(Sizes, ShowsTheSweepAndBothMixes) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text :
         {"16 B to 32 MiB, one block at a time", "16 blocks at a time", "1.75 KiB", "32 MiB",
          "cliffs of system: ", "mix 1–256 KiB, 256 slots\n", "mix 4–128 KiB, 256 slots\n"}) {
        EXPECT_TRUE(Has(outcome, text)) << text << " not in\n" << outcome.output;
    }
}

TEST(Sizes, WritesJsonWithEachSize) {
    const Outcome outcome =
        RunBench(std::string(kQuick) + "--format=json --max_size=1024", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *key : {"\"lifo_16\"", "\"batch_1024\"", "\"mix_1k_256k\""}) {
        EXPECT_TRUE(Has(outcome, key)) << key;
    }
    EXPECT_FALSE(Has(outcome, "\"lifo_1280\""));
}

TEST(Sizes, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--threads=2", "--span_us=0", "--max_size=15"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("sizes: ", 0), 0U) << outcome.output;
    }
}

} // namespace
