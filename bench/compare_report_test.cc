#include "bench/compare_report.h"

#include <string>
#include <vector>

#include "bench/harness/json_check.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

// A pair in `ns`, `mb` at the most.
ChildResult Round(double ns, double mb) {
    ChildResult result;
    result.values = {
        {"operations", 2000}, {"worked_ns", 1000 * ns}, {"wall_ns", 1}, {"peak_kib", 1024 * mb}};
    return result;
}

CaseSummary SummaryOf(const std::string &name, const std::vector<std::vector<double>> &ns,
                      double subject_mb = 2) {
    CaseSummary summary;
    summary.bench_case.name = name;
    summary.bench_case.title = "row " + name;
    const std::vector<std::string> names = {"hakmem", "system", "peer"};
    for (std::size_t i = 0; i < ns.size(); ++i) {
        Row row;
        row.allocator.name = names[i];
        for (const double one : ns[i]) row.rounds.push_back(Round(one, i == 0 ? subject_mb : 4));
        summary.rows.push_back(row);
    }
    return summary;
}

TEST(CompareAll, TakesTheBestPeerOverTheSubjectRoundByRound) {
    const std::vector<CaseSummary> summaries = {
        SummaryOf("a.1", {{10, 11, 9}, {40, 40, 40}, {20, 22, 20}})};
    const std::vector<Comparison> all = CompareAll(summaries, UnitNs);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].values, (std::vector<double>{10, 40, 20}));
    EXPECT_EQ(all[0].best_peer, "peer");
    EXPECT_DOUBLE_EQ(all[0].ratio, 2);
    EXPECT_DOUBLE_EQ(all[0].ratios.min, 2);
    EXPECT_DOUBLE_EQ(all[0].ratios.max, 20.0 / 9);
}

TEST(CompareAll, LeavesTheOuterRoundsOutOfTheSpread) {
    const std::vector<CaseSummary> summaries = {
        SummaryOf("a.1", {{10, 10, 10, 10, 100}, {20, 20, 20, 20, 20}})};
    const Comparison one = CompareAll(summaries, UnitNs)[0];
    EXPECT_DOUBLE_EQ(one.ratios.min, 2);
    EXPECT_DOUBLE_EQ(one.ratios.max, 2);
    EXPECT_EQ(one.mark, ' ');
}

TEST(CompareAll, MarksWhatTheRoundsDoNotSay) {
    const std::vector<CaseSummary> summaries = {
        SummaryOf("a.close", {{10, 10, 10}, {10.5, 10, 9.5}}),
        SummaryOf("a.who", {{10, 10, 10}, {8, 10, 12}}),
        SummaryOf("a.how_much", {{10, 10, 10}, {20, 30, 40}}),
    };
    const std::vector<Comparison> all = CompareAll(summaries, UnitNs);
    EXPECT_EQ(all[0].mark, ' ');
    EXPECT_EQ(all[1].mark, '?');
    EXPECT_EQ(all[2].mark, '~');
}

TEST(CompareAll, LeavesOutWhatHasNoFigure) {
    std::vector<CaseSummary> summaries = {SummaryOf("a.1", {{1}, {1}}),
                                          SummaryOf("a.2", {{1}, {1}}, 0.5)};
    EXPECT_EQ(CompareAll(summaries, HeldMb).size(), 1U) << "less than 1 MB is noise";
    summaries[0].rows[0].rounds[0].values["mean_mb"] = 3;
    EXPECT_EQ(CompareAll(summaries, UnitNs).size(), 1U) << "a life has no time";
    EXPECT_DOUBLE_EQ(CompareAll(summaries, HeldMb)[0].values[0], 3);
}

TEST(CompareAll, SaysNothingWithoutThePeersOrTheSubject) {
    std::vector<CaseSummary> summaries = {SummaryOf("a.1", {{1}})};
    EXPECT_EQ(CompareAll(summaries, UnitNs)[0].ratio, 0);
    summaries[0].rows[0].allocator.name = "system";
    EXPECT_EQ(CompareAll(summaries, UnitNs)[0].ratio, 0);
    EXPECT_NE(CompareText(summaries, {}).find("Nothing to compare"), std::string::npos);
}

TEST(GeometricMean, IsTheRootOfTheProduct) {
    EXPECT_DOUBLE_EQ(GeometricMean({2, 8}), 4);
    EXPECT_DOUBLE_EQ(GeometricMean({0.5, 2}), 1);
    EXPECT_EQ(GeometricMean({}), 0);
}

TEST(CompareText, NamesMeansWorstRowsAndWhatIsMissing) {
    const std::vector<CaseSummary> summaries = {
        SummaryOf("a.1", {{10, 10, 10}, {40, 40, 40}}),
        SummaryOf("b.1", {{10, 10, 10}, {5, 5, 5}}),
        SummaryOf("b.2", {{10, 10, 10}, {8, 10, 12}}),
    };
    const std::string text = CompareText(summaries, {"lua"});
    for (const char *part : {"Geometric mean of the ratios: 1.260 over 3 rows, 1.414 over the 2",
                             "By group: a 4.00, b 0.71.", "Worst rows: b.1 0.50 (system).",
                             "Not run: lua is not installed.", "4.00 ", "1.00?",
                             "in 1 of 3 rows they do not say who is better",
                             "Times the row's best, geometric mean: hakmem 1.26, system 1.59."}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " not in\n" << text;
    }
}

TEST(CompareJson, HasTheSame) {
    const std::vector<CaseSummary> summaries = {SummaryOf("a.1", {{10, 10, 10}, {40, 40, 40}})};
    JsonWriter json;
    json.BeginObject();
    AddCompareJson(summaries, {"lua"}, &json);
    json.EndObject();
    const std::string text = json.ToString();
    EXPECT_TRUE(IsJson(text)) << text;
    for (const char *part : {"\"ratio\": 4", "\"geometric_mean\": 4", "\"memory\"", "\"lua\""}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " not in\n" << text;
    }
}

} // namespace
} // namespace hak_bench
