// The machine that the figures are of.
#ifndef HAKMEM_BENCH_HARNESS_MACHINE_H_
#define HAKMEM_BENCH_HARNESS_MACHINE_H_

#include <string>

namespace hak_bench {

struct Machine {
    std::string cpu;    // the processor's model name
    std::string kernel; // release
    long cores = 0;     // online
    std::string thp;    // transparent huge pages: always, madvise or never
};

// What cannot be found out is "unknown".
Machine DescribeMachine();

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_MACHINE_H_
