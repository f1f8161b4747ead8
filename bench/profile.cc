// profile: what hakmem's options do to the time in the kernel, to faults, calls and caches.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bench/harness/allocators.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/profile_report.h"
#include "bench/profile_workload.h"

namespace hak_bench {
namespace {

constexpr char kUsage[] =
    "Compares hakmem's options with its defaults, and with other allocators, on random_mixed's\n"
    "steps: the kernel's share, page faults, system calls, the processor's counters as far as the\n"
    "machine has them. Each configuration runs in a process of its own.";

constexpr char kOptionPrefix[] = "HAKMEM_";
/* Settings with blanks between them. */
constexpr const char *kConfigurations[] = {
    "HAKMEM_SS_PREFAULT=1",
    "HAKMEM_SS_LAZY_ZERO=1",
    "HAKMEM_WARM_POOL_SIZE=1",
    "HAKMEM_WARM_POOL_PREFILL=0",
    "HAKMEM_PREWARM_SUPERSLABS=8",
    "HAKMEM_PREWARM_SUPERSLABS=16",
    "HAKMEM_PREWARM_SUPERSLABS=32",
    "HAKMEM_PREWARM_SUPERSLABS=8 HAKMEM_PREWARM_MODE=lazy",
    "HAKMEM_PREWARM_SUPERSLABS=8 HAKMEM_PREWARM_MODE=adaptive",
    "HAKMEM_SUPERSLAB_MAX_CACHED=0",
    "HAKMEM_SUPERSLAB_MAX_MEMORY_MB=0",
    "HAKMEM_THP=always",
    "HAKMEM_THP=never",
    "HAKMEM_HUGETLB=1",
    "HAKMEM_MLOCK=1",
    "HAKMEM_NUMA=1",
    "HAKMEM_MAINTENANCE=1",
    "HAKMEM_LIMIT=50%",
};

std::vector<Case> Cases(const Options & /*options*/) {
    constexpr std::int64_t kMinSize = 16;
    constexpr std::int64_t kMaxSize = 1040;
    constexpr std::int64_t kSteps = 20'000'000; // a fifth of a second for a good allocator
    std::vector<Case> cases;
    for (const std::int64_t slots : {256, 8192}) {
        cases.push_back(
            {absl::StrFormat("mixed_%d", slots),
             absl::StrFormat("random mixed, %d slots, %d–%d B", slots, kMinSize, kMaxSize),
             {{"ws", slots}, {"min_size", kMinSize}, {"max_size", kMaxSize}, {"cycles", kSteps}},
             true});
    }
    return cases;
}

// Defaults are those of the library, not of whoever runs this.
void ForgetOptions() {
    std::vector<std::string> names;
    for (char **entry = environ; *entry != nullptr; ++entry) {
        const std::string variable = *entry;
        if (variable.rfind(kOptionPrefix, 0) == 0) {
            names.push_back(variable.substr(0, variable.find('=')));
        }
    }
    for (const std::string &name : names) {
        std::fprintf(stderr, "profile: %s is set and left out\n", name.c_str());
        unsetenv(name.c_str());
    }
}

// hakmem, then hakmem with an option each, then the others.
std::vector<Allocator> Configurations(const std::vector<Allocator> &allocators) {
    ForgetOptions();
    std::vector<Allocator> out;
    for (const Allocator &allocator : allocators) {
        out.push_back(allocator);
        if (allocator.name != kSubject) continue;
        for (const char *option : kConfigurations) {
            out.push_back({option, allocator.path, absl::StrSplit(option, ' ')});
        }
    }
    return out;
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "profile";
    bench.usage = hak_bench::kUsage;
    bench.defaults.rounds = 5;
    bench.defaults.cycles_by_case = true;
    bench.cases = hak_bench::Cases;
    bench.configurations = hak_bench::Configurations;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::ProfiledMix>(params);
    };
    bench.case_report = hak_bench::ProfileReport;
    return hak_bench::BenchMain(argc, argv, bench);
}
