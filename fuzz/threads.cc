/* Up to four threads that are born, allocate, free each other's blocks and die, in the order that
 * an input says: it is the schedule. A thread runs only while it has the baton, so an input runs
 * the same way each time, and the allocator is at rest when it is looked at. One step is the
 * exception: all threads at once, each with blocks of its own, for Thread Sanitizer's sake.
 *
 * After every step: contents, sizes and slabs as in Shadow, and what is held is live. At the end,
 * when all threads are gone and all is freed and given back, nothing is. */
#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "fuzz/check.h"
#include "fuzz/input.h"
#include "fuzz/shadow.h"
#include "hakmem/config/config.h"
#include "hakmem/hakmem.h"

namespace {

constexpr size_t kThreads = 4;
constexpr size_t kBirths = 32;          /* an input */
constexpr size_t kPileBytes = 8 * MiB;  /* of one thread */
constexpr size_t kPileBlocks = 1 << 13; /* the same */

/* A thread that does one job at a time. */
class Worker {
  public:
    ~Worker() {
        Start(nullptr);
        thread_.join();
    }

    void Start(std::function<void()> job) {
        std::lock_guard<std::mutex> lock(mutex_);
        job_ = std::move(job);
        has_baton_ = true;
        changed_.notify_one();
    }

    void Wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !has_baton_; });
    }

  private:
    void Run() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return has_baton_; });
            if (job_ == nullptr) return; /* the thread ends with all that it has */
            job_();
            has_baton_ = false;
            changed_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> job_;
    bool has_baton_ = false;
    std::thread thread_{[this] { Run(); }};
};

/* Blocks that one thread allocated, for any to free. Each names itself. */
struct Pile {
    std::vector<void *> blocks;
    uint64_t bytes = 0; /* usable */

    void Allocate(size_t size, size_t count) {
        for (size_t n = 0; n < count && blocks.size() < kPileBlocks && bytes < kPileBytes; n++) {
            void *block = hak_malloc(size);
            FUZZ_CHECK(block != nullptr);
            bytes += hak_usable_size(block);
            *static_cast<void **>(block) = block;
            blocks.push_back(block);
        }
    }

    /* `one_in`: the rest stays. */
    void Free(size_t one_in) {
        std::vector<void *> kept;
        for (size_t n = 0; n < blocks.size(); n++) {
            FUZZ_CHECK(*static_cast<void **>(blocks[n]) == blocks[n]);
            if (n % one_in != 0) {
                kept.push_back(blocks[n]);
                continue;
            }
            bytes -= hak_usable_size(blocks[n]);
            hak_free(blocks[n]);
        }
        blocks.swap(kept);
    }
};

class State {
  public:
    ~State() {
        for (auto &worker : workers_) worker.reset();
        while (!shadow_.empty()) hak_free(shadow_.Remove(0).address);
        for (Pile &pile : piles_) pile.Free(1);
        hak_free(hak_malloc(1)); /* only a thread with a heap can take chains in transit */
        hak_trim(0);
        hak_stats stats = Stats();
        FUZZ_CHECK(stats.live_bytes == 0 && stats.transfer_bytes == 0);
        FUZZ_CHECK(stats.threads == 1);
    }

    void Perform(Input &in) {
        size_t op = in.below(12), t = in.below(kThreads);
        if (op == 0) {
            workers_[t].reset();
            return;
        }
        if (op == 1) return AllAtOnce(some_size(in), in.byte());
        if (workers_[t] == nullptr) {
            if (births_++ >= kBirths) return;
            workers_[t] = std::make_unique<Worker>();
        }
        switch (op) {
        case 2:
        case 3:
            return Malloc(t, some_size(in));
        case 4:
            return Free(t, in.below(96));
        case 5:
            return Realloc(t, in.below(96), some_size(in));
        case 6:
        case 7: {
            size_t size = Bounded(some_size(in)), count = 1 + in.byte() * size_t{4};
            return Let(t, [=] { piles_[t].Allocate(size, count); });
        }
        case 8:
        case 9: {
            Pile &pile = piles_[in.below(kThreads)];
            size_t one_in = 1 + in.byte() % 3;
            return Let(t, [&pile, one_in] { pile.Free(one_in); });
        }
        case 10:
            return Let(t, hak_thread_idle);
        default: {
            size_t keep = in.byte() * size_t{64} * KiB;
            return Let(t, [keep] { hak_trim(keep); });
        }
        }
    }

    void CheckInvariant() const {
        shadow_.CheckInvariant();
        uint64_t held = shadow_.bytes();
        for (const Pile &pile : piles_) held += pile.bytes;
        size_t alive = 0;
        for (auto &worker : workers_) alive += worker != nullptr;
        hak_stats stats = Stats();
        FUZZ_CHECK(stats.live_bytes >= held); /* and what other threads' lists have */
        FUZZ_CHECK(stats.threads <= alive + 1);
    }

  private:
    static hak_stats Stats() {
        hak_stats stats = {};
        stats.size = sizeof(stats);
        FUZZ_CHECK(hak_stats_get(&stats));
        return stats;
    }

    static size_t Bounded(size_t size) { return size > 64 * KiB ? size % 4096 : size; }

    /* Gives thread `t` the baton until it has done `job`. */
    void Let(size_t t, std::function<void()> job) {
        workers_[t]->Start(std::move(job));
        workers_[t]->Wait();
    }

    void Malloc(size_t t, size_t size) {
        if (is_absurd(size) || !shadow_.has_room_for(size)) return;
        void *address = nullptr;
        Let(t, [&] { address = hak_malloc(size); });
        shadow_.Add(address, size, 0);
    }

    void Free(size_t t, size_t i) {
        if (i >= shadow_.count()) return;
        Block block = shadow_.Remove(i);
        Let(t, [&] { hak_free(block.address); });
    }

    void Realloc(size_t t, size_t i, size_t size) {
        if (i >= shadow_.count() || size == 0) return;
        if (is_absurd(size) || !shadow_.has_room_for(size)) return;
        Block block = shadow_.at(i);
        void *address = nullptr;
        Let(t, [&] { address = hak_realloc(block.address, size); });
        Shadow::CheckContents(address, block, std::min(size, block.usable));
        shadow_.Forget(i);
        shadow_.AddResized(address, size, block.address);
    }

    /* Each thread frees its neighbour's pile and makes one of its own, then half of that goes. */
    void AllAtOnce(size_t size, size_t count) {
        Pile made[kThreads];
        size = Bounded(size);
        for (size_t t = 0; t < kThreads; t++) {
            if (workers_[t] == nullptr) continue;
            Pile &theirs = piles_[(t + 1) % kThreads], &mine = made[t];
            workers_[t]->Start([=, &theirs, &mine] {
                theirs.Free(1);
                mine.Allocate(size, count);
                mine.Free(2);
                mine.Allocate(size + 16, count / 4);
            });
        }
        for (size_t t = 0; t < kThreads; t++) {
            if (workers_[t] == nullptr) continue;
            workers_[t]->Wait();
        }
        for (size_t t = 0; t < kThreads; t++) {
            piles_[t].bytes += made[t].bytes;
            piles_[t].blocks.insert(piles_[t].blocks.end(), made[t].blocks.begin(),
                                    made[t].blocks.end());
        }
    }

    Shadow shadow_;
    Pile piles_[kThreads];
    std::unique_ptr<Worker> workers_[kThreads];
    size_t births_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Input in(data, size);
    State state;
    while (!in.empty()) {
        state.Perform(in);
        state.CheckInvariant();
    }
    return 0;
}
