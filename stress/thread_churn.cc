// Threads that are born, inherit blocks, leave some behind and die; TLS and pthread-key destructors
// allocate and free on the way out, and some of the threads are detached. Many one after the other,
// and many at once.
#include <malloc.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "stress/harness.h"

namespace hak_stress {
namespace {

constexpr std::size_t kMostBlocks = 256;
constexpr auto kDetachedMayTake = std::chrono::seconds(30);
// What nine tenths of the generations may leave behind, bytes.
constexpr std::size_t kMostGrown = std::size_t{256} << 10;
constexpr std::size_t kCrowdStack = std::size_t{64} << 10;
constexpr std::size_t kCrowdBlocks = 16;

void KeyDestructor(void *block) {
    hak_free(hak_calloc(1, hak_usable_size(block)));
    hak_free(block);
}

struct Shared {
    explicit Shared(const Options &o) : options(o) { pthread_key_create(&key, KeyDestructor); }
    ~Shared() { pthread_key_delete(key); }
    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;
    const Options &options;
    BlockQueue heirlooms;
    std::atomic<std::uint32_t> born{0}; // how many; a thread's number follows from who starts it
    std::atomic<int> detached{0};       // still running
    pthread_key_t key{};
};

// Frees and allocates when the thread's C++ destructors run.
struct LateUser {
    ~LateUser() {
        hak_free(block);
        hak_free(hak_malloc(size));
    }
    void *block = nullptr;
    std::size_t size = 0;
};
thread_local LateUser late_user;

void Life(Shared *shared, std::uint32_t id) {
    shared->born.fetch_add(1, std::memory_order_relaxed);
    Worker worker(shared->options, id);
    std::vector<Block> blocks;
    // Drawn before blocks of others come, whose number no seed fixes.
    const std::uint64_t makes = worker.random().Below(kMostBlocks);
    shared->heirlooms.Pop(worker.random().Below(kMostBlocks), &worker.random(), &blocks);
    for (Block &block : blocks) {
        if (worker.random().OneIn(16)) worker.Resize(&block);
    }
    worker.FreeAll(&blocks);
    std::vector<Block> own;
    for (std::uint64_t n = makes; n > 0; --n) {
        (worker.random().OneIn(2) ? blocks : own).push_back(worker.Make());
    }
    if (worker.random().OneIn(8)) hak_thread_idle();
    worker.FreeAll(&own);
    if (worker.random().OneIn(2)) {
        late_user.size = shared->options.max_size;
        late_user.block = hak_malloc(shared->options.min_size);
        pthread_setspecific(shared->key, hak_malloc(shared->options.max_size));
    }
    if (!shared->heirlooms.TryPush(&blocks)) worker.FreeAll(&blocks);
}

void DetachedLife(Shared *shared, std::uint32_t id) {
    Life(shared, id);
    shared->detached.fetch_sub(1);
}

hak_stats Stats() {
    hak_stats stats = {};
    stats.size = sizeof(stats);
    hak_stats_get(&stats);
    return stats;
}

std::uint64_t HeapsNow() { return Stats().threads; }

// Detached threads have left when they have no heap any more.
void AwaitDetached(const Shared &shared, std::uint64_t heaps) {
    const auto limit = std::chrono::steady_clock::now() + kDetachedMayTake;
    while (shared.detached.load() > 0 || HeapsNow() > heaps) {
        if (std::chrono::steady_clock::now() > limit) {
            Fail("detached threads have ended, and hak_stats_get counts %llu heaps, not %llu",
                 static_cast<unsigned long long>(HeapsNow()),
                 static_cast<unsigned long long>(heaps));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

// What no thread inherited.
void FreeHeirlooms(Shared *shared) {
    Worker last(shared->options, ~std::uint32_t{0});
    std::vector<Block> rest;
    shared->heirlooms.Pop(~std::size_t{0}, &last.random(), &rest);
    last.FreeAll(&rest);
}

void Mixed(const Options &options) {
    const Baseline baseline;
    hak_free(hak_malloc(1)); // so that this thread's heap is counted before and after
    const std::uint64_t heaps = HeapsNow();
    Shared shared(options);
    RunThreads("mixed", options.threads, options.seconds, [&](int i) {
        Random random(options.seed * 1000003 + i);
        // Numbers of its own for the threads of each of these: 2 * i and 2 * i + 1 of a generation.
        std::uint32_t id = 2 * i;
        for (; !Stopped(); id += 2 * options.threads) {
            std::thread child(Life, &shared, id);
            if (random.OneIn(8) && shared.detached.load() < options.threads) {
                shared.detached.fetch_add(1);
                std::thread(DetachedLife, &shared, id + 1).detach();
            }
            child.join();
        }
    });
    AwaitDetached(shared, heaps);
    FreeHeirlooms(&shared);
    std::fprintf(stderr, "mixed: %u threads\n", shared.born.load());
    baseline.CheckEnd("mixed", kResidentSlack + 2 * options.threads * kResidentSlackPerThread);
}

// Runs `lives` threads, numbered from `first`, at_once at a time. Returns the seconds it took.
double RunLives(Shared *shared, std::uint32_t first, int lives) {
    const auto start = std::chrono::steady_clock::now();
    std::atomic<int> next{0};
    RunThreads("generations", shared->options.at_once, kNoLimit, [&](int) {
        for (int life = next.fetch_add(1); life < lives; life = next.fetch_add(1)) {
            std::thread(Life, shared, first + life).join();
        }
    });
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Resident when no block is out and what is merely kept has gone back: what threads leave behind.
std::size_t ResidentAtRest(Shared *shared) {
    FreeHeirlooms(shared);
    hak_thread_idle();
    hak_trim(0);
    malloc_trim(0);
    return ResidentBytes();
}

void Generations(const Options &options) {
    // The handles of blocks are in the C library's heap: more arenas would blur what is measured.
    mallopt(M_ARENA_MAX, 1);
    const Baseline baseline;
    Shared shared(options);
    const int tenth = options.lives / 10;
    RunLives(&shared, 0, tenth);
    const std::size_t before = ResidentAtRest(&shared);
    const double seconds = RunLives(&shared, tenth, options.lives - tenth);
    const std::size_t after = ResidentAtRest(&shared);
    const std::size_t grown = after > before ? after - before : 0;
    std::fprintf(stderr,
                 "generations: %u threads, %d at a time, %.1f us each; resident %.1f MiB after the "
                 "first tenth, and %zu KiB more at the end, at most %zu allowed\n",
                 shared.born.load(), options.at_once, seconds * 1e6 / (options.lives - tenth),
                 MiB(before), grown >> 10, kMostGrown >> 10);
    if (ResidentIsMeaningful() && grown > kMostGrown) {
        Fail("resident memory grew by %zu bytes over %d threads; at most %zu are allowed", grown,
             options.lives - tenth, kMostGrown);
    }
    baseline.CheckEnd("generations", kResidentSlack + options.at_once * kResidentSlackPerThread);
}

// All threads of a crowd are alive before the first goes on.
struct Crowd {
    explicit Crowd(const Options &o) : options(o) {}
    const Options &options;
    std::mutex mutex;
    std::condition_variable changed;
    int there = 0; // guarded by mutex, as all below
    bool measured = false;
    std::uint32_t ids = 0;
};

void HoldAndFree(Worker *worker, std::vector<Block> *blocks) {
    for (std::size_t i = 0; i < kCrowdBlocks; ++i) blocks->push_back(worker->Make());
    for (std::size_t i = 0; i < kCrowdBlocks / 2; ++i) {
        worker->Free(blocks->back());
        blocks->pop_back();
    }
}

void *OneOfTheCrowd(void *argument) {
    Crowd *crowd = static_cast<Crowd *>(argument);
    std::unique_lock<std::mutex> lock(crowd->mutex);
    Worker worker(crowd->options, crowd->ids++);
    lock.unlock();
    std::vector<Block> blocks;
    HoldAndFree(&worker, &blocks);
    lock.lock();
    ++crowd->there;
    crowd->changed.notify_all();
    while (!crowd->measured) crowd->changed.wait(lock);
    lock.unlock();
    HoldAndFree(&worker, &blocks);
    worker.FreeAll(&blocks);
    return nullptr;
}

void Alive(const Options &options) {
    mallopt(M_ARENA_MAX, 1);
    const Baseline baseline;
    const std::size_t before = ResidentBytes();
    const auto start = std::chrono::steady_clock::now();
    Crowd crowd(options);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, kCrowdStack);
    std::vector<pthread_t> threads(options.alive);
    for (pthread_t &thread : threads) {
        const int error = pthread_create(&thread, &small, OneOfTheCrowd, &crowd);
        if (error != 0) Fail("pthread_create: %s", std::strerror(error));
    }
    std::unique_lock<std::mutex> lock(crowd.mutex);
    while (crowd.there != options.alive) crowd.changed.wait(lock);
    const std::size_t alive = ResidentBytes() - before;
    std::fprintf(stderr, "alive: %d threads, %.1f KiB resident each (%.1f live), stacks and all\n",
                 options.alive, static_cast<double>(alive) / 1024 / options.alive,
                 static_cast<double>(Stats().live_bytes) / 1024 / options.alive);
    crowd.measured = true;
    crowd.changed.notify_all();
    lock.unlock();
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
    pthread_attr_destroy(&small);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::fprintf(stderr, "alive: %.1f s, %.1f us a thread\n", seconds,
                 seconds * 1e6 / options.alive);
    baseline.CheckEnd("alive", kResidentSlack + options.alive * kResidentSlackPerThread);
}

} // namespace
} // namespace hak_stress

int main(int argc, char **argv) {
    using namespace hak_stress;
    Options defaults;
    defaults.mode = "mixed";
    const Options options = ParseFlagsOrExit(
        argc, argv,
        "thread_churn: threads that hand blocks over and die. --threads and --seconds are for\n"
        "--mode=mixed; the other modes run until their threads are done.",
        defaults, {"mixed", "generations", "alive"}, 1, {"lives", "at_once", "alive"});
    if (options.mode == "mixed") Mixed(options);
    if (options.mode == "generations") Generations(options);
    if (options.mode == "alive") Alive(options);
    return 0;
}
