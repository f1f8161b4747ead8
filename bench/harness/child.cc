#include "bench/harness/child.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "bench/harness/bench.h"
#include "bench/harness/probe.h"
#include "bench/harness/rendezvous.h"
#include "benchmark/benchmark.h"

namespace hak_bench {
namespace {

constexpr char kChildMark[] = "--hak_bench_child";
// argv of a child: program, kChildMark, report fd, preload or "-", then name=value of each Param.
constexpr int kArgFd = 2;
constexpr int kArgPreload = 3;
constexpr int kArgParams = 4;

using Clock = std::chrono::steady_clock;

// All threads' view of one child. Thread 0 reads the probes while the others wait.
struct Session {
    Session(std::unique_ptr<Workload> work, int count)
        : workload(std::move(work)), threads(count), rendezvous(count), spans(count) {}

    struct Span {
        Clock::time_point begin;
        Clock::time_point end;
        bool failed = false;
    };

    // From the first thread's begin to the last one's end.
    double WallNanoseconds() const {
        Span all = spans[0];
        for (const Span &span : spans) {
            all.begin = std::min(all.begin, span.begin);
            all.end = std::max(all.end, span.end);
        }
        return std::chrono::duration<double, std::nano>(all.end - all.begin).count();
    }

    // Of all threads, added up.
    double WorkedNanoseconds() const {
        const double worked = workload->worked_ns();
        return worked > 0 ? worked : WallNanoseconds() * threads;
    }

    std::unique_ptr<Workload> workload;
    int threads;
    Rendezvous rendezvous;
    std::vector<Span> spans;
    double baseline_kib = 0;
    Usage usage_before;
    std::map<std::string, double> counts_before;
    ChildResult result;
};

void ProbeBefore(Session *session) {
    session->baseline_kib = ResidentKib();
    session->usage_before = ProcessUsage();
}

void ProbeLive(Session *session) {
    const Usage usage = ProcessUsage();
    auto &values = session->result.values;
    values["faults"] = usage.faults - session->usage_before.faults;
    values["user_us"] = usage.user_us - session->usage_before.user_us;
    values["kernel_us"] = usage.kernel_us - session->usage_before.kernel_us;
    for (const auto &[name, count] : HakmemCounts()) {
        values["hak_" + name] = count - session->counts_before[name];
        values["hak_all_" + name] = count;
    }
    const double live = ResidentKib();
    values["live_kib"] = live - session->baseline_kib;
    values["peak_kib"] = std::max(PeakResidentKib(), live) - session->baseline_kib;
}

void RunThread(benchmark::State &state, Session *session) {
    Workload &workload = *session->workload;
    const int thread = state.thread_index();
    const auto only_first = [&](auto probe) {
        session->rendezvous.Wait();
        if (thread == 0) probe();
        session->rendezvous.Wait();
    };
    workload.Prepare(thread);
    only_first([&] { ProbeBefore(session); });
    workload.WarmUp(thread);
    only_first([&] { session->counts_before = HakmemCounts(); });
    for (auto _ : state) { // one iteration: the whole run
        Session::Span &span = session->spans[static_cast<std::size_t>(thread)];
        span.begin = Clock::now();
        span.failed = !workload.Run(thread);
        span.end = Clock::now();
    }
    only_first([&] {
        session->result.values["wall_ns"] = session->WallNanoseconds();
        session->result.values["worked_ns"] = session->WorkedNanoseconds();
        ProbeLive(session);
    });
    workload.Release(thread);
}

void RunEmptyThread(benchmark::State &state, Session *session) {
    const int thread = state.thread_index();
    // The threads of the run have ended here: what they kept is still counted.
    if (thread == 0) {
        session->result.values["rest_kib"] = ResidentKib() - session->baseline_kib;
    }
    session->rendezvous.Wait();
    for (auto _ : state) {
        Session::Span &span = session->spans[static_cast<std::size_t>(thread)];
        span.begin = Clock::now();
        session->workload->RunEmpty(thread);
        span.end = Clock::now();
    }
    session->rendezvous.Wait();
    if (thread != 0) return;
    session->result.values["loop_ns"] = session->WallNanoseconds();
    session->result.values["loop_worked_ns"] = session->WorkedNanoseconds();
}

// The parent prints the report; Google Benchmark has nothing to add in a child.
class SilentReporter : public benchmark::BenchmarkReporter {
  public:
    bool ReportContext(const Context & /*context*/) override { return true; }
    void ReportRuns(const std::vector<Run> & /*runs*/) override {}
};

void Measure(Session *session) {
    benchmark::RegisterBenchmark("run", [=](benchmark::State &state) { RunThread(state, session); })
        ->Iterations(1)
        ->Threads(session->threads);
    benchmark::RegisterBenchmark("loop",
                                 [=](benchmark::State &state) { RunEmptyThread(state, session); })
        ->Iterations(1)
        ->Threads(session->threads);
    SilentReporter reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    session->result.values["threads"] = session->threads;
    session->result.values["operations"] = session->workload->operations() * session->threads;
    session->result.values.merge(session->workload->figures());
}

// One line when malloc is not from `preload`; empty when all is well.
std::string WrongMalloc(const std::string &preload, const std::string &actual) {
    if (preload == "-") return "";
    std::error_code error;
    if (std::filesystem::equivalent(preload, actual, error)) return "";
    return "malloc is from " + actual + " although " + preload + " is preloaded";
}

void WriteReport(int fd, const ChildResult &result) {
    std::ostringstream out;
    out.precision(17);
    for (const auto &[name, value] : result.values) out << "v " << name << ' ' << value << '\n';
    for (const auto &[name, text] : result.texts) out << "t " << name << ' ' << text << '\n';
    const std::string text = out.str();
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t written = write(fd, text.data() + done, text.size() - done);
        if (written <= 0) return;
        done += static_cast<std::size_t>(written);
    }
}

} // namespace

std::vector<std::string> ChildArguments(const Params &params, const std::string &preload,
                                        int report_fd) {
    std::vector<std::string> arguments = {kChildMark, std::to_string(report_fd),
                                          preload.empty() ? "-" : preload};
    for (const auto &[name, value] : params)
        arguments.push_back(name + "=" + std::to_string(value));
    return arguments;
}

bool IsChild(int argc, char **argv) {
    return argc >= kArgParams && std::string(argv[1]) == kChildMark;
}

int ChildMain(int argc, char **argv, const Bench &bench) {
    const int fd = std::atoi(argv[kArgFd]);
    Params params;
    for (int i = kArgParams; i < argc; ++i) {
        const std::string argument = argv[i];
        const std::size_t equals = argument.find('=');
        params[argument.substr(0, equals)] = std::atoll(argument.c_str() + equals + 1);
    }
    ChildResult early;
    early.texts["malloc_path"] = MallocPath();
    early.texts["malloc_version"] = MallocVersion();
    early.texts["error"] = WrongMalloc(argv[kArgPreload], early.texts["malloc_path"]);
    if (!early.texts["error"].empty()) {
        WriteReport(fd, early);
        return 1;
    }
    Session session(bench.make_workload(params), static_cast<int>(params["threads"]));
    session.result.texts = early.texts;
    Measure(&session);
    bool failed = false;
    for (const Session::Span &span : session.spans) failed = failed || span.failed;
    if (failed) session.result.texts["error"] = session.workload->failure();
    WriteReport(fd, session.result);
    return failed ? 1 : 0;
}

ChildResult ParseChildReport(const std::string &text) {
    ChildResult result;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields(line);
        std::string kind;
        std::string name;
        fields >> kind >> name;
        fields.get(); // the space before the value
        std::string value;
        std::getline(fields, value);
        if (kind == "v") result.values[name] = std::strtod(value.c_str(), nullptr);
        if (kind == "t" && !value.empty()) result.texts[name] = value;
    }
    return result;
}

} // namespace hak_bench
