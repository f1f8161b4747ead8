// Forks beside busy threads, from several threads at once. The child checks and frees what it
// inherited, allocates every size, starts threads, and at times forks again. Programs are started
// by vfork and by posix_spawn too.
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "stress/fork_latency.h"
#include "stress/harness.h"

extern char **environ;

namespace hak_stress {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeld = 256;
constexpr int kChildThreads = 2;
constexpr auto kHangs = std::chrono::seconds(30);
constexpr std::size_t kAtforkBytes = 200;

// Latency of fork in the parent.
struct Latency {
    std::mutex mutex;
    std::uint64_t forks = 0; // guarded by mutex, as all below
    double sum = 0;
    double worst = 0;
    std::atomic<std::uint64_t> spawns{0}; // besides the forks
};

void AllocateAtFork() { hak_free(hak_malloc(kAtforkBytes)); }

void AllocateInChild(const Options &options, std::uint32_t id) {
    Worker worker(options, id);
    std::vector<Block> blocks;
    for (std::size_t i = 0; i < kHeld; ++i) blocks.push_back(worker.Make());
    worker.FreeAll(&blocks);
}

void Reap(pid_t child) {
    const auto limit = Clock::now() + kHangs;
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (Clock::now() > limit) {
            kill(child, SIGABRT); // its core shows where
            Fail("child %d hangs", static_cast<int>(child));
        }
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        Fail("child %d ended with status %#x", static_cast<int>(child),
             static_cast<unsigned>(status));
    }
}

// `worker` and `held` are the forking thread's; `queue` is locked.
[[noreturn]] void Child(const Options &options, Worker *worker, std::vector<Block> *held,
                        BlockQueue *queue, bool again) {
    queue->Unlock();
    worker->FreeAll(held);
    std::vector<Block> inherited;
    queue->Pop(~std::size_t{0}, &worker->random(), &inherited);
    worker->FreeAll(&inherited);
    std::vector<std::thread> threads;
    for (int i = 0; i < kChildThreads; ++i)
        threads.emplace_back(AllocateInChild, options, 5000 + i);
    AllocateInChild(options, 6000);
    for (std::thread &thread : threads) thread.join();
    if (again) {
        const pid_t grandchild = fork();
        if (grandchild < 0) Fail("fork in a child failed");
        if (grandchild == 0) {
            AllocateInChild(options, 7000);
            _exit(0);
        }
        Reap(grandchild);
    }
    EndOfRun();
    hak_trim(0);
    _exit(0);
}

// A program that does nothing, started in another way than by fork.
void Spawn(bool by_vfork) {
    char program[] = "/bin/true";
    char *argv[] = {program, nullptr};
    pid_t child = 0;
    if (!by_vfork) {
        if (posix_spawn(&child, program, nullptr, nullptr, argv, environ) != 0) Fail("posix_spawn");
    } else if ((child = vfork()) == 0) {
        execve(program, argv, environ);
        _exit(127);
    }
    if (child < 0) Fail("vfork failed");
    Reap(child);
}

void Forker(const Options &options, int id, BlockQueue *queue, Latency *latency) {
    Worker worker(options, id);
    std::vector<Block> held;
    while (!Stopped()) {
        while (held.size() < kHeld) held.push_back(worker.Make());
        const bool again = worker.random().OneIn(8);
        queue->Lock();
        const auto start = Clock::now();
        const pid_t child = fork();
        if (child == 0) Child(options, &worker, &held, queue, again);
        const double took = std::chrono::duration<double>(Clock::now() - start).count();
        queue->Unlock();
        if (child < 0) Fail("fork failed");
        {
            std::lock_guard<std::mutex> lock(latency->mutex);
            ++latency->forks;
            latency->sum += took;
            latency->worst = std::max(latency->worst, took);
        }
        Reap(child);
        if (worker.random().OneIn(8)) {
            Spawn(worker.random().OneIn(2));
            latency->spawns.fetch_add(1);
        }
        while (held.size() > kHeld / 2) {
            worker.Free(held.back());
            held.pop_back();
        }
    }
    worker.FreeAll(&held);
}

void Busy(const Options &options, int id, BlockQueue *queue) {
    Worker worker(options, id);
    std::vector<Block> blocks;
    while (!Stopped()) {
        while (blocks.size() < kHeld) blocks.push_back(worker.Make());
        std::vector<Block> given(blocks.end() - kHeld / 4, blocks.end());
        blocks.resize(blocks.size() - given.size());
        if (!queue->TryPush(&given)) worker.FreeAll(&given);
        queue->Pop(kHeld / 4, &worker.random(), &blocks);
        while (blocks.size() > kHeld / 4) {
            worker.Free(blocks.back());
            blocks.pop_back();
        }
    }
    worker.FreeAll(&blocks);
}

void Storm(const Options &options) {
    const Baseline baseline;
    // The allocator's handlers were registered before: they run inside these.
    if (pthread_atfork(AllocateAtFork, AllocateAtFork, AllocateAtFork) != 0) Fail("atfork");
    BlockQueue queue;
    Latency latency;
    const int forkers = std::max(1, options.threads / 4);
    RunThreads("storm", options.threads, options.seconds, [&](int i) {
        if (i < forkers) {
            Forker(options, i, &queue, &latency);
        } else {
            Busy(options, i, &queue);
        }
    });
    Worker last(options, options.threads);
    std::vector<Block> rest;
    queue.Pop(~std::size_t{0}, &last.random(), &rest);
    last.FreeAll(&rest);
    std::fprintf(stderr, "storm: %llu programs started by vfork and posix_spawn\n",
                 static_cast<unsigned long long>(latency.spawns.load()));
    std::fprintf(stderr, "storm: %llu forks, %.0f us each, %.0f us the slowest\n",
                 static_cast<unsigned long long>(latency.forks),
                 latency.sum * 1e6 / static_cast<double>(std::max<std::uint64_t>(1, latency.forks)),
                 latency.worst * 1e6);
    baseline.CheckEnd("storm", kResidentSlack + options.threads * kResidentSlackPerThread);
}

} // namespace
} // namespace hak_stress

int main(int argc, char **argv) {
    using namespace hak_stress;
    Options defaults;
    defaults.threads = 8;
    defaults.mode = "storm";
    const Options options =
        ParseFlagsOrExit(argc, argv,
                         "fork_storm: forks beside busy threads. --seconds is for --mode=storm; "
                         "--mode=latency runs\n"
                         "until its forks are done.",
                         defaults, {"storm", "latency"}, 2, {"forks", "malloc"});
    if (options.mode == "storm") Storm(options);
    if (options.mode == "latency") RunForkLatency(options);
    return 0;
}
