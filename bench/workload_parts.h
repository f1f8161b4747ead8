// What workloads share: memory that is not the allocator's, clocks, random numbers, and the two
// heaps that their steps run on: the process's malloc, and one that does nothing.
// Only for files that are compiled with HEAP_COPTS (BUILD.bazel).
#ifndef HAKMEM_BENCH_WORKLOAD_PARTS_H_
#define HAKMEM_BENCH_WORKLOAD_PARTS_H_

#include <sys/mman.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace hak_bench {

// An OS page: mapped whole, and enough for a store at any size to hit a line as a block's does.
inline constexpr std::size_t kStandInBytes = 4096;

// Memory that the allocator under test knows nothing of, its pages already there.
inline void *MapOrDie(std::size_t bytes) {
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        std::perror("mmap for the workload");
        std::exit(1);
    }
    return memory;
}

// What the clock of clock_gettime shows.
inline double Nanoseconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Steele, Lea and Flood's SplitMix64: spreads neighbouring seeds over all states.
inline std::uint64_t SplitMix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

// Marsaglia's xorshift64. Cheap enough to run inside the timed loop, and no table of numbers
// takes the caches from the allocator.
inline std::uint64_t NextRandom(std::uint64_t x) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

// A number below `bound` from 32 random bits, without a division.
inline std::uint64_t Below(std::uint64_t bits, std::uint64_t bound) { return (bits * bound) >> 32; }

struct RealHeap {
    static char *Allocate(std::size_t size, char * /*stand_in*/) {
        return static_cast<char *>(std::malloc(size));
    }
    static void Free(char *block) { std::free(block); }
    // A byte's way to this core, when another one wrote it.
    static void Read(const char *block, const char * /*stand_in*/) {
        asm volatile("" : : "r"(block[0]) : "memory");
    }
    static std::size_t LastByte(std::size_t size) { return size - 1; }
};

// The empty statements keep both branches, so that the empty loop mispredicts as the real one.
struct EmptyHeap {
    static char *Allocate(std::size_t size, char *stand_in) {
        asm volatile("" : : "r"(size) : "memory");
        return stand_in;
    }
    static void Free(char *block) { asm volatile("" : : "r"(block) : "memory"); }
    // The reader's own: a stand-in that two threads use would cost more than any block.
    static void Read(const char *block, const char *stand_in) {
        asm volatile("" : : "r"(block), "r"(stand_in[0]) : "memory");
    }
    static std::size_t LastByte(std::size_t size) { return (size - 1) % kStandInBytes; }
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_WORKLOAD_PARTS_H_
