#include "bench/latency_report.h"

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/harness/allocators.h"
#include "bench/harness/table.h"
#include "bench/latency_workload.h"

namespace hak_bench {
namespace {

// A histogram's place is a sixteenth of a power of two wide.
constexpr double kLevel = 1.10;

std::string NsText(double ns) {
    if (ns < 10'000) return absl::StrFormat("%.0f", ns);
    return ns < 1e6 ? absl::StrFormat("%.0f µs", ns / 1e3) : absl::StrFormat("%.1f ms", ns / 1e6);
}

void AddRow(const std::string &name, const Row &row, const std::string &call, bool switches,
            Table *table) {
    std::vector<std::string> cells = {name};
    for (const LatencyShare &share : LatencyShares()) {
        cells.push_back(NsText(row.Median(call + "_" + share.name)));
    }
    cells.push_back(switches ? absl::StrFormat("%.0f", row.Median("switches")) : "-");
    table->AddRow(cells);
}

// Where a peer is clearly faster; a line a call.
std::string Behind(const CaseSummary &summary, const std::string &call) {
    const Row *subject = nullptr;
    for (const Row &row : summary.rows) {
        if (row.allocator.name == kSubject) subject = &row;
    }
    if (subject == nullptr || summary.rows.size() < 2) return "";
    std::vector<std::string> parts;
    for (const LatencyShare &share : LatencyShares()) {
        const std::string figure = call + "_" + share.name;
        const Row *best = nullptr;
        for (const Row &row : summary.rows) {
            if (&row == subject) continue;
            if (best == nullptr || row.Median(figure) < best->Median(figure)) best = &row;
        }
        if (subject->Median(figure) <= kLevel * best->Median(figure)) continue;
        parts.push_back(absl::StrFormat("%s (%s: %s)", share.name, best->allocator.name,
                                        NsText(best->Median(figure))));
    }
    if (parts.empty()) return "  hakmem is the fastest everywhere, or level.\n";
    return "  hakmem is behind at " + absl::StrJoin(parts, ", ") + ".\n";
}

} // namespace

std::string LatencyReport(const CaseSummary &summary) {
    std::string out = summary.bench_case.title + "\n";
    for (const std::string call : {"malloc", "free"}) {
        std::vector<std::string> header = {call + ", ns"};
        for (const LatencyShare &share : LatencyShares()) header.emplace_back(share.name);
        header.emplace_back("switches");
        Table table(header);
        for (const Row &row : summary.rows) AddRow(row.allocator.name, row, call, true, &table);
        AddRow("the clock alone", summary.rows[0], "clock", false, &table);
        out += table.ToString() + Behind(summary, call);
    }
    return out;
}

} // namespace hak_bench
