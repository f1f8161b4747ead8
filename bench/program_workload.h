// Real programs: one is started, with the malloc that this process has, and does a fixed piece of
// work. Measured is the processor's time that it and its children took.
#ifndef HAKMEM_BENCH_PROGRAM_WORKLOAD_H_
#define HAKMEM_BENCH_PROGRAM_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <string>

#include "bench/harness/bench.h"
#include "bench/programs.h"

namespace hak_bench {

// The system's own, else the first on PATH: a user's may be a script around it. Empty: none.
std::string FindProgram(const std::string &name);

// Params: program, cycles (steps). Operations are two, so that a pair is a whole run.
// Figures: program_peak_kib, the most that the program had resident (never below what this process
// has, which the kernel counts as its beginning).
class ProgramRun : public Workload {
  public:
    explicit ProgramRun(const Params &params);
    ~ProgramRun() override;

    void Prepare(int thread) override;
    void WarmUp(int /*thread*/) override {}
    bool Run(int thread) override;
    void Release(int /*thread*/) override {}
    void RunEmpty(int thread) override;
    double operations() const override { return 2; }
    double worked_ns() const override { return worked_ns_; }
    std::map<std::string, double> figures() const override;
    std::string failure() const override { return failure_; }

  private:
    const Program &program_;
    const std::int64_t steps_;
    const bool served_; // the program waits on a socket for what to do
    std::string path_;
    std::string directory_; // where it works
    std::string failure_;
    double worked_ns_ = 0;
    double peak_kib_ = 0;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_PROGRAM_WORKLOAD_H_
