// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("profile", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --cycles=2000 --rounds=1 ";

bool Has(const Outcome &outcome, const char *text) {
    return outcome.output.find(text) != std::string::npos;
}

TEST(Profile, ShowsATableForBothCases) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text :
         {"random mixed, 256 slots, 16–1040 B\n", "random mixed, 8192 slots, 16–1040 B\n",
          "configuration", "kernel %", "system calls", "hardware counters"}) {
        EXPECT_TRUE(Has(outcome, text)) << text << " not in\n" << outcome.output;
    }
    EXPECT_FALSE(Has(outcome, "HAKMEM_")) << "options of an allocator that was not asked for";
}

TEST(Profile, RunsHakmemWithEachOption) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer's own malloc must come before any that is preloaded";
#endif
    const Outcome outcome =
        RunBench("--allocators=hakmem --cycles=2000 --rounds=1 --format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *text : {"\"HAKMEM_SS_PREFAULT=1\"", "\"HAKMEM_PREWARM_SUPERSLABS=8\"",
                             "\"environment\"", "\"start_faults\"", "\"hak_all_superslabs\""}) {
        EXPECT_TRUE(Has(outcome, text)) << text;
    }
}

TEST(Profile, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--threads=0", "--cycles=0", "--ws=3"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("profile: ", 0), 0U) << outcome.output;
    }
}

} // namespace
