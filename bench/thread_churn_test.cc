// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("thread_churn", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --cycles=2000 --rounds=2 ";

bool Has(const Outcome &outcome, const char *text) {
    return outcome.output.find(text) != std::string::npos;
}

TEST(ThreadChurn, ShowsATableForEachCase) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text :
         {"generations, 2048 of 4096 blocks replaced, 16–512 B\n",
          "generations, 128 of 256 blocks replaced, 4–64 KiB\n", "lives, 100 blocks, 16–512 B\n",
          "lives, 100 blocks, 4–64 KiB\n", "threads: 2,"}) {
        EXPECT_TRUE(Has(outcome, text)) << text << " not in\n" << outcome.output;
    }
}

TEST(ThreadChurn, RunsTheCasesThatTheFlagsDescribe) {
    const Outcome outcome = RunBench(std::string(kQuick) + "--churn=lives --threads=3");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_TRUE(Has(outcome, "lives, 100 blocks")) << outcome.output;
    EXPECT_FALSE(Has(outcome, "generations")) << outcome.output;
}

TEST(ThreadChurn, WritesJson) {
    const Outcome outcome = RunBench(std::string(kQuick) + "--format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *key : {"\"generations_16_512\"", "\"lives_4k_64k\""}) {
        EXPECT_TRUE(Has(outcome, key)) << key;
    }
}

TEST(ThreadChurn, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--threads=0", "--threads=65", "--churn=milk", "--churn="}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("thread_churn: ", 0), 0U) << outcome.output;
    }
}

} // namespace
