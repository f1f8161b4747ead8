// The report of a sweep: ns a pair by size and allocator, where hakmem stands, and the cliffs.
#ifndef HAKMEM_BENCH_SIZES_REPORT_H_
#define HAKMEM_BENCH_SIZES_REPORT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "bench/harness/summary.h"

namespace hak_bench {

// A size that costs more than three times what its neighbour costs.
struct Cliff {
    std::size_t size;
    double ns;
    std::size_t neighbour;
    double neighbour_ns;
};

// `ns` by place in `sizes`.
std::vector<Cliff> CliffsOf(const std::vector<std::size_t> &sizes, const std::vector<double> &ns);

// "48 KiB", "1.25 MiB".
std::string SizeName(std::size_t size);

std::string SweepReport(const CaseSummary &summary);

} // namespace hak_bench

#endif // HAKMEM_BENCH_SIZES_REPORT_H_
