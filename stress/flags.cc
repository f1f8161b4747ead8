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
ABSL_FLAG(std::uint64_t, seed, 1,
          "fixes what each thread allocates, and the choices that it draws");
ABSL_FLAG(std::int64_t, min_size, 1, "smallest block, bytes");
ABSL_FLAG(std::int64_t, max_size, 4096, "largest block, bytes; at most 4 MiB");
ABSL_FLAG(std::string, mode, "", "what the threads do");
ABSL_FLAG(std::int64_t, hz, 1000, "signals a second and thread");
ABSL_FLAG(std::int64_t, lives, 20000, "--mode=generations: threads altogether");
ABSL_FLAG(std::int64_t, at_once, 8, "--mode=generations: threads at a time");
ABSL_FLAG(std::int64_t, alive, 10000, "--mode=alive: threads alive at once");
ABSL_FLAG(std::int64_t, forks, 3000, "--mode=latency: forks for each malloc");
ABSL_FLAG(std::int64_t, tib, 32, "terabytes of address space, holes included");
ABSL_FLAG(std::string, malloc, "both", "--mode=latency: hakmem, system, or both in turn");

namespace hak_stress {
namespace {

constexpr int kExitUsage = 2;
constexpr std::int64_t kMaxThreads = 4000;
constexpr std::int64_t kMaxSeconds = 86400;
constexpr std::int64_t kMaxSize = std::int64_t{4} << 20;
constexpr std::int64_t kMaxHz = 100000;
constexpr std::int64_t kMaxLives = 100000000;
constexpr std::int64_t kMaxAlive = 100000;
constexpr std::int64_t kMaxForks = 1000000;
constexpr std::int64_t kMaxTib = 100; // of 128 that a process has
const std::vector<std::string> kMallocs = {"hakmem", "system", "both"};

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

std::string OneOf(const char *flag, const std::string &value,
                  const std::vector<std::string> &values) {
    if (std::find(values.begin(), values.end(), value) == values.end()) {
        UsageError(std::string("--") + flag + " must be one of " + Join(values) + ", not '" +
                   value + "'");
    }
    return value;
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

// The flags that only some programs have; the others leave them at their defaults.
void ReadOwn(Options *options) {
    options->hz = static_cast<int>(InRange("hz", absl::GetFlag(FLAGS_hz), 1, kMaxHz));
    options->lives = static_cast<int>(InRange("lives", absl::GetFlag(FLAGS_lives), 10, kMaxLives));
    options->at_once =
        static_cast<int>(InRange("at_once", absl::GetFlag(FLAGS_at_once), 1, kMaxThreads));
    options->alive = static_cast<int>(InRange("alive", absl::GetFlag(FLAGS_alive), 1, kMaxAlive));
    options->forks = static_cast<int>(InRange("forks", absl::GetFlag(FLAGS_forks), 1, kMaxForks));
    options->tib = static_cast<int>(InRange("tib", absl::GetFlag(FLAGS_tib), 1, kMaxTib));
    options->malloc = OneOf("malloc", absl::GetFlag(FLAGS_malloc), kMallocs);
}

} // namespace

Options ParseFlagsOrExit(int argc, char **argv, const std::string &usage, const Options &defaults,
                         const std::vector<std::string> &modes, int min_threads,
                         const std::vector<std::string> &own) {
    std::vector<std::string> names = {"threads", "seconds", "seed", "min_size", "max_size"};
    if (!modes.empty()) names.emplace_back("mode");
    names.insert(names.end(), own.begin(), own.end());
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
    if (!modes.empty()) OneOf("mode", options.mode, modes);
    ReadOwn(&options);
    NameSeedOnFailure(options.seed);
    return options;
}

} // namespace hak_stress
