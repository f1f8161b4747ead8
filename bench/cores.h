// Spreads threads over the cores that the process may use. The scheduler likes to move partners
// that wait for each other to one core, in some runs and not in others, and the figures of the two
// have nothing in common.
#ifndef HAKMEM_BENCH_CORES_H_
#define HAKMEM_BENCH_CORES_H_

#include <sched.h>

#include <cstddef>
#include <vector>

namespace hak_bench {

class Cores {
  public:
    Cores() {
        cpu_set_t allowed;
        if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
        for (int core = 0; core < CPU_SETSIZE; ++core) {
            if (CPU_ISSET(core, &allowed)) cores_.push_back(core);
        }
    }

    // Ties the calling thread to the core of thread `thread`. Calls no malloc.
    void Pin(std::size_t thread) const {
        if (cores_.empty()) return;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cores_[thread % cores_.size()], &one);
        sched_setaffinity(0, sizeof(one), &one);
    }

  private:
    std::vector<int> cores_;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_CORES_H_
