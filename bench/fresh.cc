// fresh: the first use of memory, hakmem beside its peers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "bench/fresh_workload.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/harness/summary.h"

ABSL_FLAG(std::int64_t, mib, 256, "bytes that are allocated, MiB, all threads together");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxMib = std::int64_t{1} << 20;
constexpr std::int64_t kMaxThreadsHere = 64;
constexpr std::int64_t kKib = 1024;

constexpr char kUsage[] =
    "Compares hakmem with other allocators on memory that nobody had before: 256 MiB of blocks\n"
    "are allocated, a byte of each of their pages is written, nothing is freed until the end.\n"
    "malloc and calloc, 16-400 B and 4-64 KiB. Each allocator runs in a process of its own.";

std::vector<Case> Cases(const Options &options) {
    const std::int64_t mib = absl::GetFlag(FLAGS_mib);
    CheckRange("mib", mib, 1, kMaxMib);
    CheckRange("threads", options.threads, 1, kMaxThreadsHere);
    const auto make = [&](const char *call, const char *sizes, const char *title,
                          std::int64_t min_size, std::int64_t max_size) {
        return Case{std::string(call) + "_" + sizes,
                    absl::StrFormat("%s, %d MiB of %s", call, mib, title),
                    {{"bytes", mib * kKib * kKib},
                     {"min_size", min_size},
                     {"max_size", max_size},
                     {"zeroed", std::string(call) == "calloc"},
                     {"cycles", 0}}};
    };
    std::vector<Case> cases;
    for (const char *call : {"malloc", "calloc"}) {
        cases.push_back(make(call, "16_400", "16–400 B", 16, 400));
        cases.push_back(make(call, "4k_64k", "4–64 KiB", 4 * kKib, 64 * kKib));
    }
    return cases;
}

std::string OverLive(const Row &row) {
    return absl::StrFormat("%+.1f %%", 100 * (row.live_mb / row.Median("live_mb") - 1));
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "fresh";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"mib"};
    bench.defaults.rounds = 5;
    bench.defaults.cycles_by_case = true;
    bench.operations_a_pair = 1;
    bench.pair = "block";
    bench.columns = {{"over live", hak_bench::OverLive}};
    bench.cases = hak_bench::Cases;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::FreshBlocks>(params);
    };
    return hak_bench::BenchMain(argc, argv, bench);
}
