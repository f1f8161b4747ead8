// The report that a person reads: a table a case, then the verdict in words.
#ifndef HAKMEM_BENCH_HARNESS_REPORT_H_
#define HAKMEM_BENCH_HARNESS_REPORT_H_

#include <string>
#include <vector>

#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/machine.h"
#include "bench/harness/summary.h"

namespace hak_bench {

std::string TextReport(const Bench &bench, const Options &options,
                       const std::vector<CaseSummary> &summaries, const Machine &machine);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_REPORT_H_
