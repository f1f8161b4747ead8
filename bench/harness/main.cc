#include "bench/harness/main.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "bench/harness/allocators.h"
#include "bench/harness/child.h"
#include "bench/harness/flags.h"
#include "bench/harness/machine.h"
#include "bench/harness/report.h"
#include "bench/harness/report_json.h"
#include "bench/harness/runner.h"
#include "bench/harness/summary.h"

namespace hak_bench {

int BenchMain(int argc, char **argv, const Bench &bench) {
    if (IsChild(argc, argv)) return ChildMain(argc, argv, bench);

    const Options options =
        ParseFlagsOrExit(argc, argv, bench.usage, bench.own_flags, bench.defaults);
    const std::vector<Case> cases = bench.cases(options);
    AllocatorList allocators = ResolveAllocators(options.allocators);
    if (!allocators.error.empty()) UsageError(allocators.error);
    for (const std::string &note : allocators.notes) std::fprintf(stderr, "%s\n", note.c_str());
    if (bench.configurations) allocators.found = bench.configurations(allocators.found);
#ifndef NDEBUG
    std::fprintf(stderr, "built without optimization: for true figures, bazel run -c opt\n");
#endif

    Results results;
    const std::string error = RunRounds(bench, cases, allocators.found, options, &results);
    if (!error.empty()) {
        std::fprintf(stderr, "%s: %s\n", bench.name.c_str(), error.c_str());
        return 1;
    }
    const std::vector<CaseSummary> summaries = Summarize(bench, cases, allocators.found, results);
    const Machine machine = DescribeMachine();
    const std::string json = JsonReport(bench, options, summaries, machine);
    std::fputs(options.json ? json.c_str() : TextReport(bench, options, summaries, machine).c_str(),
               stdout);
    if (options.json_path.empty()) return 0;
    std::ofstream(options.json_path) << json;
    return 0;
}

} // namespace hak_bench
