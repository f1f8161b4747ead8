// How long a fork beside busy threads takes, until its child has allocated every size, has started
// a thread and is reaped; with hakmem and with the system's malloc.
#ifndef HAKMEM_STRESS_FORK_LATENCY_H_
#define HAKMEM_STRESS_FORK_LATENCY_H_

#include "stress/harness.h"

namespace hak_stress {

// --malloc=hakmem, system: forks, and writes each latency to stdout, nanoseconds, a line each.
// --malloc=both: runs this program with one and the other in turn, and prints how they compare.
void RunForkLatency(const Options &options);

} // namespace hak_stress

#endif // HAKMEM_STRESS_FORK_LATENCY_H_
