#include "bench/harness/flags.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"

ABSL_FLAG(std::int64_t, cycles, 20000000, "steps a thread in each child process");
ABSL_FLAG(std::int64_t, threads, 1, "threads that work at once");
ABSL_FLAG(std::int64_t, rounds, 9, "children for each case and allocator, interleaved");
ABSL_FLAG(std::uint64_t, seed, 1, "the same seed gives the same sequence of calls");
ABSL_FLAG(std::string, allocators, "all",
          "comma list of hakmem, system, jemalloc, mimalloc, mimalloc3, tcmalloc, NAME=PATH.so; "
          "all = hakmem, system and every known peer that is installed");
ABSL_FLAG(std::string, format, "table", "table or json");
ABSL_FLAG(std::string, json, "", "a file that gets the report in JSON as well");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxCycles = 1'000'000'000'000;
constexpr std::int64_t kMaxRounds = 1000;

std::vector<std::string> KnownFlags(const std::vector<std::string> &own_flags) {
    std::vector<std::string> names = own_flags;
    for (const char *name :
         {"cycles", "threads", "rounds", "seed", "allocators", "format", "json"}) {
        names.emplace_back(name);
    }
    return names;
}

std::string DefaultText(const absl::CommandLineFlag &flag, const Defaults &defaults) {
    if (flag.Name() == "threads") return std::to_string(defaults.threads);
    if (flag.Name() == "rounds") return std::to_string(defaults.rounds);
    if (flag.Name() == "cycles" && defaults.cycles_by_case) return "each case has its own";
    return flag.DefaultValue();
}

[[noreturn]] void PrintHelp(const std::string &usage, const std::vector<std::string> &names,
                            const Defaults &defaults) {
    std::printf("%s\n\nFlags:\n", usage.c_str());
    for (const std::string &name : names) {
        const absl::CommandLineFlag *flag = absl::FindCommandLineFlag(name);
        std::printf("  --%s  %s (default: %s)\n", name.c_str(), flag->Help().c_str(),
                    DefaultText(*flag, defaults).c_str());
    }
    std::exit(0);
}

// --quick means --quick=true.
bool IsSwitch(const std::string &name) { return absl::FindCommandLineFlag(name)->IsOfType<bool>(); }

// What stands behind the equals sign of `argument` (npos: none), else the next one.
std::string ValueOf(const std::string &name, const std::string &argument, std::size_t equals,
                    char **next, char **end) {
    if (equals != std::string::npos) return argument.substr(equals + 1);
    if (IsSwitch(name)) return "true";
    if (next == end) UsageError("--" + name + " needs a value");
    return *next;
}

// Better before the run than after it.
void CheckJsonPath(const std::string &path) {
    if (path.empty()) return;
    std::FILE *file = std::fopen(path.c_str(), "we");
    if (file == nullptr) UsageError("cannot write --json=" + path + ": " + std::strerror(errno));
    std::fclose(file);
}

} // namespace

std::string FromUsersDirectory(const std::string &path) {
    const char *directory = std::getenv("BUILD_WORKING_DIRECTORY");
    if (path.empty() || path[0] == '/' || directory == nullptr) return path;
    return std::string(directory) + "/" + path;
}

void UsageError(const std::string &message) {
    std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, message.c_str());
    std::exit(kExitUsage);
}

void CheckRange(const std::string &flag, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value >= low && value <= high) return;
    UsageError("--" + flag + " must be between " + std::to_string(low) + " and " +
               std::to_string(high) + ", not " + std::to_string(value));
}

Options ParseFlagsOrExit(int argc, char **argv, const std::string &usage,
                         const std::vector<std::string> &own_flags, const Defaults &defaults) {
    Options options;
    const std::vector<std::string> known = KnownFlags(own_flags);
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const std::size_t dashes = argument.find_first_not_of('-');
        if ((dashes != 1 && dashes != 2) || dashes == std::string::npos) {
            UsageError("unexpected argument '" + argument + "'; see --help");
        }
        const std::size_t equals = argument.find('=');
        const std::string name = argument.substr(dashes, equals - dashes);
        if (name == "help") PrintHelp(usage, known, defaults);
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            UsageError("unknown flag --" + name + "; see --help");
        }
        const std::string value = ValueOf(name, argument, equals, argv + i + 1, argv + argc);
        if (equals == std::string::npos && !IsSwitch(name)) ++i;
        std::string error;
        if (!absl::FindCommandLineFlag(name)->ParseFrom(value, &error)) {
            UsageError("'" + value + "' is no value for --" + name + "; see --help");
        }
        options.given.insert(name);
    }
    options.cycles = absl::GetFlag(FLAGS_cycles);
    CheckRange("cycles", options.cycles, 1, kMaxCycles);
    if (defaults.cycles_by_case && options.given.count("cycles") == 0) options.cycles = 0;
    CheckRange("threads", absl::GetFlag(FLAGS_threads), 1, kMaxThreads);
    options.threads = options.given.count("threads") == 0
                          ? defaults.threads
                          : static_cast<int>(absl::GetFlag(FLAGS_threads));
    CheckRange("rounds", absl::GetFlag(FLAGS_rounds), 1, kMaxRounds);
    options.rounds = options.given.count("rounds") == 0
                         ? defaults.rounds
                         : static_cast<int>(absl::GetFlag(FLAGS_rounds));
    options.seed = absl::GetFlag(FLAGS_seed);
    options.allocators = absl::GetFlag(FLAGS_allocators);
    const std::string format = absl::GetFlag(FLAGS_format);
    if (format != "table" && format != "json") {
        UsageError("--format must be table or json, not '" + format + "'");
    }
    options.json = format == "json";
    options.json_path = FromUsersDirectory(absl::GetFlag(FLAGS_json));
    CheckJsonPath(options.json_path);
    return options;
}

} // namespace hak_bench
