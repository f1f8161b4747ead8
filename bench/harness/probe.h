// What a child reads about itself and about the malloc that it runs on.
#ifndef HAKMEM_BENCH_HARNESS_PROBE_H_
#define HAKMEM_BENCH_HARNESS_PROBE_H_

#include <map>
#include <string>

namespace hak_bench {

// Resident memory of this process, in KiB. Calls no malloc.
double ResidentKib();
// The most it ever was since the program was started, in KiB. Not getrusage's ru_maxrss, which
// lives through exec and so begins with the parent's.
double PeakResidentKib();

struct Usage {
    double faults = 0;    // minor and major page faults
    double user_us = 0;   // time in the program
    double kernel_us = 0; // time in the kernel
};
Usage ProcessUsage();

// The file that the process's malloc is from.
std::string MallocPath();

// The version that the preloaded allocator itself tells; empty when it tells none.
std::string MallocVersion();

// hakmem's counts on slab requests by name ("warm_hits", "stage_mapped", ...): hak_stats_get is
// looked up at run time, so the map is empty under every other allocator.
std::map<std::string, double> HakmemCounts();

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_PROBE_H_
