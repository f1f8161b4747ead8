// Threads that touch many sizes, free all of it and go to sleep: what they keep is bounded.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "stress/harness.h"

namespace hak_stress {
namespace {

// What may be resident above the start while all threads sleep: 60 MiB, and for each thread above
// 400 what 400 of them have on average.
constexpr std::size_t kAsleep = std::size_t{60} << 20;
constexpr std::size_t kAsleepThreads = 400;
constexpr auto kRest = std::chrono::milliseconds(1100);
constexpr std::size_t kBlocksPerRound = 512;
constexpr std::size_t kBytesPerRound = std::size_t{2} << 20;

// Rounds: the main thread starts one, waits until all are asleep, and looks.
class Rounds {
  public:
    explicit Rounds(int threads) : threads_(threads) {}

    // The thread has finished round `done`; returns false when there is no other.
    bool Sleep(int done) {
        std::unique_lock<std::mutex> lock(mutex_);
        if (++asleep_ == threads_) changed_.notify_all();
        while (round_ == done && !over_) changed_.wait(lock);
        return !over_;
    }
    void AwaitAllAsleep() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (asleep_ != threads_) changed_.wait(lock);
    }
    void StartNext(bool over) {
        std::lock_guard<std::mutex> lock(mutex_);
        asleep_ = 0;
        ++round_;
        over_ = over;
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    const int threads_;
    int asleep_ = 0; // guarded by mutex_, as all below
    int round_ = 0;
    bool over_ = false;
};

void Work(const Options &options, BlockQueue *exchange, Worker *worker) {
    std::vector<Block> blocks;
    std::size_t bytes = 0;
    while (blocks.size() < kBlocksPerRound && bytes < kBytesPerRound) {
        blocks.push_back(worker->Make());
        bytes += blocks.back().size;
    }
    if (options.mode == "silent") {
        worker->FreeAll(&blocks);
        return;
    }
    // Some blocks are freed by other threads, when their own may be asleep.
    std::vector<Block> given(blocks.end() - static_cast<long>(blocks.size() / 8), blocks.end());
    blocks.resize(blocks.size() - given.size());
    if (!exchange->TryPush(&given)) worker->FreeAll(&given);
    worker->FreeAll(&blocks);
    exchange->Pop(kBlocksPerRound / 8, &worker->random(), &blocks);
    worker->FreeAll(&blocks);
    if (options.mode == "idle_call") hak_thread_idle();
}

void CheckAsleep(const Options &options, int round, std::size_t start) {
    const std::size_t threads = std::max<std::size_t>(options.threads, kAsleepThreads);
    const std::size_t bound = start + kAsleep / kAsleepThreads * threads;
    const std::size_t resident = ResidentBytes();
    if (round == 0) {
        std::fprintf(stderr, "idle_threads: %d threads asleep, resident %.1f MiB, at most %.1f\n",
                     options.threads, static_cast<double>(resident) / (1 << 20),
                     static_cast<double>(bound) / (1 << 20));
    }
    if (!ResidentIsMeaningful() || resident <= bound) return;
    hak_stats_print(STDERR_FILENO);
    Fail("round %d: %zu bytes are resident while %d threads sleep; at most %zu are allowed", round,
         resident, options.threads, bound);
}

void RunIdle(const Options &options) {
    const Baseline baseline;
    const std::size_t start = ResidentBytes();
    Rounds rounds(options.threads);
    BlockQueue exchange;
    // One thread more: it looks.
    RunThreads("idle_threads", options.threads + 1, options.seconds, [&](int i) {
        Worker worker(options, i);
        if (i < options.threads) {
            int round = 0;
            do {
                Work(options, &exchange, &worker);
            } while (rounds.Sleep(round++));
            return;
        }
        for (int round = 0;; ++round) {
            rounds.AwaitAllAsleep();
            std::vector<Block> rest;
            exchange.Pop(~std::size_t{0}, &worker.random(), &rest);
            worker.FreeAll(&rest);
            CheckAsleep(options, round, start);
            // Idle is longer than the second in which slabs wanted back widen what is kept.
            std::this_thread::sleep_for(kRest);
            const bool over = Stopped();
            rounds.StartNext(over);
            if (over) return;
        }
    });
    baseline.CheckEnd("idle_threads", kResidentSlack + options.threads * kResidentSlackPerThread);
}

} // namespace
} // namespace hak_stress

int main(int argc, char **argv) {
    using namespace hak_stress;
    Options defaults;
    defaults.threads = 400;
    defaults.max_size = 32768;
    defaults.mode = "silent";
    RunIdle(ParseFlagsOrExit(argc, argv, "idle_threads: many threads that went to sleep", defaults,
                             {"silent", "shared", "idle_call"}, 1));
    return 0;
}
