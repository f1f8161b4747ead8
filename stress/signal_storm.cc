// Threads that allocate while signals come, whose handler allocates too. The handler keeps blocks
// of its own from signal to signal: one that was handed out twice shows in its pattern.
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "stress/harness.h"

// The C library's header may lack the name of the kernel's field.
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace hak_stress {
namespace {

constexpr std::size_t kHandlerSlots = 32;
constexpr int kCallsPerSignal = 4;
constexpr std::size_t kSlots = 128;
// A request above this never takes the hot path: docs/design.md, "malloc, down".
constexpr std::size_t kHotPathMost = 1024;
constexpr std::size_t kBig = 256 << 10;
constexpr int kStepsPerLife = 20000;
constexpr int kStepsPerShortLife = 200;
constexpr auto kHangs = std::chrono::seconds(20);
constexpr std::size_t kGiven = 16; // blocks that go to another thread at a time

const std::vector<std::string> kModes = {"slow_path", "every_slow_path", "anywhere"};

// What each mode lets signals interrupt.
struct Rules {
    bool guards_hot_path; // calls that may take the hot path keep the handler out
    bool guards_lists;    // so do those whose slow path walks the lists of small blocks
    bool guards_life;     // so do a thread's first call and its end
    int steps;            // of a life
};

Rules RulesOf(const std::string &mode) {
    if (mode == "slow_path") return {true, true, true, kStepsPerLife};
    if (mode == "every_slow_path") return {true, false, false, kStepsPerShortLife};
    return {false, false, false, kStepsPerShortLife};
}

// What the handler of one thread works on. Of that thread while it lives, then of the one that
// joined it.
struct Target {
    Target(const Options &options, std::uint32_t id) : worker(options, id) {}
    Worker worker;
    std::array<Block, kHandlerSlots> slots;
    timer_t timer{};
    itimerspec gap{}; // to the next signal, from the end of the handler
    volatile sig_atomic_t keep_out = 0;
    std::uint64_t signals = 0;
    std::uint64_t kept_out = 0;
};
thread_local Target *target = nullptr;

void HandlerCalls(Target *t) {
    for (int i = 0; i < kCallsPerSignal; ++i) {
        Block &block = t->slots[t->worker.random().Below(kHandlerSlots)];
        if (block.data == nullptr) {
            block = t->worker.Make();
        } else if (t->worker.random().OneIn(3)) {
            t->worker.Resize(&block);
        } else {
            t->worker.Free(block);
            block.data = nullptr;
        }
    }
}

// Sets the timer again at its end: however slow it is, the thread runs between two signals.
void OnSignal(int) {
    const int saved = errno;
    Target *t = target;
    if (t != nullptr) {
        ++t->signals;
        if (t->keep_out != 0) {
            ++t->kept_out;
        } else {
            HandlerCalls(t);
        }
        timer_settime(t->timer, 0, &t->gap, nullptr);
    }
    errno = saved;
}

// While it lives, the handler of this thread makes no calls; if `wanted`.
class KeepOut {
  public:
    explicit KeepOut(bool wanted) : before_(target->keep_out) {
        target->keep_out = before_ | static_cast<sig_atomic_t>(wanted);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ~KeepOut() {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        target->keep_out = before_;
    }
    KeepOut(const KeepOut &) = delete;
    KeepOut &operator=(const KeepOut &) = delete;

  private:
    const sig_atomic_t before_;
};

// Fails when a counter stands still for too long.
class Watchdog {
  public:
    explicit Watchdog(int workers) : steps_(workers), thread_([this] { Watch(); }) {}
    ~Watchdog() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    Watchdog(const Watchdog &) = delete;
    Watchdog &operator=(const Watchdog &) = delete;
    void Step(int worker) { steps_[worker].fetch_add(1, std::memory_order_relaxed); }

  private:
    void Watch() {
        using Clock = std::chrono::steady_clock;
        std::vector<std::uint64_t> seen(steps_.size());
        std::vector<Clock::time_point> since(steps_.size(), Clock::now());
        std::unique_lock<std::mutex> lock(mutex_);
        while (!over_) {
            changed_.wait_for(lock, std::chrono::milliseconds(500));
            for (std::size_t i = 0; i < steps_.size(); ++i) {
                const std::uint64_t now = steps_[i].load(std::memory_order_relaxed);
                if (now != seen[i]) {
                    seen[i] = now;
                    since[i] = Clock::now();
                } else if (!over_ && Clock::now() - since[i] > kHangs) {
                    Fail("thread %zu has made no progress for 20 s after %llu steps: it hangs", i,
                         static_cast<unsigned long long>(now));
                }
            }
        }
    }

    std::vector<std::atomic<std::uint64_t>> steps_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false; // guarded by mutex_
    std::thread thread_;
};

struct Storm {
    explicit Storm(const Options &o) : options(o), big(o), watchdog(o.threads) {
        // Every power of two above what the hot path serves.
        big.min_size = std::max(o.min_size, kHotPathMost + 1);
        big.max_size = std::max(o.max_size, kBig);
    }
    const Options options;
    Options big;
    const Rules rules = RulesOf(options.mode);
    BlockQueue exchange;
    Watchdog watchdog;
    std::atomic<std::uint64_t> signals{0};
    std::atomic<std::uint64_t> kept_out{0};
    std::atomic<std::uint64_t> lives{0};
};

void StartSignals(Target *t, int hz) {
    target = t;
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMIN;
    event.sigev_notify_thread_id = static_cast<pid_t>(syscall(SYS_gettid));
    if (timer_create(CLOCK_MONOTONIC, &event, &t->timer) != 0) {
        Fail("timer_create: %s", std::strerror(errno));
    }
    const long nanoseconds = 1000000000L / hz;
    t->gap.it_value.tv_sec = nanoseconds / 1000000000L;
    t->gap.it_value.tv_nsec = nanoseconds % 1000000000L;
    timer_settime(t->timer, 0, &t->gap, nullptr);
}

// One call, or the few of a resize, on a random slot.
void Use(Worker *worker, std::vector<Block> *slots) {
    Block &block = (*slots)[worker->random().Below(slots->size())];
    if (block.data == nullptr) {
        block = worker->Make();
    } else if (worker->random().OneIn(3)) {
        worker->Resize(&block);
    } else {
        worker->Free(block);
        block.data = nullptr;
    }
}

void FreeSlots(Worker *worker, std::vector<Block> *slots) {
    for (Block &block : *slots) {
        if (block.data != nullptr) worker->Free(block);
        block.data = nullptr;
    }
}

// Slow paths that walk the lists of small blocks. Statistics also read what other threads write.
void UseLists(Random *random, bool also_statistics) {
    hak_stats stats = {};
    stats.size = sizeof(stats);
    switch (random->Below(also_statistics ? 4 : 3)) {
    case 0:
        hak_thread_idle();
        break;
    case 1:
        hak_trim(0);
        break;
    case 2: {
        // The request goes by the slow path, and takes from a list; to free it does not.
        const std::size_t size = 16 * (1 + random->Below(kHotPathMost / 16));
        void *block = hak_aligned_alloc(32, size);
        if (block == nullptr) Fail("hak_aligned_alloc of %zu bytes", size);
        std::memset(block, 0xa5, size);
        for (std::size_t i = 0; i < size; ++i) {
            if (static_cast<unsigned char *>(block)[i] != 0xa5) Fail("a block has two owners");
        }
        KeepOut keep_out(true);
        hak_free(block);
        break;
    }
    default:
        hak_stats_get(&stats);
    }
}

// Hands blocks over to other threads, and frees what others handed over.
void Exchange(Storm *storm, Worker *worker, std::vector<Block> *slots) {
    std::vector<Block> given;
    for (Block &block : *slots) {
        if (block.data == nullptr || given.size() == kGiven) continue;
        given.push_back(block);
        block.data = nullptr;
    }
    std::vector<Block> taken;
    storm->exchange.Pop(kGiven, &worker->random(), &taken);
    storm->exchange.TryPush(&given);
    worker->FreeAll(&taken);
    worker->FreeAll(&given);
}

void Live(Storm *storm, Target *t, int i, std::uint32_t id) {
    const Rules &rules = storm->rules;
    t->keep_out = rules.guards_life;
    StartSignals(t, storm->options.hz);
    Worker any(storm->options, id);
    Worker big(storm->big, id + 1);
    any.Free(any.Make()); // the thread's first call
    t->keep_out = 0;
    std::vector<Block> small_slots(kSlots);
    std::vector<Block> big_slots(kSlots);
    for (int step = 0; step < rules.steps && !Stopped(); ++step) {
        storm->watchdog.Step(i);
        if (any.random().OneIn(2)) {
            KeepOut keep_out(rules.guards_hot_path);
            Use(&any, &small_slots);
        } else {
            Use(&big, &big_slots);
        }
        if (step % 64 == 0) Exchange(storm, &big, &big_slots);
        if (step % 16 == 0) {
            KeepOut keep_out(rules.guards_lists);
            UseLists(&any.random(), !rules.guards_lists);
        }
    }
    FreeSlots(&big, &big_slots);
    {
        KeepOut keep_out(rules.guards_hot_path);
        FreeSlots(&any, &small_slots);
    }
    // Signals go on through the destructors of the thread's keys.
    t->keep_out = rules.guards_life;
}

// A thread after the other, each with a handler of its own.
void Lives(Storm *storm, int i) {
    // Numbers of its own for each life: two workers in the thread, one in the handler.
    std::uint32_t id = 3 * i;
    for (; !Stopped(); id += 3 * storm->options.threads) {
        Target t(storm->options, id + 2);
        std::thread([&] { Live(storm, &t, i, id); }).join();
        timer_delete(t.timer);
        for (Block &block : t.slots) {
            if (block.data != nullptr) t.worker.Free(block);
        }
        storm->lives.fetch_add(1);
        storm->signals.fetch_add(t.signals);
        storm->kept_out.fetch_add(t.kept_out);
    }
}

void RunStorm(const Options &options) {
    const Baseline baseline;
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGRTMIN, &action, nullptr);
    const char *name = options.mode.c_str();
    {
        Storm storm(options);
        RunThreads(name, options.threads, options.seconds, [&](int i) { Lives(&storm, i); });
        Worker last(options, ~std::uint32_t{0});
        std::vector<Block> rest;
        storm.exchange.Pop(~std::size_t{0}, &last.random(), &rest);
        last.FreeAll(&rest);
        std::fprintf(stderr,
                     "%s: %llu lives, %llu signals, of which %llu came where they do nothing\n",
                     name, static_cast<unsigned long long>(storm.lives.load()),
                     static_cast<unsigned long long>(storm.signals.load()),
                     static_cast<unsigned long long>(storm.kept_out.load()));
        if (storm.signals.load() == storm.kept_out.load()) Fail("no signal came to make a call");
    }
    baseline.CheckEnd(name, kResidentSlack + options.threads * kResidentSlackPerThread);
}

} // namespace
} // namespace hak_stress

int main(int argc, char **argv) {
    using namespace hak_stress;
    Options defaults;
    defaults.mode = "slow_path";
    RunStorm(ParseFlagsOrExit(argc, argv, "signal_storm: signal handlers that allocate", defaults,
                              kModes, 1, {"hz"}));
    return 0;
}
