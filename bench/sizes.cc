// sizes: what a pair of malloc and free costs at each size, hakmem beside its peers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/random_mixed_workload.h"
#include "bench/sizes_report.h"
#include "bench/sizes_workload.h"

ABSL_FLAG(std::int64_t, span_us, 1000, "processor time for each size, microseconds");
ABSL_FLAG(std::int64_t, max_size, 32 << 20, "largest block of the sweep, bytes");

namespace hak_bench {
namespace {

constexpr std::int64_t kKib = 1024;
constexpr std::int64_t kMaxSpan = 1'000'000;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 31;
constexpr std::int64_t kMixSteps = 500'000; // a tenth of a second for a good allocator

constexpr char kUsage[] =
    "Compares hakmem with other allocators size by size, from 16 bytes to 32 MiB: malloc, a write\n"
    "to both ends, free; one block at a time and sixteen. Then random sizes of 1 KiB and more as\n"
    "in random_mixed. Each allocator runs in a process of its own.";

Case Mix(const std::string &name, std::int64_t min_size, std::int64_t max_size) {
    return {name,
            "mix " + std::to_string(min_size / kKib) + "–" + std::to_string(max_size / kKib) +
                " KiB, 256 slots",
            {{"ws", 256}, {"min_size", min_size}, {"max_size", max_size}, {"cycles", kMixSteps}}};
}

std::vector<Case> Cases(const Options &options) {
    const std::int64_t span_us = absl::GetFlag(FLAGS_span_us);
    const std::int64_t max_size = absl::GetFlag(FLAGS_max_size);
    CheckRange("threads", options.threads, 1, 1);
    CheckRange("span_us", span_us, 1, kMaxSpan);
    CheckRange("max_size", max_size, 16, kMaxSize);
    Case sweep{"sweep", "16 B to " + SizeName(static_cast<std::size_t>(max_size)), {}, true};
    sweep.params = {{"span_us", span_us}, {"max_size", max_size}, {"cycles", 0}};
    return {sweep, Mix("mix_1k_256k", kKib, 256 * kKib), Mix("mix_4k_128k", 4 * kKib, 128 * kKib)};
}

std::unique_ptr<Workload> MakeWorkload(const Params &params) {
    if (params.count("span_us") != 0) return std::make_unique<SizeSweep>(params);
    return std::make_unique<RandomMixed>(params);
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "sizes";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"span_us", "max_size"};
    bench.defaults.rounds = 5;
    bench.defaults.cycles_by_case = true;
    bench.cases = hak_bench::Cases;
    bench.make_workload = hak_bench::MakeWorkload;
    bench.case_report = hak_bench::SweepReport;
    return hak_bench::BenchMain(argc, argv, bench);
}
