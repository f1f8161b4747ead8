#include "bench/rss_workload.h"

#include <cstdint>
#include <map>
#include <string>

#include "bench/harness/bench.h"
#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

constexpr std::int64_t kMb = 1 << 20;

Params ShortLife(Life life) {
    return {{"life", static_cast<std::int64_t>(life)},
            {"bytes", 4 * kMb},
            {"shorten", 10},
            {"threads", 1},
            {"seed", 1}};
}

TEST(RssLife, HasAFigureForEachMomentAndTheSamplesBetween) {
    for (const Life life : {Life::kIdle, Life::kPool, Life::kSparse}) {
        RssLife workload(ShortLife(life));
        EXPECT_TRUE(RunAllSteps(&workload, 1));
        const std::map<std::string, double> figures = workload.figures();
        for (const Moment &moment : MomentsOf(life)) {
            EXPECT_EQ(figures.count(std::string("moment_") + moment.name), 1U) << moment.name;
            EXPECT_GT(figures.at(std::string("at_") + moment.name), 0) << moment.name;
        }
        EXPECT_EQ(figures.lower_bound("sample_")->first.rfind("sample_", 0), 0U);
        EXPECT_GE(figures.at("live_mb"), 4);
        EXPECT_LT(figures.at("live_mb"), 4.1);
    }
}

TEST(RssLife, HasAllBlocksResidentWhenFull) {
    constexpr double kLiveMb = 64;
    Params params = ShortLife(Life::kSparse);
    params["bytes"] = static_cast<std::int64_t>(kLiveMb) * kMb;
    RssLife workload(params);
    EXPECT_TRUE(RunAllSteps(&workload, 1));
    // Some of it may have been resident before, for the tests above.
    EXPECT_GE(workload.figures().at("moment_full"), kLiveMb / 2);
}

TEST(RssLife, LooksEveryTenthOfASecond) {
    RssLife workload(ShortLife(Life::kIdle));
    EXPECT_TRUE(RunAllSteps(&workload, 1));
    int samples = 0;
    for (const auto &[name, mb] : workload.figures()) samples += name.rfind("sample_", 0) == 0;
    EXPECT_GE(samples, 10); // 1.1 s, and the moments
}

} // namespace
} // namespace hak_bench
