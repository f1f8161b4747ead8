// Single paths of an allocator, for tools/count_paths.py, which counts the instructions inside of
// the functions called measured_*, and for tools/count_atomics.py.
//
//   paths WHAT STEPS SIZE [BLOCKS [THREADS]]
//
// lifo, calloc, realloc, usable, aligned, new: a step allocates, (resizes to the same size, asks
// for the usable size,) and frees. runs: a step allocates BLOCKS blocks and then frees them.
// nothing: a step calls a function that does nothing. lives: a step is a thread that allocates
// BLOCKS blocks, frees them and ends. ring: in a step each of THREADS threads allocates BLOCKS
// blocks and then frees those of its neighbour. hakmem's refills of all steps stand on stdout.
#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

namespace {

constexpr std::size_t kMaxBlocks = 1 << 16; // of all threads
constexpr std::size_t kMaxThreads = 64;
constexpr std::size_t kAlignment = 64;

void *blocks[kMaxBlocks];

__attribute__((noinline)) void Nothing() { asm volatile(""); }

// What is behind the call keeps it from being the function's last.
void Here() { asm volatile("" : : : "memory"); }

double Refills() {
    auto *get = reinterpret_cast<bool (*)(hak_stats *)>(dlsym(RTLD_DEFAULT, "hak_stats_get"));
    hak_stats stats{};
    stats.size = sizeof(stats);
    return get != nullptr && get(&stats) ? static_cast<double>(stats.front_refills) : 0;
}

} // namespace

extern "C" {

__attribute__((noinline)) void measured_nothing() {
    Nothing();
    Here();
}
__attribute__((noinline)) void *measured_malloc(std::size_t size) {
    void *block = std::malloc(size);
    Here();
    return block;
}
__attribute__((noinline)) void measured_free(void *block) {
    std::free(block);
    Here();
}
__attribute__((noinline)) void *measured_calloc(std::size_t size) {
    void *block = std::calloc(1, size);
    Here();
    return block;
}
__attribute__((noinline)) void *measured_realloc(void *block, std::size_t size) {
    void *same = std::realloc(block, size);
    Here();
    return same;
}
__attribute__((noinline)) std::size_t measured_usable(void *block) {
    const std::size_t usable = malloc_usable_size(block);
    Here();
    return usable;
}
__attribute__((noinline)) void *measured_aligned(std::size_t size) {
    void *block = std::aligned_alloc(kAlignment, size);
    Here();
    return block;
}
__attribute__((noinline)) void *measured_new(std::size_t size) {
    void *block = ::operator new(size);
    Here();
    return block;
}
__attribute__((noinline)) void measured_delete(void *block, std::size_t size) {
    ::operator delete(block, size);
    Here();
}

} // extern "C"

namespace {

struct Path {
    const char *name;
    void (*step)(std::size_t size, std::size_t count);
};

void Run(std::size_t size, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) blocks[i] = measured_malloc(size);
    for (std::size_t i = 0; i < count; ++i) measured_free(blocks[i]);
}

const Path kPaths[] = {
    {"nothing", [](std::size_t, std::size_t) { measured_nothing(); }},
    {"lifo", [](std::size_t size, std::size_t) { measured_free(measured_malloc(size)); }},
    {"calloc", [](std::size_t size, std::size_t) { std::free(measured_calloc(size)); }},
    {"realloc",
     [](std::size_t size, std::size_t) { std::free(measured_realloc(std::malloc(size), size)); }},
    {"usable",
     [](std::size_t size, std::size_t) {
         void *block = std::malloc(size);
         measured_usable(block);
         std::free(block);
     }},
    {"aligned", [](std::size_t size, std::size_t) { std::free(measured_aligned(size)); }},
    {"new", [](std::size_t size, std::size_t) { measured_delete(measured_new(size), size); }},
    {"runs", Run},
    {"lives", [](std::size_t size, std::size_t count) { std::thread(Run, size, count).join(); }},
};

// Threads wait for each other without the C library's locks: their atomics would be counted.
class Turns {
  public:
    explicit Turns(std::size_t threads) : threads_(threads) {}
    void Wait() {
        const std::size_t turn = turn_;
        if (++waiting_ == threads_) {
            waiting_ = 0;
            ++turn_;
        }
        while (turn_ == turn) sched_yield();
    }

  private:
    const std::size_t threads_;
    std::atomic<std::size_t> waiting_{0};
    std::atomic<std::size_t> turn_{0};
};

void Ring(std::size_t steps, std::size_t size, std::size_t count, std::size_t threads) {
    Turns turns(threads);
    const auto work = [&](std::size_t thread) {
        void **const own = blocks + thread * count;
        void **const neighbours = blocks + (thread + 1) % threads * count;
        for (std::size_t step = 0; step < steps; ++step) {
            for (std::size_t i = 0; i < count; ++i) own[i] = std::malloc(size);
            turns.Wait();
            for (std::size_t i = 0; i < count; ++i) std::free(neighbours[i]);
            turns.Wait();
        }
    };
    std::vector<std::thread> running;
    for (std::size_t i = 0; i < threads; ++i) running.emplace_back(work, i);
    for (std::thread &thread : running) thread.join();
}

std::size_t Number(int argc, char **argv, int at, std::size_t otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
}

} // namespace

int main(int argc, char **argv) {
    const std::size_t steps = Number(argc, argv, 2, 0);
    const std::size_t size = Number(argc, argv, 3, 0);
    const std::size_t count = Number(argc, argv, 4, 1);
    const std::size_t threads = Number(argc, argv, 5, 1);
    if (steps == 0 || size == 0 || count == 0 || threads == 0 || threads > kMaxThreads ||
        count > kMaxBlocks / threads) {
        std::fprintf(stderr,
                     "usage: paths WHAT STEPS SIZE [BLOCKS [THREADS]]; BLOCKS of all threads to "
                     "%zu, THREADS to %zu\n",
                     kMaxBlocks, kMaxThreads);
        return 2;
    }
    const char *what = argv[1];
    bool known = std::strcmp(what, "ring") == 0;
    if (known) Ring(steps, size, count, threads);
    for (const Path &path : kPaths) {
        if (std::strcmp(path.name, what) != 0) continue;
        known = true;
        for (std::size_t i = 0; i < steps; ++i) path.step(size, count);
    }
    if (!known) {
        std::fprintf(stderr, "paths: no path '%s'\n", what);
        return 2;
    }
    std::printf("%.0f\n", Refills());
    return 0;
}
