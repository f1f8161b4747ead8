// For tests of workloads: calls the steps as the harness does.
#ifndef HAKMEM_BENCH_RUN_STEPS_H_
#define HAKMEM_BENCH_RUN_STEPS_H_

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "bench/harness/bench.h"
#include "bench/harness/rendezvous.h"

namespace hak_bench {

// Every step on every thread, all threads at one step at a time. False when Run was on any.
inline bool RunAllSteps(Workload *workload, int threads) {
    Rendezvous rendezvous(threads);
    std::atomic<bool> good{true};
    const auto steps = [&](int thread) {
        workload->Prepare(thread);
        rendezvous.Wait();
        workload->WarmUp(thread);
        rendezvous.Wait();
        if (!workload->Run(thread)) good = false;
        rendezvous.Wait();
        workload->Release(thread);
        rendezvous.Wait();
        workload->RunEmpty(thread);
    };
    std::vector<std::thread> running;
    running.reserve(static_cast<std::size_t>(threads));
    for (int i = 0; i < threads; ++i) running.emplace_back(steps, i);
    for (std::thread &thread : running) thread.join();
    return good;
}

} // namespace hak_bench

#endif // HAKMEM_BENCH_RUN_STEPS_H_
