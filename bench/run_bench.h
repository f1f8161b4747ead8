// For tests: runs a bench as a user does.
#ifndef HAKMEM_BENCH_RUN_BENCH_H_
#define HAKMEM_BENCH_RUN_BENCH_H_

#include <string>

namespace hak_bench {

struct Outcome {
    int exit_code = -1;
    std::string output; // stdout and stderr
};

// Runs //bench:`name`, which must be among the test's data. `redirect` is the shell's.
Outcome RunBench(const std::string &name, const std::string &flags, const char *redirect = "2>&1");

} // namespace hak_bench

#endif // HAKMEM_BENCH_RUN_BENCH_H_
