// random_mixed: small blocks of random sizes in random order, hakmem beside its peers.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"
#include "bench/random_mixed_workload.h"

ABSL_FLAG(std::int64_t, ws, 256, "slots a thread; about half of them are full");
ABSL_FLAG(std::int64_t, min_size, 16, "smallest block, bytes");
ABSL_FLAG(std::int64_t, max_size, 1040, "largest block, bytes");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxSlots = std::int64_t{1} << 28;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 31;

constexpr char kUsage[] =
    "Compares hakmem with other allocators on random mixed sizes. Each step picks a random slot:\n"
    "a full one is freed, an empty one filled. Each allocator runs in a process of its own.\n"
    "Without --ws, --min_size and --max_size three cases are run; with any of them that one.";

Case MakeCase(const std::string &name, std::int64_t slots, std::int64_t min_size,
              std::int64_t max_size) {
    const char *kind = name == "tiny_hot" ? "tiny hot" : "random mixed";
    const std::string title =
        absl::StrFormat("%s, %d slots, %d–%d B", kind, slots, min_size, max_size);
    return {name, title, {{"ws", slots}, {"min_size", min_size}, {"max_size", max_size}}};
}

std::vector<Case> Cases(const Options &options) {
    const std::int64_t slots = absl::GetFlag(FLAGS_ws);
    const std::int64_t min_size = absl::GetFlag(FLAGS_min_size);
    const std::int64_t max_size = absl::GetFlag(FLAGS_max_size);
    CheckRange("ws", slots, 1, kMaxSlots);
    CheckRange("min_size", min_size, 1, kMaxSize);
    CheckRange("max_size", max_size, 1, kMaxSize);
    if (min_size > max_size) {
        UsageError(absl::StrFormat("--min_size %d is above --max_size %d", min_size, max_size));
    }
    for (const char *flag : {"ws", "min_size", "max_size"}) {
        if (options.given.count(flag) != 0) return {MakeCase("custom", slots, min_size, max_size)};
    }
    return {MakeCase("mixed_256", 256, 16, 1040), MakeCase("mixed_8192", 8192, 16, 1040),
            MakeCase("tiny_hot", 256, 8, 128)};
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "random_mixed";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"ws", "min_size", "max_size"};
    bench.operations_a_pair = 2;
    bench.cases = hak_bench::Cases;
    bench.make_workload = [](const hak_bench::Params &params) {
        return std::make_unique<hak_bench::RandomMixed>(params);
    };
    return hak_bench::BenchMain(argc, argv, bench);
}
