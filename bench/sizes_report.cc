#include "bench/sizes_report.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/harness/allocators.h"
#include "bench/harness/table.h"
#include "bench/sizes_workload.h"

namespace hak_bench {
namespace {

constexpr double kCliff = 3; // times the neighbour
constexpr double kLevel = 0.95;
constexpr std::size_t kNamedSizes = 6; // sizes where the subject is furthest behind

// [allocator][place in sizes], ns a pair.
using Curves = std::vector<std::vector<double>>;

Curves CurvesOf(const CaseSummary &summary, Pairs pairs, const std::vector<std::size_t> &sizes) {
    Curves out;
    for (const Row &row : summary.rows) {
        std::vector<double> ns;
        ns.reserve(sizes.size());
        for (const std::size_t size : sizes) ns.push_back(row.Median(SweepFigure(pairs, size)));
        out.push_back(std::move(ns));
    }
    return out;
}

// The place of the subject among the rows; their number when it did not run.
std::size_t SubjectOf(const CaseSummary &summary) {
    std::size_t place = 0;
    while (place < summary.rows.size() && summary.rows[place].allocator.name != kSubject) ++place;
    return place;
}

// The row with the fewest ns at size `i`, the subject's left out.
std::size_t BestPeer(const Curves &curves, std::size_t subject, std::size_t i) {
    std::size_t best = subject;
    for (std::size_t a = 0; a < curves.size(); ++a) {
        if (a != subject && (best == subject || curves[a][i] < curves[best][i])) best = a;
    }
    return best;
}

// A hundredth of a speed is no 0.00.
std::string RatioText(double ratio) {
    return absl::StrFormat(ratio < 0.1 ? "%.3f" : "%.2f", ratio);
}

std::string NsText(double ns) { return absl::StrFormat(ns < 1000 ? "%.1f" : "%.0f", ns); }

// Where the subject is level or ahead, and where it is furthest behind.
std::string Standing(const CaseSummary &summary, const Curves &curves,
                     const std::vector<std::size_t> &sizes) {
    const std::size_t subject = SubjectOf(summary);
    if (subject == curves.size() || curves.size() < 2) return "";
    std::vector<std::pair<double, std::size_t>> behind; // speed of best peer's, place
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const double ratio = curves[BestPeer(curves, subject, i)][i] / curves[subject][i];
        if (ratio < kLevel) behind.emplace_back(ratio, i);
    }
    std::string out =
        absl::StrFormat("  hakmem is ahead of every peer, or level, at %d of %d sizes",
                        sizes.size() - behind.size(), sizes.size());
    if (behind.empty()) return out + ".\n";
    std::sort(behind.begin(), behind.end());
    behind.resize(std::min(behind.size(), kNamedSizes));
    std::vector<std::string> named;
    for (const auto &[ratio, i] : behind) {
        const std::size_t best = BestPeer(curves, subject, i);
        named.push_back(absl::StrFormat("%s (%s of %s's speed)", SizeName(sizes[i]),
                                        RatioText(ratio), summary.rows[best].allocator.name));
    }
    return out + "; furthest behind at " + absl::StrJoin(named, ", ") + ".\n";
}

std::string CliffLines(const CaseSummary &summary, const Curves &curves,
                       const std::vector<std::size_t> &sizes) {
    std::string out;
    for (std::size_t a = 0; a < curves.size(); ++a) {
        std::vector<std::string> named;
        for (const Cliff &cliff : CliffsOf(sizes, curves[a])) {
            named.push_back(absl::StrFormat("%s (%s ns; %s: %s)", SizeName(cliff.size),
                                            NsText(cliff.ns), SizeName(cliff.neighbour),
                                            NsText(cliff.neighbour_ns)));
        }
        out += "  cliffs of " + summary.rows[a].allocator.name + ": " +
               (named.empty() ? "none" : absl::StrJoin(named, ", ")) + "\n";
    }
    return out;
}

std::string WayReport(const CaseSummary &summary, Pairs pairs) {
    const std::vector<std::size_t> sizes =
        SweepSizes(static_cast<std::size_t>(summary.bench_case.params.at("max_size")));
    const Curves curves = CurvesOf(summary, pairs, sizes);
    const std::size_t subject = SubjectOf(summary);
    std::vector<std::string> header = {"size"};
    for (const Row &row : summary.rows) header.push_back(row.allocator.name);
    header.emplace_back("of best peer");
    Table table(header);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        std::vector<std::string> cells = {SizeName(sizes[i])};
        for (const auto &curve : curves) cells.push_back(NsText(curve[i]));
        if (subject < curves.size() && curves.size() > 1) {
            const double best = curves[BestPeer(curves, subject, i)][i];
            cells.push_back(RatioText(best / curves[subject][i]));
        } else {
            cells.emplace_back("-");
        }
        table.AddRow(cells);
    }
    const bool lifo = pairs == Pairs::kLifo;
    return absl::StrFormat("%s, %s, ns a pair (the loop: %.1f)\n", summary.bench_case.title,
                           lifo ? "one block at a time" : "16 blocks at a time",
                           summary.rows[0].Median(lifo ? "loop_lifo" : "loop_batch")) +
           table.ToString() + Standing(summary, curves, sizes) + CliffLines(summary, curves, sizes);
}

} // namespace

std::vector<Cliff> CliffsOf(const std::vector<std::size_t> &sizes, const std::vector<double> &ns) {
    std::vector<Cliff> out;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        for (const std::size_t neighbour : {i - 1, i + 1}) { // below the first one wraps around
            if (neighbour >= sizes.size() || ns[i] <= kCliff * ns[neighbour]) continue;
            out.push_back({sizes[i], ns[i], sizes[neighbour], ns[neighbour]});
            break;
        }
    }
    return out;
}

std::string SizeName(std::size_t size) {
    constexpr double kKib = 1024;
    const auto bytes = static_cast<double>(size);
    if (bytes < kKib) return absl::StrFormat("%d B", size);
    if (bytes < kKib * kKib) return absl::StrFormat("%g KiB", bytes / kKib);
    return absl::StrFormat("%g MiB", bytes / kKib / kKib);
}

std::string SweepReport(const CaseSummary &summary) {
    return WayReport(summary, Pairs::kLifo) + "\n" + WayReport(summary, Pairs::kBatch);
}

} // namespace hak_bench
