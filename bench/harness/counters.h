// Counts of the processor and of the kernel that perf_event_open gives, for one thread. A machine
// may have none of them: virtual ones often don't.
#ifndef HAKMEM_BENCH_HARNESS_COUNTERS_H_
#define HAKMEM_BENCH_HARNESS_COUNTERS_H_

#include <map>
#include <string>
#include <vector>

namespace hak_bench {

enum class CounterKind {
    kHardware, // cycles, instructions, l1d_misses, dtlb_misses: in the program, not in the kernel
    kSyscalls, // mmap, munmap, madvise, mremap: calls
};

// Belongs to the thread that opened it.
class Counters {
  public:
    Counters() = default;
    Counters(const Counters &) = delete;
    Counters &operator=(const Counters &) = delete;
    ~Counters();

    // Opens as many of the kind as there are, and keeps them still.
    void Open(CounterKind kind);
    void Start();
    void Stop();

    // By name, those that could be opened and ran. A counter that shared its place with others is
    // scaled up to the whole time.
    std::map<std::string, double> Read() const;

    // Why the first counter that could not be opened was not: an errno; 0 when all were.
    int error() const { return error_; }

  private:
    struct Counter {
        std::string name;
        int fd;
    };

    std::vector<Counter> counters_;
    int error_ = 0;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_COUNTERS_H_
