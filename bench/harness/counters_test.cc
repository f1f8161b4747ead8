#include "bench/harness/counters.h"

#include <cstdint>
#include <map>
#include <string>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(Counters, CountsOrSaysWhyNot) {
    constexpr std::uint64_t kTurns = 1'000'000;
    Counters counters;
    counters.Open(CounterKind::kHardware);
    counters.Start();
    for (std::uint64_t i = 0; i < kTurns; ++i) asm volatile("" : "+r"(i));
    counters.Stop();
    const std::map<std::string, double> counts = counters.Read();
    if (counts.count("instructions") == 0) {
        EXPECT_NE(counters.error(), 0);
    } else {
        EXPECT_GE(counts.at("instructions"), kTurns);
    }
}

TEST(Counters, ReadsNothingThatWasNotOpened) {
    const Counters counters;
    EXPECT_TRUE(counters.Read().empty());
    EXPECT_EQ(counters.error(), 0);
}

TEST(Counters, SystemCallsAreCountedOrNotAvailable) {
    Counters counters;
    counters.Open(CounterKind::kSyscalls);
    counters.Start();
    counters.Stop();
    EXPECT_TRUE(counters.error() != 0 || counters.Read().count("mmap") == 1);
}

} // namespace
} // namespace hak_bench
