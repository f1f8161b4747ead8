// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("fresh", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --mib=4 --rounds=1 ";

bool Has(const Outcome &outcome, const char *text) {
    return outcome.output.find(text) != std::string::npos;
}

TEST(Fresh, ShowsATableForEachCallAndSize) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text : {"malloc, 4 MiB of 16–400 B\n", "malloc, 4 MiB of 4–64 KiB\n",
                             "calloc, 4 MiB of 16–400 B\n", "calloc, 4 MiB of 4–64 KiB\n",
                             "ns a block", "over live"}) {
        EXPECT_TRUE(Has(outcome, text)) << text << " not in\n" << outcome.output;
    }
}

TEST(Fresh, WritesJson) {
    const Outcome outcome = RunBench(std::string(kQuick) + "--format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *key : {"\"calloc_16_400\"", "\"malloc_4k_64k\"", "\"live_mb\""}) {
        EXPECT_TRUE(Has(outcome, key)) << key;
    }
}

TEST(Fresh, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--threads=65", "--mib=0"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("fresh: ", 0), 0U) << outcome.output;
    }
}

} // namespace
