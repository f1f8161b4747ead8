// The report of a case of latency: percentiles by allocator, of malloc and of free.
#ifndef HAKMEM_BENCH_LATENCY_REPORT_H_
#define HAKMEM_BENCH_LATENCY_REPORT_H_

#include <string>

#include "bench/harness/summary.h"

namespace hak_bench {

std::string LatencyReport(const CaseSummary &summary);

} // namespace hak_bench

#endif // HAKMEM_BENCH_LATENCY_REPORT_H_
