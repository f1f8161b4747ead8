// Threads that are born, inherit blocks, leave some behind and die; TLS and pthread-key destructors
// allocate and free on the way out, and some of the threads are detached.
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "stress/harness.h"

namespace hak_stress {
namespace {

constexpr std::size_t kMostBlocks = 256;
constexpr auto kDetachedMayTake = std::chrono::seconds(30);

struct Shared {
    explicit Shared(const Options &o) : options(o) {}
    const Options &options;
    BlockQueue heirlooms;
    std::atomic<std::uint32_t> born{0};
    std::atomic<int> detached{0}; // still running
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

void KeyDestructor(void *block) {
    hak_free(hak_calloc(1, hak_usable_size(block)));
    hak_free(block);
}

void Life(Shared *shared) {
    const std::uint32_t id = shared->born.fetch_add(1, std::memory_order_relaxed);
    Worker worker(shared->options, id);
    std::vector<Block> blocks;
    shared->heirlooms.Pop(worker.random().Below(kMostBlocks), &worker.random(), &blocks);
    for (Block &block : blocks) {
        if (worker.random().OneIn(16)) worker.Resize(&block);
    }
    worker.FreeAll(&blocks);
    std::vector<Block> own;
    for (std::uint64_t n = worker.random().Below(kMostBlocks); n > 0; --n) {
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

void DetachedLife(Shared *shared) {
    Life(shared);
    shared->detached.fetch_sub(1);
}

std::uint64_t HeapsNow() {
    hak_stats stats = {};
    stats.size = sizeof(stats);
    hak_stats_get(&stats);
    return stats.threads;
}

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

void Churn(const Options &options) {
    const Baseline baseline;
    hak_free(hak_malloc(1)); // so that this thread's heap is counted before and after
    const std::uint64_t heaps = HeapsNow();
    Shared shared(options);
    pthread_key_create(&shared.key, KeyDestructor);
    RunThreads("thread_churn", options.threads, options.seconds, [&](int i) {
        Random random(options.seed * 1000003 + i);
        while (!Stopped()) {
            std::thread child(Life, &shared);
            if (random.OneIn(8) && shared.detached.load() < options.threads) {
                shared.detached.fetch_add(1);
                std::thread(DetachedLife, &shared).detach();
            }
            child.join();
        }
    });
    AwaitDetached(shared, heaps);
    Worker last(options, shared.born.load());
    std::vector<Block> rest;
    shared.heirlooms.Pop(~std::size_t{0}, &last.random(), &rest);
    last.FreeAll(&rest);
    pthread_key_delete(shared.key);
    std::fprintf(stderr, "thread_churn: %u threads\n", shared.born.load());
    baseline.CheckEnd("thread_churn",
                      kResidentSlack + 2 * options.threads * kResidentSlackPerThread);
}

} // namespace
} // namespace hak_stress

int main(int argc, char **argv) {
    using namespace hak_stress;
    Options defaults;
    Churn(ParseFlagsOrExit(argc, argv, "thread_churn: threads that hand blocks over and die",
                           defaults, {}, 1));
    return 0;
}
