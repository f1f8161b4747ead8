// Which allocators a bench compares, and where their shared objects are.
#ifndef HAKMEM_BENCH_HARNESS_ALLOCATORS_H_
#define HAKMEM_BENCH_HARNESS_ALLOCATORS_H_

#include <string>
#include <vector>

namespace hak_bench {

// The allocator that is compared with all the others, its peers.
inline constexpr char kSubject[] = "hakmem";

struct Allocator {
    std::string name;
    std::string path; // what LD_PRELOAD gets, absolute; empty for the system's malloc
    std::vector<std::string> environment = {}; // NAME=value, for its processes alone
};

struct AllocatorList {
    std::vector<Allocator> found;
    std::vector<std::string> notes; // known peers that are left out, a line each
    std::string error;              // one line; empty when all is well
};

// Resolves a comma list of known names and NAME=PATH.so. "all" stands for hakmem, system and
// every known peer that is installed: one that is not is a note there, an error when named.
AllocatorList ResolveAllocators(const std::string &list);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_ALLOCATORS_H_
