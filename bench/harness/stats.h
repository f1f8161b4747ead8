// Order statistics over a bench's rounds. Rounds are few, so everything sorts a copy.
#ifndef HAKMEM_BENCH_HARNESS_STATS_H_
#define HAKMEM_BENCH_HARNESS_STATS_H_

#include <vector>

namespace hak_bench {

struct Spread {
    double median = 0;
    double min = 0;
    double max = 0;
};

// Median (mean of the middle two for an even count), smallest and largest of `values`, in the
// unit of `values`. All zero when `values` is empty.
Spread SpreadOf(std::vector<double> values);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_STATS_H_
