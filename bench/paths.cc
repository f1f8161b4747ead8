// Single paths of an allocator, for tools/count_paths.py, which counts the instructions inside of
// the functions called measured_*.
//
//   paths WHAT STEPS SIZE [BLOCKS]
//
// lifo, calloc, realloc, aligned, new: a step allocates, (resizes to the same size,) and frees.
// runs: a step allocates BLOCKS blocks and then frees them. nothing: a step calls a function that
// does nothing. After runs, hakmem's refills of all steps stand on stdout.
#include <dlfcn.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "hakmem/hakmem.h"

namespace {

constexpr std::size_t kMaxBlocks = 1 << 16;
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

const Path kPaths[] = {
    {"nothing", [](std::size_t, std::size_t) { measured_nothing(); }},
    {"lifo", [](std::size_t size, std::size_t) { measured_free(measured_malloc(size)); }},
    {"calloc", [](std::size_t size, std::size_t) { std::free(measured_calloc(size)); }},
    {"realloc",
     [](std::size_t size, std::size_t) { std::free(measured_realloc(std::malloc(size), size)); }},
    {"aligned", [](std::size_t size, std::size_t) { std::free(measured_aligned(size)); }},
    {"new", [](std::size_t size, std::size_t) { measured_delete(measured_new(size), size); }},
    {"runs",
     [](std::size_t size, std::size_t count) {
         for (std::size_t i = 0; i < count; ++i) blocks[i] = measured_malloc(size);
         for (std::size_t i = 0; i < count; ++i) measured_free(blocks[i]);
     }},
};

} // namespace

int main(int argc, char **argv) {
    if (argc < 4) {
        std::fputs("usage: paths WHAT STEPS SIZE [BLOCKS]\n", stderr);
        return 2;
    }
    const auto steps = std::strtoull(argv[2], nullptr, 10);
    const auto size = static_cast<std::size_t>(std::strtoull(argv[3], nullptr, 10));
    const std::size_t count = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
    if (count == 0 || count > kMaxBlocks) {
        std::fprintf(stderr, "paths: BLOCKS is 1 to %zu\n", kMaxBlocks);
        return 2;
    }
    for (const Path &path : kPaths) {
        if (std::strcmp(path.name, argv[1]) != 0) continue;
        for (unsigned long long i = 0; i < steps; ++i) path.step(size, count);
        std::printf("%.0f\n", Refills());
        return 0;
    }
    std::fprintf(stderr, "paths: no path '%s'\n", argv[1]);
    return 2;
}
