// Blocks that are freed by threads other than the one that allocated them.
#include <array>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "stress/harness.h"

namespace hak_stress {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kSlots = 1024;
constexpr std::size_t kSlotLocks = 64;

const std::vector<std::string> kModes = {"one_way",  "symmetric",    "ring", "n_to_m",
                                         "exchange", "dying_owners", "all"};

// Who allocates, who frees, and where thread `i` of `n` sends its blocks.
struct Pattern {
    bool (*allocates)(int i, int n);
    bool (*frees)(int i, int n);
    int (*to)(int i, int n, Random *random);
    bool forwards; // whether half of what comes goes on to the next
};

bool Always(int, int) { return true; }
bool FirstHalf(int i, int n) { return i < n / 2; }
bool SecondHalf(int i, int n) { return i >= n / 2; }
int Next(int i, int n, Random *) { return (i + 1) % n; }
int Partner(int i, int n, Random *) { return (i ^ 1) < n ? i ^ 1 : 0; }
int FixedOfSecondHalf(int i, int n, Random *) { return n / 2 + i % (n - n / 2); }
int AnyOfSecondHalf(int, int n, Random *random) {
    return n / 2 + static_cast<int>(random->Below(n - n / 2));
}

constexpr Pattern kOneWay = {FirstHalf, SecondHalf, FixedOfSecondHalf, false};
constexpr Pattern kSymmetric = {Always, Always, Partner, false};
constexpr Pattern kRing = {Always, Always, Next, true};
constexpr Pattern kNToM = {FirstHalf, SecondHalf, AnyOfSecondHalf, false};

void TakeAndFree(const Pattern &pattern, BlockQueue *from, BlockQueue *onward, Worker *worker) {
    std::vector<Block> taken;
    from->Pop(kBatch, &worker->random(), &taken);
    if (taken.empty()) std::this_thread::yield();
    if (pattern.forwards && taken.size() > 1) {
        std::vector<Block> rest(taken.begin(), taken.begin() + taken.size() / 2);
        for (Block &block : rest) {
            if (worker->random().OneIn(16)) worker->Resize(&block);
        }
        std::copy(rest.begin(), rest.end(), taken.begin());
        if (onward->TryPush(&rest)) taken.erase(taken.begin(), taken.begin() + taken.size() / 2);
    }
    worker->FreeAll(&taken);
}

void RunQueues(const char *name, const Options &options, double seconds, const Pattern &pattern) {
    const int n = options.threads;
    std::vector<BlockQueue> queues(n);
    RunThreads(name, n, seconds, [&](int i) {
        Worker worker(options, i);
        std::vector<Block> made;
        while (!Stopped()) {
            while (pattern.allocates(i, n) && made.size() < kBatch) made.push_back(worker.Make());
            const int to = pattern.to(i, n, &worker.random());
            if (!made.empty() && !queues[to].TryPush(&made)) std::this_thread::yield();
            if (pattern.frees(i, n)) TakeAndFree(pattern, &queues[i], &queues[to], &worker);
        }
        worker.FreeAll(&made);
    });
    Worker last(options, n);
    std::vector<Block> rest;
    for (BlockQueue &queue : queues) queue.Pop(~std::size_t{0}, &last.random(), &rest);
    last.FreeAll(&rest);
}

// Each thread puts a block in a random slot, and frees or resizes what it found there.
void RunExchange(const char *name, const Options &options, double seconds) {
    std::vector<Block> slots(kSlots);
    std::array<std::mutex, kSlotLocks> locks;
    RunThreads(name, options.threads, seconds, [&](int i) {
        Worker worker(options, i);
        while (!Stopped()) {
            Block block = worker.Make();
            const std::size_t slot = worker.random().Below(kSlots);
            {
                std::lock_guard<std::mutex> lock(locks[slot % kSlotLocks]);
                std::swap(block, slots[slot]);
            }
            if (block.data == nullptr) continue;
            if (worker.random().OneIn(8)) worker.Resize(&block);
            worker.Free(block);
        }
    });
    Worker last(options, options.threads);
    for (const Block &block : slots) {
        if (block.data != nullptr) last.Free(block);
    }
}

// A thread that allocates, and is gone before its blocks are freed. Half of its blocks are freed
// by itself, so that its slabs have free blocks when it dies.
void OwnerLife(const Options &options, std::uint32_t id, BlockQueue *queue) {
    Worker owner(options, id);
    std::vector<Block> made;
    std::vector<Block> own;
    const std::size_t count = 1 + owner.random().Below(8 * kBatch);
    for (std::size_t i = 0; i < count; ++i) {
        (owner.random().OneIn(2) ? made : own).push_back(owner.Make());
    }
    owner.FreeAll(&own);
    if (!queue->TryPush(&made)) owner.FreeAll(&made);
}

void RunDyingOwners(const char *name, const Options &options, double seconds) {
    BlockQueue queue;
    RunThreads(name, options.threads, seconds, [&](int i) {
        Worker worker(options, i);
        for (std::uint32_t generation = 1; !Stopped(); ++generation) {
            if (i % 2 == 0) {
                std::thread(OwnerLife, options, generation * 4096U + i, &queue).join();
            }
            std::vector<Block> taken;
            queue.Pop(4 * kBatch, &worker.random(), &taken);
            if (taken.empty()) std::this_thread::yield();
            worker.FreeAll(&taken);
        }
    });
    Worker last(options, options.threads);
    std::vector<Block> rest;
    queue.Pop(~std::size_t{0}, &last.random(), &rest);
    last.FreeAll(&rest);
}

void RunMode(const std::string &mode, const Options &options, double seconds) {
    const Baseline baseline;
    const char *name = mode.c_str();
    if (mode == "one_way") RunQueues(name, options, seconds, kOneWay);
    if (mode == "symmetric") RunQueues(name, options, seconds, kSymmetric);
    if (mode == "ring") RunQueues(name, options, seconds, kRing);
    if (mode == "n_to_m") RunQueues(name, options, seconds, kNToM);
    if (mode == "exchange") RunExchange(name, options, seconds);
    if (mode == "dying_owners") RunDyingOwners(name, options, seconds);
    baseline.CheckEnd(name, kResidentSlack + options.threads * kResidentSlackPerThread);
}

} // namespace
} // namespace hak_stress

int main(int argc, char **argv) {
    using namespace hak_stress;
    Options defaults;
    defaults.mode = "all";
    const Options options =
        ParseFlagsOrExit(argc, argv, "cross_thread_free: frees blocks on threads not their own",
                         defaults, kModes, 2);
    if (options.mode != "all") {
        RunMode(options.mode, options, options.seconds);
        return 0;
    }
    const std::size_t modes = kModes.size() - 1;
    for (std::size_t i = 0; i < modes; ++i) {
        RunMode(kModes[i], options, static_cast<double>(options.seconds) / modes);
    }
    return 0;
}
