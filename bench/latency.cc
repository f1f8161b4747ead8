// latency: how long single calls of malloc and free take under load, hakmem beside its peers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/latency_report.h"
#include "bench/latency_workload.h"

ABSL_FLAG(std::string, mix, "all", "all, small, medium, wide or shared");

namespace hak_bench {
namespace {

constexpr std::int64_t kKib = 1024;
constexpr std::int64_t kMaxThreadsHere = 64;

constexpr char kUsage[] =
    "Compares how long single calls of malloc and free take: percentiles up to the longest one.\n"
    "Each of --threads threads frees or fills random slots; every call is timed. Small: 16-1040 "
    "B.\n"
    "Medium: 4-64 KiB. Wide: 16 B to 4 MiB, each power of two as likely. Shared: small blocks in\n"
    "slots of all threads, so that others free them. Each allocator runs in a process of its own.";

std::vector<Case> Cases(const Options &options) {
    CheckRange("threads", options.threads, 1, kMaxThreadsHere);
    const auto make = [](const char *name, const char *title, std::int64_t cycles,
                         std::int64_t slots, std::int64_t min_size, std::int64_t max_size,
                         std::int64_t wide, std::int64_t shared) {
        Case one{name, title, {}, true};
        one.params = {{"cycles", cycles},     {"ws", slots},  {"min_size", min_size},
                      {"max_size", max_size}, {"wide", wide}, {"shared", shared}};
        return one;
    };
    const std::vector<Case> all = {
        make("small", "small: 8192 slots a thread, 16–1040 B", 2'000'000, 8192, 16, 1040, 0, 0),
        make("medium", "medium: 256 slots a thread, 4–64 KiB", 500'000, 256, 4 * kKib, 64 * kKib, 0,
             0),
        make("wide", "wide: 256 slots a thread, 16 B to 4 MiB", 200'000, 256, 16, 4 * kKib * kKib,
             1, 0),
        make("shared", "shared: 8192 slots of all threads, 16–1040 B", 2'000'000, 8192, 16, 1040, 0,
             1),
    };
    const std::string wanted = absl::GetFlag(FLAGS_mix);
    std::vector<Case> cases;
    for (const Case &one : all) {
        if (wanted == "all" || wanted == one.name) cases.push_back(one);
    }
    if (cases.empty()) UsageError("no mix '" + wanted + "'; see --help");
    return cases;
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "latency";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"mix"};
    bench.defaults.threads = 2;
    bench.defaults.rounds = 5;
    bench.defaults.cycles_by_case = true;
    bench.cases = hak_bench::Cases;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::Latency>(params);
    };
    bench.case_report = hak_bench::LatencyReport;
    return hak_bench::BenchMain(argc, argv, bench);
}
