// compare: the cases of all benches and real programs in one table, hakmem beside its peers.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_join.h"
#include "bench/compare_cases.h"
#include "bench/compare_report.h"
#include "bench/harness/bench.h"
#include "bench/harness/flags.h"
#include "bench/harness/main.h"

ABSL_FLAG(bool, quick, false, "a fifth of the steps and three rounds: under three minutes");
ABSL_FLAG(std::string, rows, "all", "comma list of groups (mixed) or rows (mixed.256)");
ABSL_FLAG(std::int64_t, shrink, 1, "divides steps, bytes and times: for tests, not for figures");

namespace hak_bench {
namespace {

constexpr std::int64_t kMaxShrink = 100'000;
constexpr std::int64_t kQuickShrink = 5;
constexpr int kQuickRounds = 3;

constexpr char kUsage[] =
    "Compares hakmem with other allocators on the cases of all benches and on real programs, in\n"
    "one table of times and one of memory, each row against its best peer. Each allocator runs in\n"
    "a process of its own, in rounds that are interleaved. Ten to fifteen minutes; --quick: under\n"
    "three. A peer of your own: --allocators=all,NAME=PATH.so";

std::vector<std::string> missing_programs;

bool IsWanted(const Case &one, const std::vector<std::string> &wanted) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const std::string &name) {
        return name == "all" || name == one.name || name == GroupOf(one);
    });
}

std::vector<std::string> Elements(const std::string &list) {
    std::vector<std::string> out;
    std::istringstream in(list);
    for (std::string element; std::getline(in, element, ',');) out.push_back(element);
    return out;
}

std::vector<Case> Cases(const Options & /*options*/) {
    const std::int64_t shrink = absl::GetFlag(FLAGS_shrink);
    CheckRange("shrink", shrink, 1, kMaxShrink);
    CompareCases all = AllCompareCases(shrink * (absl::GetFlag(FLAGS_quick) ? kQuickShrink : 1));
    const std::vector<std::string> wanted = Elements(absl::GetFlag(FLAGS_rows));
    for (const std::string &name : wanted) {
        if (std::none_of(all.cases.begin(), all.cases.end(),
                         [&](const Case &one) { return IsWanted(one, {name}); })) {
            UsageError("no row '" + name + "' in --rows; groups are " +
                       absl::StrJoin(GroupsOf(all.cases), ", "));
        }
    }
    std::vector<Case> cases;
    for (const Case &one : all.cases) {
        if (IsWanted(one, wanted)) cases.push_back(one);
    }
    if (cases.empty()) UsageError("--rows is empty");
    for (const std::string &name : all.missing) {
        std::fprintf(stderr, "left out: %s is not installed\n", name.c_str());
    }
    missing_programs = all.missing;
    return cases;
}

// Rounds are the harness's flag: --quick changes what it is when it is not given.
int DefaultRounds(int argc, char **argv) {
    const bool quick = std::any_of(argv + 1, argv + argc, [](const char *argument) {
        const std::string text = argument;
        return text == "--quick" || text == "-quick" || text == "--quick=true";
    });
    return quick ? kQuickRounds : 5;
}

} // namespace
} // namespace hak_bench

int main(int argc, char **argv) {
    hak_bench::Bench bench;
    bench.name = "compare";
    bench.usage = hak_bench::kUsage;
    bench.own_flags = {"quick", "rows", "shrink"};
    bench.defaults.rounds = hak_bench::DefaultRounds(argc, argv);
    bench.defaults.cycles_by_case = true;
    bench.operations_a_pair = 2;
    bench.cases = hak_bench::Cases;
    bench.make_workload = hak_bench::MakeCompareWorkload;
    bench.overview = [](const std::vector<hak_bench::CaseSummary> &summaries) {
        return hak_bench::CompareText(summaries, hak_bench::missing_programs);
    };
    bench.add_json = [](const std::vector<hak_bench::CaseSummary> &summaries,
                        hak_bench::JsonWriter *json) {
        hak_bench::AddCompareJson(summaries, hak_bench::missing_programs, json);
    };
    return hak_bench::BenchMain(argc, argv, bench);
}
