// The report that a program reads: everything in the tables, and every round's values.
#ifndef HAKMEM_BENCH_HARNESS_REPORT_JSON_H_
#define HAKMEM_BENCH_HARNESS_REPORT_JSON_H_

#include <string>
#include <vector>

#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/machine.h"
#include "bench/harness/summary.h"

namespace hak_bench {

std::string JsonReport(const Bench &bench, const Options &options,
                       const std::vector<CaseSummary> &summaries, const Machine &machine);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_REPORT_JSON_H_
