#include "bench/latency_report.h"

#include <string>

#include "bench/latency_workload.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

// Every percentile of malloc takes `ns`, of free 10 ns, and of the clock 7.
Row RowOf(const std::string &name, double ns) {
    Row row;
    row.allocator.name = name;
    row.rounds.resize(1);
    for (const LatencyShare &share : LatencyShares()) {
        auto &values = row.rounds[0].values;
        values[std::string("malloc_") + share.name] = ns;
        values[std::string("free_") + share.name] = 10;
        values[std::string("clock_") + share.name] = 7;
    }
    return row;
}

TEST(LatencyReport, SaysWhereHakmemIsBehindAndWhatTheClockTakes) {
    CaseSummary summary{{"small", "small blocks", {}, true}, {}, ""};
    summary.rows = {RowOf("hakmem", 3e6), RowOf("system", 20'000)};
    summary.rows[1].rounds[0].values["malloc_p50"] = 2.9e6;
    const std::string text = LatencyReport(summary);
    for (const char *part : {"small blocks", "p99.99", "3.0 ms", "20 µs", "the clock alone",
                             "behind at p90 (system: ", "fastest everywhere, or level"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " not in\n" << text;
    }
    EXPECT_EQ(text.find("behind at p50"), std::string::npos) << text;
}

} // namespace
} // namespace hak_bench
