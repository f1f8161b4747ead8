#include "bench/rss_report.h"

#include <cstdint>
#include <string>
#include <vector>

#include "bench/rss_workload.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

// An allocator that holds `full` MB when 100 MB are live, and `later` at every other moment.
Row RowOf(const std::string &name, double full, double later) {
    Row row;
    row.allocator.name = name;
    row.rounds.resize(1);
    row.rounds[0].values["live_mb"] = 100;
    for (const Moment &moment : MomentsOf(Life::kSparse)) {
        row.rounds[0].values[std::string("moment_") + moment.name] = later;
    }
    row.rounds[0].values["moment_full"] = full;
    return row;
}

CaseSummary SummaryOf(const std::vector<Row> &rows) {
    const auto life = static_cast<std::int64_t>(Life::kSparse);
    return {{"sparse", "a life", {{"life", life}}, true}, rows, ""};
}

TEST(LifeReport, ShowsMomentsAndTheOverheadWhenFull) {
    const std::string text = LifeReport(SummaryOf({RowOf("hakmem", 104, 50)}));
    for (const char *part : {"a life; resident MB", "90 % freed", "104.0", "+4.0 %"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " not in\n" << text;
    }
}

TEST(LifeReport, SaysWhoHoldsLess) {
    const std::string text =
        LifeReport(SummaryOf({RowOf("hakmem", 104, 50), RowOf("a", 103, 40), RowOf("b", 90, 50)}));
    EXPECT_NE(text.find("  full: hakmem holds 104.0 MB, more than b (90.0).\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find("  trim: hakmem holds 50.0 MB, more than a (40.0).\n"), std::string::npos)
        << text;
}

TEST(LifeReport, SaysWhenNobodyHoldsLess) {
    const std::string text = LifeReport(SummaryOf({RowOf("hakmem", 104, 50), RowOf("a", 104, 90)}));
    EXPECT_NE(text.find("the least at every moment"), std::string::npos) << text;
}

} // namespace
} // namespace hak_bench
