// The report of a profile: where the time of each configuration goes, by what the machine counts.
#ifndef HAKMEM_BENCH_PROFILE_REPORT_H_
#define HAKMEM_BENCH_PROFILE_REPORT_H_

#include <string>

#include "bench/harness/summary.h"

namespace hak_bench {

std::string ProfileReport(const CaseSummary &summary);

} // namespace hak_bench

#endif // HAKMEM_BENCH_PROFILE_REPORT_H_
