// The report of a life: resident memory at its moments by allocator, and who holds less.
#ifndef HAKMEM_BENCH_RSS_REPORT_H_
#define HAKMEM_BENCH_RSS_REPORT_H_

#include <string>

#include "bench/harness/summary.h"

namespace hak_bench {

std::string LifeReport(const CaseSummary &summary);

} // namespace hak_bench

#endif // HAKMEM_BENCH_RSS_REPORT_H_
