// Runs the program as a user does. Figures are not looked at: only that they are there.
#include <fstream>
#include <string>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("random_mixed", flags, redirect);
}

constexpr char kQuick[] = "--allocators=system --cycles=2000 --rounds=2 ";

TEST(RandomMixed, ShowsATableForEachOfTheThreeCases) {
    const Outcome outcome = RunBench(kQuick);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    for (const char *text : {"random mixed, 256 slots, 16–1040 B", "random mixed, 8192 slots",
                             "tiny hot, 256 slots, 8–128 B", "M ops/s", "system", "best 1.00"}) {
        EXPECT_NE(outcome.output.find(text), std::string::npos) << text << " not in\n"
                                                                << outcome.output;
    }
}

TEST(RandomMixed, RunsTheOneCaseThatTheFlagsDescribe) {
    const Outcome outcome = RunBench(std::string(kQuick) + "--ws 64 --min_size=32 --threads=3");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_NE(outcome.output.find("64 slots, 32–1040 B"), std::string::npos) << outcome.output;
    EXPECT_EQ(outcome.output.find("tiny hot"), std::string::npos) << outcome.output;
}

TEST(RandomMixed, WritesJsonWithEveryRound) {
    const Outcome outcome = RunBench(std::string(kQuick) + "--format=json", "2>/dev/null");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(hak_bench::IsJson(outcome.output)) << outcome.output;
    for (const char *key : {"\"machine\"", "\"rounds\"", "\"mixed_8192\"", "\"verdict\"",
                            "\"malloc_path\"", "\"kernel_share\"", "\"net_ns_per_pair\""}) {
        EXPECT_NE(outcome.output.find(key), std::string::npos) << key;
    }
}

TEST(RandomMixed, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags : {"--cycles=0",
                              "--cycles=-1",
                              "--cycles=many",
                              "--ws=0",
                              "--threads=0",
                              "--threads=1025",
                              "--rounds=0",
                              "--min_size=0",
                              "--max_size=0",
                              "--min_size=100 --max_size=99",
                              "--format=xml",
                              "--allocators=nosuch",
                              "--allocators=mine=/no/such.so",
                              "--allocators=",
                              "--nosuch=1",
                              "--nosuch",
                              "--cycles",
                              "word",
                              "-- --ws=1",
                              "--seed=-1"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("random_mixed: ", 0), 0U) << outcome.output;
    }
}

TEST(RandomMixed, SaysWhenTheAllocatorIsNotTheOneThatWasPreloaded) {
    const std::string path = ::testing::TempDir() + "/no_library.so";
    std::ofstream(path) << "not a library";
    const Outcome outcome = RunBench("--cycles=2000 --rounds=1 --allocators=mine=" + path);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.output.find("is preloaded"), std::string::npos) << outcome.output;
}

TEST(RandomMixed, ExplainsItsFlags) {
    const Outcome outcome = RunBench("--help");
    EXPECT_EQ(outcome.exit_code, 0);
    for (const char *flag : {"--cycles", "--ws", "--seed", "--min_size", "--max_size", "--threads",
                             "--rounds", "--allocators", "--format"}) {
        EXPECT_NE(outcome.output.find(flag), std::string::npos) << flag;
    }
}

} // namespace
