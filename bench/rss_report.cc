#include "bench/rss_report.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/harness/allocators.h"
#include "bench/harness/table.h"
#include "bench/rss_workload.h"

namespace hak_bench {
namespace {

// Memory differs for good reasons by some pages: both the ratio and the difference must count.
constexpr double kLevel = 1.05;
constexpr double kLevelMb = 0.5;

double At(const Row &row, const Moment &moment) {
    return row.Median(std::string("moment_") + moment.name);
}

// Who holds clearly less than hakmem at which moment; a line a moment.
std::string Behind(const CaseSummary &summary, const std::vector<Moment> &moments) {
    const Row *subject = nullptr;
    for (const Row &row : summary.rows) {
        if (row.allocator.name == kSubject) subject = &row;
    }
    if (subject == nullptr) return "";
    std::string out;
    for (const Moment &moment : moments) {
        const double held = At(*subject, moment);
        std::vector<std::string> less;
        for (const Row &peer : summary.rows) {
            const double mb = At(peer, moment);
            if (held <= kLevel * mb || held <= mb + kLevelMb) continue;
            less.push_back(absl::StrFormat("%s (%.1f)", peer.allocator.name, mb));
        }
        if (less.empty()) continue;
        out += absl::StrFormat("  %s: hakmem holds %.1f MB, more than %s.\n", moment.title, held,
                               absl::StrJoin(less, ", "));
    }
    return out.empty() ? "  hakmem holds the least at every moment, or is level.\n" : out;
}

} // namespace

std::string LifeReport(const CaseSummary &summary) {
    const std::vector<Moment> &moments =
        MomentsOf(static_cast<Life>(summary.bench_case.params.at("life")));
    std::vector<std::string> header = {"allocator"};
    for (const Moment &moment : moments) header.emplace_back(moment.title);
    header.emplace_back("peak");
    header.emplace_back("over live");
    Table table(header);
    for (const Row &row : summary.rows) {
        std::vector<std::string> cells = {row.allocator.name};
        for (const Moment &moment : moments)
            cells.push_back(absl::StrFormat("%.1f", At(row, moment)));
        const double live = row.Median("live_mb");
        // The kernel's own highest mark lags behind by some pages.
        cells.push_back(absl::StrFormat("%.1f", std::max(row.peak_mb, At(row, moments[0]))));
        cells.push_back(absl::StrFormat("%+.1f %%", 100 * (At(row, moments[0]) / live - 1)));
        table.AddRow(cells);
    }
    return summary.bench_case.title + "; resident MB\n" + table.ToString() +
           Behind(summary, moments);
}

} // namespace hak_bench
