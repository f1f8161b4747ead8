// The rows of compare: the cases of all benches, and the real programs that are installed.
#ifndef HAKMEM_BENCH_COMPARE_CASES_H_
#define HAKMEM_BENCH_COMPARE_CASES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

struct CompareCases {
    std::vector<Case> cases;          // names are GROUP.ROW
    std::vector<std::string> missing; // programs that are not installed
};

// Steps, bytes and times are divided by `shrink` (1: some tenths of a second a row).
CompareCases AllCompareCases(std::int64_t shrink);

// The groups, in their order.
std::vector<std::string> GroupsOf(const std::vector<Case> &cases);
std::string GroupOf(const Case &one);

// The workload of a row. It counts the processor's time, and beside the workload's own figures
// it has unit_ns (sizes: the geometric mean over all sizes) and mean_mb (lives: of all samples).
std::unique_ptr<Workload> MakeCompareWorkload(const Params &params);

} // namespace hak_bench

#endif // HAKMEM_BENCH_COMPARE_CASES_H_
