// thread_churn: threads that live briefly and leave blocks behind, hakmem beside its peers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/thread_churn_workload.h"

ABSL_FLAG(std::string, churn, "all", "all, generations or lives");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxLines = 64;
constexpr std::int64_t kKib = 1024;

constexpr char kUsage[] =
    "Compares hakmem with other allocators on threads that live briefly; --threads of them live "
    "at\n"
    "once. Generations: a thread takes over the blocks that the one before it left, replaces half\n"
    "as many and leaves all to the next. Lives: a thread allocates 100 blocks, frees them and\n"
    "ends. Each allocator runs in a process of its own.";

// Cycles: a fifth of a second for a good allocator. Blocks of generations: some MiB.
std::vector<Case> AllCases() {
    const auto generations = static_cast<std::int64_t>(Churn::kGenerations);
    const auto lives = static_cast<std::int64_t>(Churn::kLives);
    const auto params = [](std::int64_t churn, std::int64_t blocks, std::int64_t replaced,
                           std::int64_t min_size, std::int64_t max_size, std::int64_t cycles) {
        return Params{{"churn", churn},       {"blocks", blocks},     {"replaced", replaced},
                      {"min_size", min_size}, {"max_size", max_size}, {"cycles", cycles}};
    };
    return {
        {"generations_16_512", "generations, 2048 of 4096 blocks replaced, 16–512 B",
         params(generations, 4096, 2048, 16, 512, 5'000'000)},
        {"generations_4k_64k", "generations, 128 of 256 blocks replaced, 4–64 KiB",
         params(generations, 256, 128, 4 * kKib, 64 * kKib, 300'000)},
        {"lives_16_512", "lives, 100 blocks, 16–512 B", params(lives, 100, 100, 16, 512, 500'000)},
        {"lives_4k_64k", "lives, 100 blocks, 4–64 KiB",
         params(lives, 100, 100, 4 * kKib, 64 * kKib, 250'000)},
    };
}

std::vector<Case> Cases(const Options &options) {
    CheckRange("threads", options.threads, 1, kMaxLines);
    const std::string wanted = absl::GetFlag(FLAGS_churn);
    std::vector<Case> cases;
    for (const Case &one : AllCases()) {
        if (wanted == "all" || one.name.rfind(wanted + "_", 0) == 0) cases.push_back(one);
    }
    if (cases.empty()) UsageError("no churn '" + wanted + "'; see --help");
    return cases;
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "thread_churn";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"churn"};
    bench.defaults.threads = 2;
    bench.defaults.cycles_by_case = true;
    bench.operations_a_pair = 2;
    bench.cases = hak_bench::Cases;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::ThreadChurn>(params);
    };
    return hak_bench::BenchMain(argc, argv, bench);
}
