// Profile: random_mixed's steps under the counters of the processor and of the kernel.
#ifndef HAKMEM_BENCH_PROFILE_WORKLOAD_H_
#define HAKMEM_BENCH_PROFILE_WORKLOAD_H_

#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"
#include "bench/harness/counters.h"
#include "bench/harness/probe.h"
#include "bench/random_mixed_workload.h"

namespace hak_bench {

// Params: RandomMixed's. Figures: start_faults, start_us (processor time) and start_kib (resident),
// from the process's start to before the first step; "hardware_..." of Run and "syscalls_..." from
// the warm-up on, all threads together, as far as the machine has them; hardware_error and
// syscalls_error, an errno.
class ProfiledMix : public Workload {
  public:
    explicit ProfiledMix(const Params &params);

    void Prepare(int thread) override;
    void WarmUp(int thread) override;
    bool Run(int thread) override;
    void Release(int thread) override { mix_.Release(thread); }
    void RunEmpty(int thread) override { mix_.RunEmpty(thread); }
    double operations() const override { return mix_.operations(); }
    std::map<std::string, double> figures() const override;

  private:
    // A thread's own.
    struct Counted {
        Counters hardware;
        Counters syscalls;
    };

    RandomMixed mix_;
    std::vector<Counted> threads_;
    const Usage start_;
    const double start_kib_; // resident
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_PROFILE_WORKLOAD_H_
