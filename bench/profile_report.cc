#include "bench/profile_report.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/harness/table.h"

namespace hak_bench {
namespace {

// A count that the machine may have, and how tables show it.
struct Count {
    const char *name;
    const char *title;
};

constexpr Count kHardware[] = {{"hardware_cycles", "cycles a step"},
                               {"hardware_instructions", "instructions a step"},
                               {"hardware_l1d_misses", "L1d misses a step"},
                               {"hardware_dtlb_misses", "TLB misses a step"}};
constexpr Count kSyscalls[] = {{"syscalls_mmap", "mmap"},
                               {"syscalls_munmap", "munmap"},
                               {"syscalls_madvise", "madvise"},
                               {"syscalls_mremap", "mremap"}};

bool Has(const Row &row, const char *value) { return row.rounds[0].values.count(value) != 0; }

// A table of those of the counts that any row has, divided by `divisor` of the row; a line that
// says why not when none has any.
template <class Counts, class Divisor>
std::string CountTable(const CaseSummary &summary, const Counts &counts, const char *what,
                       const char *error, const char *format, Divisor divisor) {
    std::vector<std::string> header = {what};
    std::vector<Count> shown;
    for (const Count &count : counts) {
        if (std::none_of(summary.rows.begin(), summary.rows.end(),
                         [&](const Row &row) { return Has(row, count.name); })) {
            continue;
        }
        shown.push_back(count);
        header.emplace_back(count.title);
    }
    if (shown.empty()) {
        const int why = static_cast<int>(summary.rows[0].Median(error));
        return absl::StrFormat("  %s: not available (%s)\n", what, std::strerror(why));
    }
    Table table(header);
    for (const Row &row : summary.rows) {
        std::vector<std::string> cells = {row.allocator.name};
        for (const Count &count : shown) {
            const double value = row.Median(count.name) / divisor(row);
            cells.push_back(Has(row, count.name)
                                ? absl::StrFormat(*absl::ParsedFormat<'f'>::New(format), value)
                                : "not available");
        }
        table.AddRow(cells);
    }
    return table.ToString();
}

} // namespace

std::string ProfileReport(const CaseSummary &summary) {
    Table table({"configuration", "ns a pair", "min–max", "kernel %", "faults", "start faults",
                 "start ms", "start MB", "peak MB", "superslabs", "purged MB"});
    for (const Row &row : summary.rows) {
        constexpr double kKibPerMb = 1024;
        constexpr double kMb = 1 << 20;
        const bool hakmem = Has(row, "hak_all_superslabs");
        table.AddRow(
            {row.allocator.name, absl::StrFormat("%.2f", row.ns_pair.median),
             absl::StrFormat("%.2f–%.2f", row.ns_pair.min, row.ns_pair.max),
             absl::StrFormat("%.1f", 100 * row.kernel_share), absl::StrFormat("%.0f", row.faults),
             absl::StrFormat("%.0f", row.Median("start_faults")),
             absl::StrFormat("%.1f", row.Median("start_us") / 1e3),
             absl::StrFormat("%.1f", row.Median("start_kib") / kKibPerMb),
             absl::StrFormat("%.1f", row.peak_mb),
             hakmem ? absl::StrFormat("%.0f", row.Median("hak_all_superslabs")) : "-",
             hakmem ? absl::StrFormat("%.1f", row.Median("hak_all_purged_bytes") / kMb) : "-"});
    }
    return summary.bench_case.title + "\n" + table.ToString() +
           CountTable(summary, kSyscalls, "system calls", "syscalls_error", "%.0f",
                      [](const Row &) { return 1.0; }) +
           CountTable(summary, kHardware, "hardware counters", "hardware_error", "%.3f",
                      [](const Row &row) { return row.Median("operations"); });
}

} // namespace hak_bench
