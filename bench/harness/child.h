// A child: the bench's own program, started again with an allocator preloaded. It runs one case
// once and writes what it measured to a pipe, a line a value.
#ifndef HAKMEM_BENCH_HARNESS_CHILD_H_
#define HAKMEM_BENCH_HARNESS_CHILD_H_

#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

// What a child measured. Values of the timed part: wall_ns, threads, operations (of all threads),
// worked_ns (waiting left out, added up over the threads), loop_ns and loop_worked_ns (the same
// operations without an allocator), the hakmem counts as "hak_...", and the workload's own figures.
// From before the warm-up on: peak_kib, live_kib (everything allocated), rest_kib (everything
// freed), all above what was resident then; faults, user_us, kernel_us.
// Texts: malloc_path, malloc_version, and error when it failed.
struct ChildResult {
    std::map<std::string, double> values;
    std::map<std::string, std::string> texts;
};

// The arguments, after the program's name, that make a child which runs `params` and writes to
// the file descriptor `report_fd`. `preload`: the path that malloc must be from, or empty.
std::vector<std::string> ChildArguments(const Params &params, const std::string &preload,
                                        int report_fd);
bool IsChild(int argc, char **argv);
int ChildMain(int argc, char **argv, const Bench &bench);

// Reads the lines that a child wrote.
ChildResult ParseChildReport(const std::string &text);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_CHILD_H_
