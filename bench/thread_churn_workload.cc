#include "bench/thread_churn_workload.h"

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

// Enough that what the first threads leave, in the allocator and in the C library, is used again.
constexpr std::uint64_t kWarmUpLives = 32;

// Not std::thread, which allocates what it hands to the thread.
void RunOnNewThread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    const int error = pthread_create(&thread, nullptr, body, argument);
    if (error != 0) {
        std::fprintf(stderr, "pthread_create: %s\n", std::strerror(error));
        std::exit(1);
    }
    pthread_join(thread, nullptr);
}

} // namespace

ThreadChurn::ThreadChurn(const Params &params)
    : churn_(static_cast<Churn>(params.at("churn"))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))),
      blocks_(static_cast<std::uint64_t>(params.at("blocks"))),
      replaced_(static_cast<std::uint64_t>(params.at("replaced"))),
      min_size_(static_cast<std::uint64_t>(params.at("min_size"))),
      max_size_(static_cast<std::uint64_t>(params.at("max_size"))),
      lives_((static_cast<std::uint64_t>(params.at("cycles")) + 2 * replaced_ - 1) /
             (2 * replaced_)),
      lines_(static_cast<std::size_t>(params.at("threads"))) {}

ThreadChurn::~ThreadChurn() {
    for (const Line &line : lines_) {
        if (line.blocks == nullptr) continue;
        munmap(line.blocks, blocks_ * sizeof(char *));
        munmap(line.stand_in, kStandInBytes);
    }
}

double ThreadChurn::operations() const { return static_cast<double>(lives_ * 2 * replaced_); }

// The process's clock has what a thread's own has not: its start, and what the allocator and the
// kernel do when it ends.
double ThreadChurn::worked_ns() const {
    double begin = lines_[0].cpu_begin;
    double end = lines_[0].cpu_end;
    for (const Line &line : lines_) {
        begin = std::min(begin, line.cpu_begin);
        end = std::max(end, line.cpu_end);
    }
    return end - begin;
}

void ThreadChurn::Prepare(int thread) {
    Line &line = lines_[static_cast<std::size_t>(thread)];
    line.churn = this;
    line.blocks = static_cast<char **>(MapOrDie(blocks_ * sizeof(char *)));
    line.stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
    // xorshift stays at zero for ever, so zero is no state.
    line.random = SplitMix(seed_ + (static_cast<std::uint64_t>(thread) << 32)) | 1;
}

// Puts a new block where an inherited one, or none, was.
template <class Heap> void ThreadChurn::Replace(Line *line, std::uint64_t slot) const {
    char *const old = line->blocks[slot];
    if (old != nullptr) {
        Heap::Read(old, line->stand_in);
        Heap::Free(old);
    }
    const std::size_t size =
        min_size_ + Below(line->random & 0xffffffffU, max_size_ - min_size_ + 1);
    char *const fresh = Heap::Allocate(size, line->stand_in);
    line->blocks[slot] = fresh;
    if (fresh == nullptr) {
        line->failed = true;
        return;
    }
    fresh[0] = 1;
    fresh[Heap::LastByte(size)] = 1;
}

template <class Heap> void ThreadChurn::Generation(Line *line) const {
    for (std::uint64_t i = 0; i < replaced_; ++i) {
        line->random = NextRandom(line->random);
        Replace<Heap>(line, Below(line->random >> 32, blocks_));
    }
}

template <class Heap> void ThreadChurn::Life(Line *line) const {
    for (std::uint64_t slot = 0; slot < replaced_; ++slot) {
        line->random = NextRandom(line->random);
        Replace<Heap>(line, slot);
    }
    for (std::uint64_t slot = 0; slot < replaced_; ++slot) {
        Heap::Free(line->blocks[slot]);
        line->blocks[slot] = nullptr;
    }
}

template <class Heap> void ThreadChurn::Lives(Line *line, std::uint64_t count) const {
    const auto body = [](void *argument) -> void * {
        Line *const own = static_cast<Line *>(argument);
        if (own->churn->churn_ == Churn::kLives) {
            own->churn->Life<Heap>(own);
        } else {
            own->churn->Generation<Heap>(own);
        }
        return nullptr;
    };
    line->cpu_begin = Nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    for (std::uint64_t i = 0; i < count && !line->failed; ++i) RunOnNewThread(body, line);
    line->cpu_end = Nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
}

void ThreadChurn::WarmUp(int thread) {
    Line *const line = &lines_[static_cast<std::size_t>(thread)];
    if (churn_ == Churn::kGenerations) {
        const auto fill = [](void *argument) -> void * {
            Line *const own = static_cast<Line *>(argument);
            for (std::uint64_t slot = 0; slot < own->churn->blocks_; ++slot) {
                own->random = NextRandom(own->random);
                own->churn->Replace<RealHeap>(own, slot);
            }
            return nullptr;
        };
        RunOnNewThread(fill, line);
    }
    Lives<RealHeap>(line, kWarmUpLives);
}

bool ThreadChurn::Run(int thread) {
    Line *const line = &lines_[static_cast<std::size_t>(thread)];
    Lives<RealHeap>(line, lives_);
    return !line->failed;
}

void ThreadChurn::Release(int thread) {
    const Line &line = lines_[static_cast<std::size_t>(thread)];
    for (std::uint64_t slot = 0; slot < blocks_; ++slot) {
        RealHeap::Free(line.blocks[slot]);
        line.blocks[slot] = nullptr;
    }
}

void ThreadChurn::RunEmpty(int thread) {
    Lives<EmptyHeap>(&lines_[static_cast<std::size_t>(thread)], lives_);
}

} // namespace hak_bench
