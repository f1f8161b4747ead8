// rss: what stays resident through a program's life, hakmem beside its peers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/rss_report.h"
#include "bench/rss_workload.h"

ABSL_FLAG(std::string, life, "all", "all, idle, pool or sparse");
ABSL_FLAG(std::int64_t, shorten, 1, "divides bytes, times and threads: for tests, not for figures");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxShorten = 1000;

constexpr char kUsage[] =
    "Compares what stays resident with hakmem and with other allocators. Idle: 512 MB are freed,\n"
    "2 s without a call, 9 s of light use. Pool: twenty threads allocate 64 MB each, one after\n"
    "another, free them and stay. Sparse: of 150 MB a random 90 % is freed, 2 s of light use, "
    "then\n"
    "the rest is freed. All blocks have 16 to 1024 bytes; each life ends with malloc_trim(0).\n"
    "Each allocator runs in a process of its own.";

struct Kind {
    Life life;
    const char *name;
    const char *title; // after the megabytes
};

constexpr Kind kKinds[] = {
    {Life::kIdle, "idle", "MB freed, 2 s idle, 9 s of light use"},
    {Life::kPool, "pool", "MB allocated and freed by each of twenty threads in turn"},
    {Life::kSparse, "sparse", "MB, a random 90 % freed, 2 s of light use, then all freed"},
};

std::vector<Case> Cases(const Options &options) {
    const std::string wanted = absl::GetFlag(FLAGS_life);
    const std::int64_t shorten = absl::GetFlag(FLAGS_shorten);
    CheckRange("threads", options.threads, 1, 1);
    CheckRange("shorten", shorten, 1, kMaxShorten);
    std::vector<Case> cases;
    for (const Kind &kind : kKinds) {
        if (wanted != "all" && wanted != kind.name) continue;
        const std::int64_t bytes = BytesOf(kind.life) / shorten;
        const double mb = static_cast<double>(bytes) / (1 << 20);
        const std::string title = absl::StrFormat("%s: %.3g %s", kind.name, mb, kind.title);
        const Params params = {{"life", static_cast<std::int64_t>(kind.life)},
                               {"bytes", bytes},
                               {"shorten", shorten},
                               {"cycles", 0}};
        cases.push_back({kind.name, title, params, true});
    }
    if (cases.empty()) UsageError("no life '" + wanted + "'; see --help");
    return cases;
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "rss";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"life", "shorten"};
    bench.defaults.rounds = 1;
    bench.defaults.cycles_by_case = true;
    bench.first_is_ignored = false;
    bench.cases = hak_bench::Cases;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::RssLife>(params);
    };
    bench.case_report = hak_bench::LifeReport;
    return hak_bench::BenchMain(argc, argv, bench);
}
