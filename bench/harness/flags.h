// The command line of a bench: Abseil flags with one-line errors and exit code 2.
// absl::ParseCommandLine is not used: it exits with 1 on an unknown flag.
#ifndef HAKMEM_BENCH_HARNESS_FLAGS_H_
#define HAKMEM_BENCH_HARNESS_FLAGS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace hak_bench {

inline constexpr int kExitUsage = 2;
inline constexpr int kMaxThreads = 1024;

// The flags that every bench has.
struct Options {
    std::int64_t cycles = 0; // operations a thread, a child; 0: as each case says
    int threads = 0;
    int rounds = 0;
    std::uint64_t seed = 0;
    std::string allocators;      // as given
    bool json = false;           // in place of the tables
    std::string json_path;       // where the report in JSON goes as well; empty: nowhere
    std::set<std::string> given; // names of the flags on the command line
};

// What a bench sets for the flags that are not given.
struct Defaults {
    int threads = 1;
    int rounds = 9;
    bool cycles_by_case = false; // operations differ so much in cost that no number fits all cases
};

// Prints "PROGRAM: message" on stderr and exits with kExitUsage.
[[noreturn]] void UsageError(const std::string &message);

// Parses `argv` into the common flags and into `own_flags` (names of ABSL_FLAGs of the bench) and
// checks the common ones; those that are not given get `defaults`. Any mistake is a UsageError.
// --help prints `usage` and the flags and exits with 0.
Options ParseFlagsOrExit(int argc, char **argv, const std::string &usage,
                         const std::vector<std::string> &own_flags, const Defaults &defaults);

// `bazel run` starts programs in the runfiles: a path on the command line is meant from where the
// user stands.
std::string FromUsersDirectory(const std::string &path);

// A UsageError unless `low` <= `value` <= `high`.
void CheckRange(const std::string &flag, std::int64_t value, std::int64_t low, std::int64_t high);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_FLAGS_H_
