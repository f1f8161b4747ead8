// The real programs, and what they are made to do.
#ifndef HAKMEM_BENCH_PROGRAMS_H_
#define HAKMEM_BENCH_PROGRAMS_H_

#include <cstdint>
#include <vector>

namespace hak_bench {

struct Program {
    const char *name;   // of the file
    const char *title;  // what it is made to do
    std::int64_t steps; // some tenths of a second
    // STEPS in them stands for the number of steps.
    std::vector<const char *> arguments;
    std::vector<const char *> environment; // NAME=value
};

// In a fixed order; a place in it is the param "program".
const std::vector<Program> &Programs();

} // namespace hak_bench

#endif // HAKMEM_BENCH_PROGRAMS_H_
