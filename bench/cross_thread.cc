// cross_thread: blocks that are freed by another thread, hakmem beside its peers.
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "bench/cross_thread_workload.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"

ABSL_FLAG(std::string, pattern, "all", "all, one_way, symmetric, ring or exchange");
ABSL_FLAG(std::int64_t, min_size, 16, "smallest block, bytes");
ABSL_FLAG(std::int64_t, max_size, 512, "largest block, bytes");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxThreadsHere = 8;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 31;
constexpr std::int64_t kKib = 1024;

constexpr char kUsage[] =
    "Compares hakmem with other allocators on blocks that another thread frees. Each allocator\n"
    "runs in a process of its own. Threads, 1 to 8, work in pairs, or all together in ring and\n"
    "exchange; one without a partner hands its blocks to itself.\n"
    "Without --min_size and --max_size every pattern is run with three ranges of sizes.";

struct Way {
    Pattern pattern;
    const char *name;
    const char *title;
    std::int64_t longer; // times the cycles of a range of sizes: some ways are faster
};

constexpr Way kWays[] = {
    {Pattern::kOneWay, "one_way", "one-way", 1},
    {Pattern::kSymmetric, "symmetric", "symmetric", 1},
    {Pattern::kRing, "ring", "ring", 1},
    {Pattern::kExchange, "exchange", "exchange", 3},
};

struct Sizes {
    const char *name;
    const char *title;
    std::int64_t min;
    std::int64_t max;
    std::int64_t cycles; // some hundredths of a second for a good allocator
};

constexpr Sizes kSizes[] = {
    {"16_512", "16–512 B", 16, 512, 3'000'000},
    {"64", "64 B", 64, 64, 3'000'000},
    {"4k_64k", "4–64 KiB", 4 * kKib, 64 * kKib, 250'000},
};

Case MakeCase(const Way &way, const Sizes &sizes) {
    return {std::string(way.name) + "_" + sizes.name,
            std::string(way.title) + ", " + sizes.title,
            {{"pattern", static_cast<std::int64_t>(way.pattern)},
             {"min_size", sizes.min},
             {"max_size", sizes.max},
             {"cycles", way.longer * sizes.cycles}}};
}

std::vector<Case> Cases(const Options &options) {
    const std::int64_t min_size = absl::GetFlag(FLAGS_min_size);
    const std::int64_t max_size = absl::GetFlag(FLAGS_max_size);
    CheckRange("threads", options.threads, 1, kMaxThreadsHere);
    CheckRange("min_size", min_size, 1, kMaxSize);
    CheckRange("max_size", max_size, 1, kMaxSize);
    if (min_size > max_size) {
        UsageError(absl::StrFormat("--min_size %d is above --max_size %d", min_size, max_size));
    }
    const std::string title = min_size == max_size ? absl::StrFormat("%d B", min_size)
                                                   : absl::StrFormat("%d–%d B", min_size, max_size);
    std::vector<Sizes> sizes(std::begin(kSizes), std::end(kSizes));
    if (options.given.count("min_size") != 0 || options.given.count("max_size") != 0) {
        const std::int64_t cycles = max_size < 4 * kKib ? kSizes[0].cycles : kSizes[2].cycles;
        sizes = {{"custom", title.c_str(), min_size, max_size, cycles}};
    }
    const std::string wanted = absl::GetFlag(FLAGS_pattern);
    std::vector<Case> cases;
    for (const Way &way : kWays) {
        if (wanted != "all" && wanted != way.name) continue;
        for (const Sizes &range : sizes) cases.push_back(MakeCase(way, range));
    }
    if (cases.empty()) UsageError("no pattern '" + wanted + "'; see --help");
    return cases;
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "cross_thread";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"pattern", "min_size", "max_size"};
    bench.defaults.threads = 2;
    bench.defaults.cycles_by_case = true;
    bench.operations_a_pair = 2;
    bench.cases = hak_bench::Cases;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::CrossThread>(params);
    };
    return hak_bench::BenchMain(argc, argv, bench);
}
