// Runs the children: for each round every case, for each case every allocator, in an order that
// rotates from round to round, so that no allocator always follows the same other one in time.
#ifndef HAKMEM_BENCH_HARNESS_RUNNER_H_
#define HAKMEM_BENCH_HARNESS_RUNNER_H_

#include <string>
#include <vector>

#include "bench/harness/allocators.h"
#include "bench/harness/bench.h"
#include "bench/harness/child.h"
#include "bench/harness/flags.h"

namespace hak_bench {

// [case][allocator][round]
using Results = std::vector<std::vector<std::vector<ChildResult>>>;

// The allocators' places in the order in which round `round` runs them.
std::vector<std::size_t> OrderInRound(std::size_t allocators, int round);

// Fills `results` and shows progress on stderr. Returns one line when a child failed, which ends
// the whole run: a table with holes would compare what was not run side by side.
std::string RunRounds(const Bench &bench, const std::vector<Case> &cases,
                      const std::vector<Allocator> &allocators, const Options &options,
                      Results *results);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_RUNNER_H_
