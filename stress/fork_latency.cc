#include "stress/fork_latency.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

namespace hak_stress {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSlots = 1024;
constexpr std::size_t kEverySize = std::size_t{1} << 20;
constexpr std::size_t kThreadBlocks = 64;
constexpr int kTurns = 10;
constexpr unsigned kHangSeconds = 30;
constexpr double kProgressSeconds = 10;

struct Malloc {
    void *(*allocate)(std::size_t);
    void (*free)(void *);
};
constexpr Malloc kHakmem = {hak_malloc, hak_free};
constexpr Malloc kSystem = {std::malloc, std::free};

// What can be seen of a block with two owners, for any malloc: its first and its last byte.
struct Slot {
    unsigned char *data = nullptr;
    std::size_t size = 0;
    unsigned char mark = 0;
};

void Put(const Malloc &malloc, Slot *slot, std::size_t size, unsigned char mark) {
    *slot = {static_cast<unsigned char *>(malloc.allocate(size)), size, mark};
    if (slot->data == nullptr) Fail("no memory for %zu bytes", size);
    slot->data[0] = slot->data[size - 1] = mark;
}

void Take(const Malloc &malloc, Slot *slot) {
    if (slot->data == nullptr) return;
    if (slot->data[0] != slot->mark || slot->data[slot->size - 1] != slot->mark) {
        Fail("block %p of %zu bytes holds %#x and %#x, not %#x", static_cast<void *>(slot->data),
             slot->size, slot->data[0], slot->data[slot->size - 1], slot->mark);
    }
    malloc.free(slot->data);
    slot->data = nullptr;
}

void BeBusy(const Malloc &malloc, const Options &options, int id, const std::atomic<bool> &over) {
    Random random(options.seed * 1000003 + id);
    std::vector<Slot> slots(kSlots);
    while (!over.load(std::memory_order_relaxed)) {
        Slot &slot = slots[random.Below(kSlots)];
        Take(malloc, &slot);
        const std::size_t most = std::max(options.min_size, options.max_size >> random.Below(8));
        const std::size_t size = options.min_size + random.Below(most - options.min_size + 1);
        Put(malloc, &slot, size, static_cast<unsigned char>(id));
    }
    for (Slot &slot : slots) Take(malloc, &slot);
}

void *ThreadOfChild(void *argument) {
    const Malloc &malloc = *static_cast<const Malloc *>(argument);
    std::array<Slot, kThreadBlocks> slots;
    for (std::size_t i = 0; i < slots.size(); ++i) Put(malloc, &slots[i], 1 + 16 * i, 0x7e);
    for (Slot &slot : slots) Take(malloc, &slot);
    return nullptr;
}

[[noreturn]] void Child(const Malloc &malloc) {
    alarm(kHangSeconds); // its default action ends the child, and its parent says so
    for (std::size_t size = 1; size <= kEverySize; size += size / 8 + 1) {
        Slot slot;
        Put(malloc, &slot, size, 0x5a);
        Take(malloc, &slot);
    }
    pthread_t thread{};
    if (pthread_create(&thread, nullptr, ThreadOfChild, const_cast<Malloc *>(&malloc)) != 0) {
        Fail("a child cannot start a thread");
    }
    pthread_join(thread, nullptr);
    _exit(0);
}

// Nanoseconds.
long OneFork(const Malloc &malloc) {
    const auto start = Clock::now();
    const pid_t child = fork();
    if (child == 0) Child(malloc);
    if (child < 0) Fail("fork: %s", std::strerror(errno));
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) Fail("waitpid: %s", std::strerror(errno));
    }
    if (status != 0) Fail("a child ended with status %#x", static_cast<unsigned>(status));
    return static_cast<long>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

void ForkBesideBusyThreads(const Options &options) {
    const Malloc &malloc = options.malloc == "system" ? kSystem : kHakmem;
    const Baseline baseline;
    std::vector<long> latencies;
    {
        std::atomic<bool> over{false};
        std::vector<std::thread> busy;
        for (int i = 0; i < options.threads; ++i) {
            busy.emplace_back([&, i] { BeBusy(malloc, options, i, over); });
        }
        for (int i = 0; i < options.forks; ++i) latencies.push_back(OneFork(malloc));
        over.store(true);
        for (std::thread &thread : busy) thread.join();
    }
    for (const long latency : latencies) std::printf("%ld\n", latency);
    const std::size_t slack = kResidentSlack + options.threads * kResidentSlackPerThread;
    if (options.malloc == "hakmem") baseline.CheckEnd("latency", slack);
}

// Runs this program with `malloc` and appends the latencies that it writes.
void RunOnce(const Options &options, const std::string &malloc, int forks,
             std::vector<long> *latencies) {
    char program[PATH_MAX] = "";
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) Fail("/proc/self/exe");
    const std::string command = "'" + std::string(program) + "' --mode=latency --malloc=" + malloc +
                                " --forks=" + std::to_string(forks) +
                                " --threads=" + std::to_string(options.threads) +
                                " --seed=" + std::to_string(options.seed) +
                                " --min_size=" + std::to_string(options.min_size) +
                                " --max_size=" + std::to_string(options.max_size);
    std::FILE *out = popen(command.c_str(), "r");
    if (out == nullptr) Fail("%s: %s", command.c_str(), std::strerror(errno));
    long latency = 0;
    while (std::fscanf(out, "%ld", &latency) == 1) latencies->push_back(latency);
    const int status = pclose(out);
    if (status != 0) Fail("%s: status %#x", command.c_str(), static_cast<unsigned>(status));
}

double Microseconds(std::vector<long> *latencies, double part) {
    std::sort(latencies->begin(), latencies->end());
    const auto last = static_cast<double>(latencies->size() - 1);
    return static_cast<double>((*latencies)[static_cast<std::size_t>(last * part)]) / 1000;
}

// Turn by turn, the one first and then the other: what else the machine does falls on both.
void Compare(const Options &options) {
    std::array<std::vector<long>, 2> latencies;
    const std::array<const char *, 2> names = {"hakmem", "system"};
    auto shown = Clock::now();
    for (int turn = 0; turn < kTurns; ++turn) {
        const int forks = options.forks * (turn + 1) / kTurns - options.forks * turn / kTurns;
        for (int i = 0; i < 2 && forks > 0; ++i) {
            const int which = (i + turn) % 2;
            RunOnce(options, names[which], forks, &latencies[which]);
        }
        if (std::chrono::duration<double>(Clock::now() - shown).count() < kProgressSeconds)
            continue;
        shown = Clock::now();
        std::fprintf(stderr, "latency: turn %d of %d\n", turn + 1, kTurns);
    }
    std::array<double, 2> median{};
    std::array<double, 2> slow{};
    for (int i = 0; i < 2; ++i) {
        median[i] = Microseconds(&latencies[i], 0.5);
        slow[i] = Microseconds(&latencies[i], 0.99);
        std::fprintf(stderr, "latency: %s: %zu forks beside %d threads, p50 %.0f us, p99 %.0f us\n",
                     names[i], latencies[i].size(), options.threads, median[i], slow[i]);
    }
    std::fprintf(stderr, "latency: hakmem to system: p50 %.2f, p99 %.2f\n", median[0] / median[1],
                 slow[0] / slow[1]);
}

} // namespace

void RunForkLatency(const Options &options) {
    if (options.malloc == "both") {
        Compare(options);
    } else {
        ForkBesideBusyThreads(options);
    }
}

} // namespace hak_stress
