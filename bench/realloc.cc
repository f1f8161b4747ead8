// realloc: blocks that grow, shrink and stay as they are, hakmem beside its peers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/harness/summary.h"
#include "bench/realloc_workload.h"

ABSL_FLAG(std::string, resize, "all", "all, grow, double, shrink or same");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxThreadsHere = 64;

constexpr char kUsage[] =
    "Compares hakmem with other allocators on realloc. Grow: a block from 4 KiB to 64 MiB by\n"
    "eighths, a byte of each further page written. Double: random ones of 1024 vectors, from 16 B\n"
    "to 8 KiB. Shrink: a block from 64 KiB to 64 B by eighths. Same: random ones of 1024 blocks "
    "to\n"
    "the size that they have. Each allocator runs in a process of its own.";

struct Way {
    Resize resize;
    const char *name;
    const char *title;
    std::int64_t cycles; // a tenth of a second for a good allocator
};

constexpr Way kWays[] = {
    {Resize::kGrow, "grow", "grow, 4 KiB to 64 MiB by eighths", 0}, // four growths
    {Resize::kDouble, "double", "double, 1024 vectors, 16 B to 8 KiB", 1'000'000},
    {Resize::kShrink, "shrink", "shrink, 64 KiB to 64 B by eighths", 2'000'000},
    {Resize::kSame, "same", "same size, 1024 blocks, 16 B to 64 KiB", 5'000'000},
};

std::vector<Case> Cases(const Options &options) {
    constexpr std::int64_t kGrowths = 4;
    CheckRange("threads", options.threads, 1, kMaxThreadsHere);
    const std::string wanted = absl::GetFlag(FLAGS_resize);
    std::vector<Case> cases;
    for (const Way &way : kWays) {
        if (wanted != "all" && wanted != way.name) continue;
        const std::int64_t cycles = way.cycles != 0 ? way.cycles : kGrowths * StepsOf(way.resize);
        cases.push_back({way.name,
                         way.title,
                         {{"resize", static_cast<std::int64_t>(way.resize)}, {"cycles", cycles}}});
    }
    if (cases.empty()) UsageError("no resize '" + wanted + "'; see --help");
    return cases;
}

// A whole way from the first size to the last one.
std::string MicrosecondsAWay(const Row &row) {
    const double steps = row.Median("steps");
    return steps > 0 ? absl::StrFormat("%.1f", row.ns_pair.median * steps / 1e3) : "-";
}

std::string MovedShare(const Row &row) {
    return absl::StrFormat("%.1f", 100 * row.Median("moved_share"));
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "realloc";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"resize"};
    bench.defaults.rounds = 5;
    bench.defaults.cycles_by_case = true;
    bench.operations_a_pair = 1;
    bench.pair = "realloc";
    bench.columns = {{"µs a way", hak_bench::MicrosecondsAWay}, {"moved %", hak_bench::MovedShare}};
    bench.cases = hak_bench::Cases;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::Reallocs>(params);
    };
    return hak_bench::BenchMain(argc, argv, bench);
}
