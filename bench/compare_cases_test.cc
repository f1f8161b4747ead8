#include "bench/compare_cases.h"

#include <set>
#include <string>

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

constexpr std::int64_t kTiny = 10'000;

TEST(CompareCases, HaveTheGroupsOfAllBenches) {
    const CompareCases all = AllCompareCases(1);
    const std::vector<std::string> groups = GroupsOf(all.cases);
    const std::set<std::string> found(groups.begin(), groups.end());
    EXPECT_EQ(found.size(), groups.size()) << "a group's rows stand together";
    for (const char *group : {"mixed", "lifo", "batch", "fifo", "calloc", "trees", "sizes", "store",
                              "maps", "realloc", "fresh", "cross", "lines", "churn", "rss"}) {
        EXPECT_EQ(found.count(group), 1U) << group;
    }
    std::set<std::string> names;
    for (const Case &one : all.cases) EXPECT_TRUE(names.insert(one.name).second) << one.name;
}

TEST(CompareCases, ShrinkTheirSteps) {
    const CompareCases whole = AllCompareCases(1);
    const CompareCases half = AllCompareCases(2);
    EXPECT_EQ(whole.cases[0].params.at("cycles"), 2 * half.cases[0].params.at("cycles"));
}

TEST(CompareCases, EachRunsAllItsSteps) {
    for (const Case &one : AllCompareCases(kTiny).cases) {
        Params params = one.params;
        params["seed"] = 1;
        const auto workload = MakeCompareWorkload(params);
        EXPECT_TRUE(RunAllSteps(workload.get(), static_cast<int>(params.at("threads"))))
            << one.name << ": " << workload->failure();
        EXPECT_GT(workload->operations(), 0) << one.name;
    }
}

TEST(CompareCases, GiveTheMeanOfASweep) {
    for (const Case &one : AllCompareCases(kTiny).cases) {
        if (GroupOf(one) != "sizes") continue;
        const auto workload = MakeCompareWorkload(one.params);
        ASSERT_TRUE(RunAllSteps(workload.get(), 1));
        const auto figures = workload->figures();
        EXPECT_GT(figures.at("unit_ns"), 0);
        EXPECT_LT(figures.at("unit_ns"), figures.at("lifo_33554432") * 1000);
    }
}

} // namespace
} // namespace hak_bench
