#include "bench/harness/summary.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace hak_bench {
namespace {

constexpr double kKibPerMb = 1024; // MB: 2^20 bytes
// Two speeds nearer than this are called level: rounds of one allocator differ by as much.
constexpr double kLevelSpeed = 0.01;
// Memory differs for good reasons by some pages: both the ratio and the difference must count.
constexpr double kLevelMemory = 0.05;
constexpr double kLevelMemoryMb = 0.25;

double ValueOf(const ChildResult &round, const std::string &name) {
    const auto found = round.values.find(name);
    return found == round.values.end() ? 0 : found->second;
}

Spread Over(const std::vector<ChildResult> &rounds,
            const std::function<double(const ChildResult &)> &figure) {
    std::vector<double> values;
    values.reserve(rounds.size());
    for (const ChildResult &round : rounds) values.push_back(figure(round));
    return SpreadOf(values);
}

// What a pair takes when all operations take `ns`, the work of all threads added up.
double PairNs(const ChildResult &round, const Bench &bench, double ns) {
    return ns * bench.operations_a_pair / ValueOf(round, "operations");
}

Row MakeRow(const Bench &bench, const Allocator &allocator, std::vector<ChildResult> rounds) {
    Row row;
    row.allocator = allocator;
    row.rounds = std::move(rounds);
    const auto first = row.rounds[0].texts;
    if (first.count("malloc_path") != 0) row.malloc_path = first.at("malloc_path");
    if (first.count("malloc_version") != 0) row.malloc_version = first.at("malloc_version");
    row.mops = Over(row.rounds, [](const ChildResult &round) {
        return ValueOf(round, "operations") / ValueOf(round, "wall_ns") * 1e3;
    });
    row.ns_pair = Over(row.rounds, [&](const ChildResult &round) {
        return PairNs(round, bench, ValueOf(round, "worked_ns"));
    });
    row.net_ns_pair = Over(row.rounds, [&](const ChildResult &round) {
        return PairNs(round, bench, ValueOf(round, "worked_ns") - ValueOf(round, "loop_worked_ns"));
    });
    row.peak_mb = row.Median("peak_kib") / kKibPerMb;
    row.live_mb = row.Median("live_kib") / kKibPerMb;
    row.rest_mb = row.Median("rest_kib") / kKibPerMb;
    row.faults = row.Median("faults");
    row.kernel_share = Over(row.rounds, [](const ChildResult &round) {
                           const double kernel = ValueOf(round, "kernel_us");
                           const double all = kernel + ValueOf(round, "user_us");
                           return all > 0 ? kernel / all : 0;
                       }).median;
    return row;
}

void CompareToBestPeer(CaseSummary *summary) {
    const Row *best = nullptr;
    for (const Row &row : summary->rows) {
        if (row.allocator.name == kSubject) continue;
        if (best == nullptr || row.mops.median > best->mops.median) best = &row;
    }
    if (best == nullptr) return;
    summary->best_peer = best->allocator.name;
    for (Row &row : summary->rows) row.of_best_peer = row.mops.median / best->mops.median;
}

// "behind tcmalloc (0.93 of its speed); level with ...; ahead of ...".
std::string SpeedSentence(const Row &subject, const std::vector<Row> &rows) {
    std::vector<std::string> behind;
    std::vector<std::string> level;
    std::vector<std::string> ahead;
    for (const Row &peer : rows) {
        if (peer.allocator.name == kSubject) continue;
        const double ratio = subject.mops.median / peer.mops.median;
        const std::string said =
            absl::StrFormat("%s (%.2f of its speed)", peer.allocator.name, ratio);
        (ratio < 1 - kLevelSpeed   ? behind
         : ratio > 1 + kLevelSpeed ? ahead
                                   : level)
            .push_back(said);
    }
    std::vector<std::string> parts;
    if (!behind.empty()) parts.push_back("is behind " + absl::StrJoin(behind, ", "));
    if (!level.empty()) parts.push_back("is level with " + absl::StrJoin(level, ", "));
    if (!ahead.empty()) parts.push_back("is ahead of " + absl::StrJoin(ahead, ", "));
    return absl::StrJoin(parts, "; ");
}

// Names the peers that need clearly less memory; empty when none does.
std::string MemorySentence(const Row &subject, const std::vector<Row> &rows, const char *what,
                           double Row::*memory) {
    std::vector<std::string> less;
    for (const Row &peer : rows) {
        const double more = subject.*memory - peer.*memory;
        if (more <= kLevelMemoryMb || more <= kLevelMemory * (peer.*memory)) continue;
        less.push_back(absl::StrFormat("%s (%.1f MB)", peer.allocator.name, peer.*memory));
    }
    if (less.empty()) return "";
    return absl::StrFormat("holds more memory %s, %.1f MB, than %s", what, subject.*memory,
                           absl::StrJoin(less, ", "));
}

} // namespace

double Row::Median(const std::string &value) const {
    return Over(rounds, [&](const ChildResult &round) { return ValueOf(round, value); }).median;
}

std::vector<CaseSummary> Summarize(const Bench &bench, const std::vector<Case> &cases,
                                   const std::vector<Allocator> &allocators,
                                   const Results &results) {
    std::vector<CaseSummary> out;
    for (std::size_t c = 0; c < cases.size(); ++c) {
        CaseSummary summary{cases[c], {}, ""};
        for (std::size_t a = 0; a < allocators.size(); ++a) {
            summary.rows.push_back(MakeRow(bench, allocators[a], results[c][a]));
        }
        CompareToBestPeer(&summary);
        out.push_back(std::move(summary));
    }
    return out;
}

std::vector<std::string> Verdict(const std::vector<CaseSummary> &summaries) {
    std::vector<std::string> out;
    for (const CaseSummary &summary : summaries) {
        if (summary.bench_case.own_report) continue;
        const auto subject =
            std::find_if(summary.rows.begin(), summary.rows.end(),
                         [](const Row &row) { return row.allocator.name == kSubject; });
        if (subject == summary.rows.end()) return {"hakmem was not among the allocators."};
        if (summary.best_peer.empty()) return {"hakmem ran alone: nothing to compare it with."};
        const std::string &title = summary.bench_case.title;
        out.push_back(title + ": hakmem " + SpeedSentence(*subject, summary.rows) + ".");
        for (const std::string &sentence :
             {MemorySentence(*subject, summary.rows, "at its peak", &Row::peak_mb),
              MemorySentence(*subject, summary.rows, "after all is freed", &Row::rest_mb)}) {
            if (!sentence.empty()) out.push_back(title + ": hakmem " + sentence + ".");
        }
    }
    return out;
}

} // namespace hak_bench
