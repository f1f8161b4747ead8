// The command line: Abseil flags with one-line errors and exit code 2.
// absl::ParseCommandLine is not used: it exits with 1 on an unknown flag.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "stress/harness.h"

ABSL_FLAG(std::int64_t, threads, 4, "threads at a time");
ABSL_FLAG(std::int64_t, seconds, 10, "how long, 1 to 86400");
ABSL_FLAG(std::uint64_t, seed, 1, "the same seed gives each thread the same sequence of calls");
ABSL_FLAG(std::int64_t, min_size, 1, "smallest block, bytes");
ABSL_FLAG(std::int64_t, max_size, 4096, "largest block, bytes; at most 4 MiB");
ABSL_FLAG(std::string, mode, "", "what the threads do");

namespace hak_stress {
namespace {

constexpr int kExitUsage = 2;
constexpr std::int64_t kMaxThreads = 4000;
constexpr std::int64_t kMaxSeconds = 86400;
constexpr std::int64_t kMaxSize = std::int64_t{4} << 20;

[[noreturn]] void UsageError(const std::string &message) {
    std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, message.c_str());
    std::exit(kExitUsage);
}

std::int64_t InRange(const char *flag, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < low || value > high) {
        UsageError(std::string("--") + flag + " must be between " + std::to_string(low) + " and " +
                   std::to_string(high) + ", not " + std::to_string(value));
    }
    return value;
}

std::string Join(const std::vector<std::string> &words) {
    std::string all;
    for (const std::string &word : words) all += (all.empty() ? "" : ", ") + word;
    return all;
}

[[noreturn]] void PrintHelp(const std::string &usage, const std::vector<std::string> &names,
                            const std::vector<std::string> &modes) {
    std::printf("%s\n\nFlags:\n", usage.c_str());
    for (const std::string &name : names) {
        const absl::CommandLineFlag *flag = absl::FindCommandLineFlag(name);
        const std::string values = name == "mode" ? ": " + Join(modes) : "";
        std::printf("  --%s  %s%s (default: %s)\n", name.c_str(), flag->Help().c_str(),
                    values.c_str(), flag->CurrentValue().c_str());
    }
    std::exit(0);
}

void SetDefaults(const Options &defaults) {
    absl::SetFlag(&FLAGS_threads, defaults.threads);
    absl::SetFlag(&FLAGS_seconds, defaults.seconds);
    absl::SetFlag(&FLAGS_seed, defaults.seed);
    absl::SetFlag(&FLAGS_min_size, static_cast<std::int64_t>(defaults.min_size));
    absl::SetFlag(&FLAGS_max_size, static_cast<std::int64_t>(defaults.max_size));
    absl::SetFlag(&FLAGS_mode, defaults.mode);
}

// Parses argv[*i], and the value after it if it is apart.
void ParseOne(int argc, char **argv, int *i, const std::string &usage,
              const std::vector<std::string> &names, const std::vector<std::string> &modes) {
    const std::string argument = argv[*i];
    const std::size_t dashes = argument.find_first_not_of('-');
    if (dashes != 1 && dashes != 2) {
        UsageError("unexpected argument '" + argument + "'; see --help");
    }
    const std::size_t equals = argument.find('=');
    const bool apart = equals == std::string::npos;
    const std::string name = argument.substr(dashes, apart ? equals : equals - dashes);
    if (name == "help") PrintHelp(usage, names, modes);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
        UsageError("unknown flag --" + name + "; see --help");
    }
    if (apart && *i + 1 == argc) UsageError("--" + name + " needs a value");
    const std::string value = apart ? argv[++*i] : argument.substr(equals + 1);
    std::string error;
    if (!absl::FindCommandLineFlag(name)->ParseFrom(value, &error)) {
        UsageError("'" + value + "' is no value for --" + name + "; see --help");
    }
}

} // namespace

Options ParseFlagsOrExit(int argc, char **argv, const std::string &usage, const Options &defaults,
                         const std::vector<std::string> &modes, int min_threads) {
    std::vector<std::string> names = {"threads", "seconds", "seed", "min_size", "max_size"};
    if (!modes.empty()) names.emplace_back("mode");
    SetDefaults(defaults);
    for (int i = 1; i < argc; ++i) ParseOne(argc, argv, &i, usage, names, modes);

    Options options;
    options.threads = static_cast<int>(
        InRange("threads", absl::GetFlag(FLAGS_threads), min_threads, kMaxThreads));
    options.seconds =
        static_cast<int>(InRange("seconds", absl::GetFlag(FLAGS_seconds), 1, kMaxSeconds));
    options.seed = absl::GetFlag(FLAGS_seed);
    options.max_size =
        static_cast<std::size_t>(InRange("max_size", absl::GetFlag(FLAGS_max_size), 1, kMaxSize));
    options.min_size = static_cast<std::size_t>(
        InRange("min_size", absl::GetFlag(FLAGS_min_size), 1, absl::GetFlag(FLAGS_max_size)));
    options.mode = absl::GetFlag(FLAGS_mode);
    if (!modes.empty() && std::find(modes.begin(), modes.end(), options.mode) == modes.end()) {
        UsageError("--mode must be one of " + Join(modes) + ", not '" + options.mode + "'");
    }
    seed_of_run = options.seed;
    return options;
}

} // namespace hak_stress
