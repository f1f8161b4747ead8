#include "bench/profile_workload.h"

#include <cstddef>
#include <map>
#include <string>

namespace hak_bench {
namespace {

void Add(const std::string &prefix, const Counters &counters, std::map<std::string, double> *out) {
    for (const auto &[name, count] : counters.Read()) (*out)[prefix + name] += count;
    (*out)[prefix + "error"] = counters.error();
}

} // namespace

ProfiledMix::ProfiledMix(const Params &params)
    : mix_(params), threads_(static_cast<std::size_t>(params.at("threads"))),
      start_(ProcessUsage()), start_kib_(ResidentKib()) {}

void ProfiledMix::Prepare(int thread) {
    Counted &counted = threads_[static_cast<std::size_t>(thread)];
    counted.hardware.Open(CounterKind::kHardware);
    counted.syscalls.Open(CounterKind::kSyscalls);
    mix_.Prepare(thread);
}

void ProfiledMix::WarmUp(int thread) {
    threads_[static_cast<std::size_t>(thread)].syscalls.Start();
    mix_.WarmUp(thread);
}

bool ProfiledMix::Run(int thread) {
    Counted &counted = threads_[static_cast<std::size_t>(thread)];
    counted.hardware.Start();
    const bool good = mix_.Run(thread);
    counted.hardware.Stop();
    counted.syscalls.Stop();
    return good;
}

std::map<std::string, double> ProfiledMix::figures() const {
    std::map<std::string, double> out = {{"start_faults", start_.faults},
                                         {"start_us", start_.user_us + start_.kernel_us},
                                         {"start_kib", start_kib_}};
    for (const Counted &counted : threads_) {
        Add("hardware_", counted.hardware, &out);
        Add("syscalls_", counted.syscalls, &out);
    }
    return out;
}

} // namespace hak_bench
