#include "bench/harness/report.h"

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/harness/table.h"

namespace hak_bench {
namespace {

// Where hakmem's slabs came from, in the timed part; empty for rows without its counts.
std::string SlabLine(const Row &row) {
    if (row.rounds[0].values.count("hak_warm_hits") == 0) return "";
    const double hits = row.Median("hak_warm_hits");
    const double requests = hits + row.Median("hak_warm_misses");
    const std::string rate =
        requests > 0 ? absl::StrFormat("%.2f %% hits", 100 * hits / requests) : "no request";
    return absl::StrFormat(
        "  %s: warm pool %s (of %.0f slab requests); slabs from the shared pool: "
        "%.0f partial, %.0f resident, %.0f purged, %.0f cached, %.0f mapped\n",
        row.allocator.name, rate, requests, row.Median("hak_stage_partial"),
        row.Median("hak_stage_resident"), row.Median("hak_stage_purged"),
        row.Median("hak_stage_cached"), row.Median("hak_stage_mapped"));
}

// Hundredths where they count.
std::string NsText(double ns) { return absl::StrFormat(ns < 1000 ? "%.2f" : "%.0f", ns); }

std::string CaseReport(const Bench &bench, const CaseSummary &summary) {
    std::vector<std::string> header = {"allocator", "M ops/s", "ns a " + bench.pair,
                                       "min–max",   "net ns",  "of best peer",
                                       "peak MB",   "rest MB", "faults",
                                       "kernel %"};
    for (const Column &column : bench.columns) header.push_back(column.title);
    Table table(header);
    for (const Row &row : summary.rows) {
        const bool best = row.allocator.name == summary.best_peer;
        std::vector<std::string> cells = {
            row.allocator.name,
            absl::StrFormat(row.mops.median < 1 ? "%.3f" : "%.1f", row.mops.median),
            NsText(row.ns_pair.median),
            NsText(row.ns_pair.min) + "–" + NsText(row.ns_pair.max),
            NsText(row.net_ns_pair.median),
            summary.best_peer.empty()
                ? "-"
                : absl::StrFormat("%s%.2f", best ? "best " : "", row.of_best_peer),
            absl::StrFormat("%.1f", row.peak_mb),
            absl::StrFormat("%.1f", row.rest_mb),
            absl::StrFormat("%.0f", row.faults),
            absl::StrFormat("%.1f", 100 * row.kernel_share)};
        for (const Column &column : bench.columns) cells.push_back(column.cell(row));
        table.AddRow(cells);
    }
    std::string out = summary.bench_case.title + "\n" + table.ToString();
    for (const Row &row : summary.rows) out += SlabLine(row);
    return out + "\n";
}

} // namespace

std::string TextReport(const Bench &bench, const Options &options,
                       const std::vector<CaseSummary> &summaries, const Machine &machine) {
    const std::string steps =
        options.cycles == 0 ? "by case" : absl::StrFormat("%d", options.cycles);
    std::string out = absl::StrFormat(
        "%s, %d cores, Linux %s, THP %s; threads: %d, steps a thread: %s, rounds: %d, seed: %u\n\n",
        machine.cpu, machine.cores, machine.kernel, machine.thp, options.threads, steps,
        options.rounds, options.seed);
    if (bench.overview) return out + bench.overview(summaries);
    for (const CaseSummary &summary : summaries) {
        const bool own = summary.bench_case.own_report;
        out += own ? bench.case_report(summary) + "\n" : CaseReport(bench, summary);
    }
    for (const std::string &sentence : Verdict(summaries)) out += sentence + "\n";
    return out;
}

} // namespace hak_bench
