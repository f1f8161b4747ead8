// What compare says: hakmem against the best peer of each row, in time and in memory.
#ifndef HAKMEM_BENCH_COMPARE_REPORT_H_
#define HAKMEM_BENCH_COMPARE_REPORT_H_

#include <functional>
#include <string>
#include <vector>

#include "bench/harness/json.h"
#include "bench/harness/stats.h"
#include "bench/harness/summary.h"

namespace hak_bench {

// A row's figure for each allocator, less is better, and the subject beside the best peer.
struct Comparison {
    const CaseSummary *summary = nullptr;
    std::vector<double> values; // medians over the rounds, in the order of the allocators
    std::string best_peer;      // the least median that is not the subject's; empty: no peer
    // The best peer's figure over the subject's in the same round: above 1 the subject is better.
    Spread ratios;    // without the outer quarters on either side
    double ratio = 0; // their median; 0: there is nothing to compare
    // ' ', '~' (how much is not sure: the ratios are far apart), '?' (not even who is better).
    char mark = ' ';
};

using Figure = std::function<double(const ChildResult &)>;

// ns of a malloc and its free, or of a whole run.
double UnitNs(const ChildResult &round);
// MB that were resident at the most; of a life: on average.
double HeldMb(const ChildResult &round);

// The cases for which every round of every allocator has the figure (above 0).
std::vector<Comparison> CompareAll(const std::vector<CaseSummary> &summaries, const Figure &figure);

// 0 for none.
double GeometricMean(const std::vector<double> &values);

// The tables and what they come to.
std::string CompareText(const std::vector<CaseSummary> &summaries,
                        const std::vector<std::string> &missing);
// Key "compare": ratios and means, of time and of memory.
void AddCompareJson(const std::vector<CaseSummary> &summaries,
                    const std::vector<std::string> &missing, JsonWriter *json);

} // namespace hak_bench

#endif // HAKMEM_BENCH_COMPARE_REPORT_H_
