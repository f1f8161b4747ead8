#include "bench/harness/counters.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace hak_bench {
namespace {

struct Event {
    std::string name;
    std::uint32_t type;
    std::uint64_t config;
};

constexpr std::uint64_t CacheReadMisses(std::uint64_t cache) {
    return cache | (PERF_COUNT_HW_CACHE_OP_READ << 8) | (PERF_COUNT_HW_CACHE_RESULT_MISS << 16);
}

std::vector<Event> HardwareEvents() {
    return {
        {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
        {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
        {"l1d_misses", PERF_TYPE_HW_CACHE, CacheReadMisses(PERF_COUNT_HW_CACHE_L1D)},
        {"dtlb_misses", PERF_TYPE_HW_CACHE, CacheReadMisses(PERF_COUNT_HW_CACHE_DTLB)},
    };
}

// The number of a tracepoint; 0 when tracefs is not there or not for us.
std::uint64_t TracepointId(const std::string &name) {
    for (const char *root : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
        std::ifstream file(std::string(root) + "/events/syscalls/sys_enter_" + name + "/id");
        std::uint64_t id = 0;
        if (file >> id) return id;
    }
    return 0;
}

std::vector<Event> SyscallEvents() {
    std::vector<Event> events;
    for (const char *name : {"mmap", "munmap", "madvise", "mremap"}) {
        events.push_back({name, PERF_TYPE_TRACEPOINT, TracepointId(name)});
    }
    return events;
}

// A file descriptor, or -1 and errno.
int OpenEvent(const Event &event) {
    if (event.type == PERF_TYPE_TRACEPOINT && event.config == 0) {
        errno = ENOENT;
        return -1;
    }
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = event.type;
    attributes.config = event.config;
    attributes.disabled = 1;
    // A tracepoint lies in the kernel; of the processor's counts the kernel's need a privilege.
    attributes.exclude_kernel = event.type != PERF_TYPE_TRACEPOINT;
    attributes.exclude_hv = 1;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    constexpr int kThisThread = 0;
    constexpr int kAnyCore = -1;
    constexpr int kNoGroup = -1;
    return static_cast<int>(syscall(SYS_perf_event_open, &attributes, kThisThread, kAnyCore,
                                    kNoGroup, PERF_FLAG_FD_CLOEXEC));
}

} // namespace

Counters::~Counters() {
    for (const Counter &counter : counters_) close(counter.fd);
}

void Counters::Open(CounterKind kind) {
    for (const Event &event : kind == CounterKind::kHardware ? HardwareEvents() : SyscallEvents()) {
        const int fd = OpenEvent(event);
        if (fd >= 0) {
            counters_.push_back({event.name, fd});
        } else if (error_ == 0) {
            error_ = errno;
        }
    }
}

void Counters::Start() {
    for (const Counter &counter : counters_) ioctl(counter.fd, PERF_EVENT_IOC_ENABLE, 0);
}

void Counters::Stop() {
    for (const Counter &counter : counters_) ioctl(counter.fd, PERF_EVENT_IOC_DISABLE, 0);
}

std::map<std::string, double> Counters::Read() const {
    std::map<std::string, double> out;
    for (const Counter &counter : counters_) {
        struct {
            std::uint64_t count;
            std::uint64_t enabled_ns;
            std::uint64_t running_ns;
        } value{};
        if (read(counter.fd, &value, sizeof(value)) != sizeof(value)) continue;
        if (value.running_ns == 0) continue;
        out[counter.name] = static_cast<double>(value.count) *
                            static_cast<double>(value.enabled_ns) /
                            static_cast<double>(value.running_ns);
    }
    return out;
}

} // namespace hak_bench
