// What a bench is to the harness: a name, its cases and a workload. The harness does the
// rest (main.h): a child process for each allocator, case and round, the order, the report.
#ifndef HAKMEM_BENCH_HARNESS_BENCH_H_
#define HAKMEM_BENCH_HARNESS_BENCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/harness/allocators.h"
#include "bench/harness/flags.h"

namespace hak_bench {

// What a workload is told. The harness adds "seed" to what a case says, and "cycles" and "threads"
// when the case has none or the command line has them.
using Params = std::map<std::string, std::int64_t>;

struct Case {
    std::string name;  // in JSON: no spaces
    std::string title; // in tables and sentences
    Params params;     // with "cycles" when Defaults::cycles_by_case
    // Bench::case_report writes its part of the report, and the verdict leaves it out.
    bool own_report = false;
};

// What runs in a child, with one allocator. The harness calls each step on every thread
// (0 <= thread < threads) and waits for all of them between the steps, in this order.
class Workload {
  public:
    virtual ~Workload() = default;
    // Makes what the workload itself needs. Must not call malloc, so that the memory figures,
    // which begin after it, are the allocator's alone.
    virtual void Prepare(int thread) = 0;
    // Brings the allocator to its steady state. Not timed.
    virtual void WarmUp(int thread) = 0;
    // Timed. Returns false when it failed, mostly because memory ran out.
    virtual bool Run(int thread) = 0;
    // Frees everything.
    virtual void Release(int thread) = 0;
    // The steps of Run with a malloc and free that do nothing. Timed: what the loop itself costs.
    virtual void RunEmpty(int thread) = 0;
    // Operations in Run, and in RunEmpty, of one thread.
    virtual double operations() const = 0;
    // What all threads worked in the last Run or RunEmpty, added up: ns a pair is of it. Zero: they
    // never wait, and work as long as the step takes. Called when all have returned.
    virtual double worked_ns() const { return 0; }
    // What Run found out itself, by name; part of ChildResult::values. Called after all else.
    virtual std::map<std::string, double> figures() const { return {}; }
    // Why Run returned false.
    virtual std::string failure() const { return "malloc returned NULL"; }
};

struct CaseSummary;
struct Row;
class JsonWriter;

// A column that a bench adds to its tables.
struct Column {
    std::string title;
    std::function<std::string(const Row &)> cell;
};

struct Bench {
    std::string name;
    std::string usage; // the first lines of --help
    std::vector<std::string> own_flags;
    Defaults defaults;
    // The first child after a pause is slow; it runs once more than it counts.
    bool first_is_ignored = true;
    double operations_a_pair = 2; // of Workload::operations for one malloc and its free
    std::string pair = "pair";    // what tables call so many operations
    std::vector<Column> columns;
    std::function<std::vector<Case>(const Options &)> cases;
    std::function<std::unique_ptr<Workload>(const Params &)> make_workload;
    // When set: what is run in place of the allocators that --allocators names.
    std::function<std::vector<Allocator>(const std::vector<Allocator> &)> configurations;
    // The table and the sentences of a case with own_report.
    std::function<std::string(const CaseSummary &)> case_report;
    // When set: what stands in place of the tables and the verdict.
    std::function<std::string(const std::vector<CaseSummary> &)> overview;
    // When set: adds keys of its own to the report in JSON.
    std::function<void(const std::vector<CaseSummary> &, JsonWriter *)> add_json;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_BENCH_H_
