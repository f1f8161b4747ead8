// From every child's values to the figures of a table's row, and to sentences about them.
#ifndef HAKMEM_BENCH_HARNESS_SUMMARY_H_
#define HAKMEM_BENCH_HARNESS_SUMMARY_H_

#include <string>
#include <vector>

#include "bench/harness/allocators.h"
#include "bench/harness/bench.h"
#include "bench/harness/runner.h"
#include "bench/harness/stats.h"

namespace hak_bench {

// One allocator in one case, over all rounds.
struct Row {
    Allocator allocator;
    std::string malloc_path;
    std::string malloc_version;
    Spread mops;             // million operations a second, all threads together
    Spread ns_pair;          // a malloc and its free on one thread, loop included, waiting not
    Spread net_ns_pair;      // without the loop
    double of_best_peer = 0; // mops against the fastest peer's; 0 when there is no peer
    double peak_mb = 0;      // medians over the rounds
    double live_mb = 0;
    double rest_mb = 0;
    double faults = 0;
    double kernel_share = 0; // 0 to 1, of the processor time
    std::vector<ChildResult> rounds;

    // Median over the rounds of a child's value; 0 when it has none.
    double Median(const std::string &value) const;
};

struct CaseSummary {
    Case bench_case;
    std::vector<Row> rows; // in the order of the allocators
    std::string best_peer; // empty when only the subject ran
};

std::vector<CaseSummary> Summarize(const Bench &bench, const std::vector<Case> &cases,
                                   const std::vector<Allocator> &allocators,
                                   const Results &results);

// Where the subject is behind, level and ahead, a sentence for speed and one for memory a case.
// Cases with own_report are left out. One that says so when it or its peers were not run.
std::vector<std::string> Verdict(const std::vector<CaseSummary> &summaries);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_SUMMARY_H_
