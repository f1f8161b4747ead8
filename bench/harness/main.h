// The main function that all benches share.
#ifndef HAKMEM_BENCH_HARNESS_MAIN_H_
#define HAKMEM_BENCH_HARNESS_MAIN_H_

#include "bench/harness/bench.h"

namespace hak_bench {

// Returns the exit code: 0, or 1 when a child failed. Exits with 2 for bad flags.
int BenchMain(int argc, char **argv, const Bench &bench);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_MAIN_H_
