#include "bench/harness/summary.h"

#include <string>
#include <vector>

#include "bench/harness/json_check.h"
#include "bench/harness/report.h"
#include "bench/harness/report_json.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

// 1000 operations in `wall_ns`, 200 ns of which are the loop's.
ChildResult Round(double wall_ns, double peak_kib) {
    ChildResult result;
    result.values = {{"operations", 1000},  {"threads", 1},         {"wall_ns", wall_ns},
                     {"loop_ns", 200},      {"worked_ns", wall_ns}, {"loop_worked_ns", 200},
                     {"user_us", 9},        {"kernel_us", 1},       {"faults", 12},
                     {"peak_kib", peak_kib}};
    return result;
}

std::vector<CaseSummary> SummaryOf(const std::vector<Allocator> &allocators,
                                   const std::vector<std::vector<ChildResult>> &rounds) {
    return Summarize(Bench(), {{"case", "a case", {}}}, allocators, {rounds});
}

TEST(Summarize, GivesMediansOfTheRounds) {
    const auto summaries =
        SummaryOf({{"system", ""}}, {{Round(1000, 2048), Round(4000, 1024), Round(2000, 4096)}});
    const Row &row = summaries[0].rows[0];
    EXPECT_DOUBLE_EQ(row.mops.median, 500);
    EXPECT_DOUBLE_EQ(row.ns_pair.median, 4);
    EXPECT_DOUBLE_EQ(row.ns_pair.min, 2);
    EXPECT_DOUBLE_EQ(row.ns_pair.max, 8);
    EXPECT_DOUBLE_EQ(row.net_ns_pair.median, 3.6);
    EXPECT_DOUBLE_EQ(row.peak_mb, 2);
    EXPECT_DOUBLE_EQ(row.kernel_share, 0.1);
}

TEST(Summarize, LeavesWaitingOutOfTheTimeOfAPairButNotOutOfTheSpeed) {
    ChildResult round = Round(1000, 0);
    round.values["threads"] = 2;
    round.values["worked_ns"] = 1400;
    round.values["loop_worked_ns"] = 300;
    const auto summaries = SummaryOf({{"system", ""}}, {{round}});
    const Row &row = summaries[0].rows[0];
    EXPECT_DOUBLE_EQ(row.mops.median, 1000);
    EXPECT_DOUBLE_EQ(row.ns_pair.median, 2.8);
    EXPECT_DOUBLE_EQ(row.net_ns_pair.median, 2.2);
}

TEST(Summarize, ComparesWithTheFastestThatIsNotHakmem) {
    const auto summaries = SummaryOf({{"hakmem", "/h"}, {"system", ""}, {"mimalloc", "/m"}},
                                     {{Round(800, 0)}, {Round(2000, 0)}, {Round(1000, 0)}});
    EXPECT_EQ(summaries[0].best_peer, "mimalloc");
    EXPECT_DOUBLE_EQ(summaries[0].rows[0].of_best_peer, 1.25);
    EXPECT_DOUBLE_EQ(summaries[0].rows[1].of_best_peer, 0.5);
    EXPECT_DOUBLE_EQ(summaries[0].rows[2].of_best_peer, 1);
}

TEST(Verdict, SaysWhereHakmemIsBehindLevelAndAhead) {
    const auto summaries =
        SummaryOf({{"hakmem", "/h"}, {"fast", "/f"}, {"same", "/s"}, {"system", ""}},
                  {{Round(1000, 0)}, {Round(930, 0)}, {Round(1001, 0)}, {Round(2000, 0)}});
    EXPECT_EQ(Verdict(summaries),
              (std::vector<std::string>{
                  "a case: hakmem is behind fast (0.93 of its speed); is level with same (1.00 of "
                  "its speed); is ahead of system (2.00 of its speed)."}));
}

TEST(Verdict, SaysWhoNeedsLessMemory) {
    const auto summaries =
        SummaryOf({{"hakmem", "/h"}, {"small", "/s"}, {"big", "/b"}},
                  {{Round(500, 4096)}, {Round(1000, 1024)}, {Round(1000, 8192)}});
    const std::vector<std::string> verdict = Verdict(summaries);
    ASSERT_EQ(verdict.size(), 2U);
    EXPECT_EQ(verdict[1],
              "a case: hakmem holds more memory at its peak, 4.0 MB, than small (1.0 MB).");
}

TEST(Verdict, SaysWhenThereIsNothingToCompare) {
    EXPECT_EQ(Verdict(SummaryOf({{"system", ""}}, {{Round(1000, 0)}})).size(), 1U);
    EXPECT_EQ(Verdict(SummaryOf({{"hakmem", "/h"}}, {{Round(1000, 0)}})).size(), 1U);
}

TEST(Report, LeavesACaseOfItsOwnToTheBench) {
    Bench bench;
    bench.case_report = [](const CaseSummary &summary) { return summary.bench_case.title + "!\n"; };
    auto summaries = SummaryOf({{"hakmem", "/h"}, {"system", ""}}, {{Round(1, 0)}, {Round(2, 0)}});
    summaries[0].bench_case.own_report = true;
    const std::string text = TextReport(bench, Options(), summaries, Machine());
    EXPECT_NE(text.find("\n\na case!\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("M ops/s"), std::string::npos) << text;
    EXPECT_TRUE(Verdict(summaries).empty());
}

TEST(Report, AddsTheColumnsOfTheBench) {
    Bench bench;
    bench.pair = "realloc";
    bench.columns = {{"added", [](const Row &row) { return row.allocator.name + "'s"; }}};
    const auto summaries = SummaryOf({{"system", ""}}, {{Round(1000, 0)}});
    const std::string text = TextReport(bench, Options(), summaries, Machine());
    EXPECT_NE(text.find("ns a realloc"), std::string::npos) << text;
    EXPECT_NE(text.find("added\n"), std::string::npos) << text;
    EXPECT_NE(text.find("system's\n"), std::string::npos) << text;
}

TEST(Report, ShowsHakmemsSlabRequests) {
    ChildResult round = Round(1000, 0);
    round.values["hak_warm_hits"] = 999;
    round.values["hak_warm_misses"] = 1;
    round.values["hak_stage_mapped"] = 1;
    const auto summaries =
        SummaryOf({{"hakmem", "/h"}, {"system", ""}}, {{round}, {Round(2000, 0)}});
    const std::string text = TextReport(Bench(), Options(), summaries, Machine());
    EXPECT_NE(text.find("99.90 % hits (of 1000 slab requests)"), std::string::npos) << text;
    const std::string json = JsonReport(Bench(), Options(), summaries, Machine());
    EXPECT_TRUE(IsJson(json)) << json;
    EXPECT_NE(json.find("\"warm_pool_hit_rate\": 0.999"), std::string::npos) << json;
}

} // namespace
} // namespace hak_bench
