#include "stress/harness.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "hakmem/hakmem.h"

namespace hak_stress {
double MiB(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

namespace {

constexpr std::size_t kMinAlignment = 16;
constexpr std::size_t kOsPage = 4096;
constexpr std::uint64_t kFreedAtOnce = 4096;
constexpr double kProgressSeconds = 10;

std::atomic<bool> stopped{false};
std::atomic<std::uint64_t> blocks_freed{0};
std::uint64_t seed_of_run = 0; // set before there are threads

std::uint64_t Mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

std::uint64_t KeyOf(const Block &block) {
    return Mix((std::uint64_t{block.owner} << 40) ^ block.serial ^
               Mix(static_cast<std::uint64_t>(block.size)));
}

std::uint64_t PatternWord(std::uint64_t key, std::size_t offset) {
    return key + offset * 0x9e3779b97f4a7c15U;
}

// Calls visit(offset, length <= 8) for what is filled of a block: all of the first and of the last
// page, and a word of each page between.
template <typename Visit> void ForEachWord(std::size_t size, Visit visit) {
    for (std::size_t offset = 0; offset < size;) {
        visit(offset, std::min<std::size_t>(8, size - offset));
        const bool sparse = offset + 8 >= kOsPage && offset + 2 * kOsPage < size;
        offset += sparse ? kOsPage : 8;
    }
}

void Fill(const Block &block) {
    const std::uint64_t key = KeyOf(block);
    ForEachWord(block.size, [&](std::size_t offset, std::size_t length) {
        const std::uint64_t word = PatternWord(key, offset);
        std::memcpy(block.data + offset, &word, length);
    });
}

// Fails unless the first `kept` bytes, as far as they were filled, are the pattern of `block`.
void CheckPattern(const Block &block, const unsigned char *data, std::size_t kept,
                  const char *when) {
    const std::uint64_t key = KeyOf(block);
    ForEachWord(block.size, [&](std::size_t offset, std::size_t length) {
        if (offset >= kept) return;
        length = std::min(length, kept - offset);
        const std::uint64_t expected = PatternWord(key, offset);
        if (std::memcmp(data + offset, &expected, length) == 0) return;
        std::uint64_t found = 0;
        std::memcpy(&found, data + offset, length);
        Fail("%s: block %p of %zu bytes (owner %u, serial %llu) holds %016llx at offset %zu, "
             "not %016llx",
             when, static_cast<const void *>(data), block.size, block.owner,
             static_cast<unsigned long long>(block.serial), static_cast<unsigned long long>(found),
             offset, static_cast<unsigned long long>(expected));
    });
}

void CheckShape(const Block &block, const char *from, bool resized = false) {
    const void *data = block.data;
    if (data == nullptr) Fail("%s of %zu bytes: %s", from, block.size, std::strerror(errno));
    const std::size_t alignment = std::max(kMinAlignment, block.alignment);
    if (reinterpret_cast<std::uintptr_t>(data) % alignment != 0) {
        Fail("%s of %zu bytes: %p is not aligned to %zu", from, block.size, data, alignment);
    }
    const std::size_t usable = hak_usable_size(data);
    // The upper bound is promised for blocks without an alignment of their own. What realloc leaves
    // where it is serves by half.
    const std::size_t waste = resized ? block.size : block.size / 3;
    const std::size_t most = block.size + waste + kOsPage;
    if (usable < block.size || (block.alignment == 0 && usable > most)) {
        Fail("%s of %zu bytes: usable size %zu", from, block.size, usable);
    }
}

hak_stats Stats() {
    hak_stats stats = {};
    stats.size = sizeof(stats);
    if (!hak_stats_get(&stats)) Fail("hak_stats_get: %s", std::strerror(errno));
    return stats;
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void ShowProgress(const char *what, double now, double seconds) {
    char limit[32] = "";
    if (seconds < kNoLimit) std::snprintf(limit, sizeof(limit), " of %.0f", seconds);
    std::fprintf(stderr, "%s: %.0f%s s, %.1f million blocks freed, resident %.1f MiB\n", what, now,
                 limit, static_cast<double>(blocks_freed.load()) / 1e6, MiB(ResidentBytes()));
}

// Writes the line at once: no stream's lock may be in the way, and none of its memory is used.
void WriteFailure(const char *message) {
    char line[640];
    const int length = std::snprintf(line, sizeof(line), "%s: FAILED with --seed=%llu: %s\n",
                                     program_invocation_short_name,
                                     static_cast<unsigned long long>(seed_of_run), message);
    const ssize_t written = write(STDERR_FILENO, line, std::min<std::size_t>(length, sizeof(line)));
    (void)written; // nothing can be done about it
}

// The signal's default action follows when the handler returns: it is reset on entry.
void NameSeedInCrash(int signal_number) {
    char message[64];
    std::snprintf(message, sizeof(message), "ended by signal %d", signal_number);
    WriteFailure(message);
    raise(signal_number);
}

} // namespace

void NameSeedOnFailure(std::uint64_t seed) {
    seed_of_run = seed;
    // A sanitizer has handlers of its own, which say more.
    if (!ResidentIsMeaningful()) return;
    struct sigaction action = {};
    action.sa_handler = NameSeedInCrash;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (const int signal_number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
        sigaction(signal_number, &action, nullptr);
    }
}

void Fail(const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    WriteFailure(message);
    // Other threads are still at work: nothing of theirs is taken down.
    _exit(1);
}

std::uint64_t Random::Next() {
    state_ += 0x9e3779b97f4a7c15U;
    return Mix(state_);
}

Worker::Worker(const Options &options, std::uint32_t id)
    : options_(options), id_(id), makes_(Mix(options.seed) ^ Mix(id + 1)),
      random_(Mix(~options.seed) ^ Mix(id + 1)) {}

Worker::~Worker() { blocks_freed.fetch_add(freed_, std::memory_order_relaxed); }

std::size_t Worker::RandomSize(Random *random) const {
    const auto bits = [](std::size_t n) { return 63 - __builtin_clzll(n); };
    const int low = bits(options_.min_size);
    const int power = low + static_cast<int>(random->Below(bits(options_.max_size) - low + 1));
    const std::size_t size = (std::size_t{1} << power) + random->Below(std::size_t{1} << power);
    return std::clamp(size, options_.min_size, options_.max_size);
}

Block Worker::Make() {
    Block block;
    block.size = RandomSize(&makes_);
    block.owner = id_;
    block.serial = serial_++;
    const char *from = "hak_malloc";
    if (makes_.OneIn(16)) {
        from = "hak_calloc";
        block.data = static_cast<unsigned char *>(hak_calloc(1, block.size));
        CheckShape(block, from);
        ForEachWord(block.size, [&](std::size_t offset, std::size_t length) {
            const std::uint64_t zero = 0;
            if (std::memcmp(block.data + offset, &zero, length) == 0) return;
            Fail("hak_calloc of %zu bytes: not zero at offset %zu", block.size, offset);
        });
    } else if (makes_.OneIn(16)) {
        from = "hak_aligned_alloc";
        block.alignment = std::size_t{16} << makes_.Below(9);
        block.data = static_cast<unsigned char *>(hak_aligned_alloc(block.alignment, block.size));
    } else {
        block.data = static_cast<unsigned char *>(hak_malloc(block.size));
    }
    CheckShape(block, from);
    Fill(block);
    return block;
}

void Worker::Resize(Block *block) {
    CheckBlock(*block);
    Block resized = *block;
    resized.size = RandomSize(&random_);
    resized.alignment = 0;
    resized.owner = id_;
    resized.serial = serial_++;
    resized.data = static_cast<unsigned char *>(hak_realloc(block->data, resized.size));
    CheckShape(resized, "hak_realloc", true);
    CheckPattern(*block, resized.data, std::min(block->size, resized.size), "after hak_realloc");
    Fill(resized);
    *block = resized;
}

void Worker::Free(const Block &block) {
    CheckBlock(block);
    // A block that is handed out again while it is still in use here would be seen.
    if (block.size >= 8) std::memset(block.data, 0xdd, 8);
    if (block.alignment != 0 && random_.OneIn(2)) {
        hak_free_aligned_sized(block.data, block.alignment, block.size);
    } else if (block.alignment == 0 && random_.OneIn(4)) {
        hak_free_sized(block.data, block.size);
    } else {
        hak_free(block.data);
    }
    if (++freed_ == kFreedAtOnce) {
        blocks_freed.fetch_add(freed_, std::memory_order_relaxed);
        freed_ = 0;
    }
}

void Worker::FreeAll(std::vector<Block> *blocks) {
    for (const Block &block : *blocks) Free(block);
    blocks->clear();
}

void CheckBlock(const Block &block) {
    CheckPattern(block, block.data, block.size, "before it was freed");
}

bool BlockQueue::TryPush(std::vector<Block> *blocks) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (blocks_.size() >= kMaxBlocks || bytes_ >= kMaxBytes) return false;
    for (const Block &block : *blocks) {
        bytes_ += block.size;
        blocks_.push_back(block);
    }
    blocks->clear();
    return true;
}

void BlockQueue::Pop(std::size_t count, Random *random, std::vector<Block> *out) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (; count > 0 && !blocks_.empty(); --count) {
        std::swap(blocks_[random->Below(blocks_.size())], blocks_.back());
        bytes_ -= blocks_.back().size;
        out->push_back(blocks_.back());
        blocks_.pop_back();
    }
}

bool Stopped() { return stopped.load(std::memory_order_relaxed); }

void RunThreads(const char *what, int threads, double seconds,
                const std::function<void(int)> &body) {
    stopped.store(false);
    const auto start = std::chrono::steady_clock::now();
    std::atomic<int> left{threads};
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
        running.emplace_back([&body, &left, i] {
            body(i);
            left.fetch_sub(1);
        });
    }
    double shown = 0;
    for (double now = 0; now < seconds && left.load() > 0; now = SecondsSince(start)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (now - shown < kProgressSeconds) continue;
        shown = now;
        ShowProgress(what, now, seconds);
    }
    stopped.store(true);
    for (std::thread &thread : running) thread.join();
}

void EndOfRun() {
    hak_thread_idle();
    if (!hak_check_counts()) Fail("a count does not agree with what it counts");
}

std::size_t ResidentBytes() {
    unsigned long size = 0;
    unsigned long resident = 0;
    std::FILE *file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%lu %lu", &size, &resident) != 2) {
        Fail("/proc/self/statm cannot be read");
    }
    std::fclose(file);
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

bool ResidentIsMeaningful() {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return false;
#else
    return true;
#endif
}

Baseline::Baseline() {
    hak_thread_idle();
    const hak_stats stats = Stats();
    live_ = stats.live_bytes;
    large_ = stats.large_bytes;
    threads_ = stats.threads;
    resident_ = ResidentBytes();
}

void Baseline::CheckEnd(const char *what, std::size_t slack) const {
    EndOfRun();
    const hak_stats stats = Stats();
    const auto same = [&](const char *name, std::uint64_t now, std::uint64_t then) {
        if (now == then) return;
        Fail("%s: at the end %s is %llu, at the start it was %llu", what, name,
             static_cast<unsigned long long>(now), static_cast<unsigned long long>(then));
    };
    // The caller's own heap may have come since: it called hak_* only to read counts.
    if (stats.threads > threads_ + 1) same("threads", stats.threads, threads_);
    same("large_bytes", stats.large_bytes, large_);
    same("live_bytes", stats.live_bytes, live_);
    hak_trim(0);
    malloc_trim(0); // the handles of the blocks are in the C library's heap
    const std::size_t resident = ResidentBytes();
    const std::size_t bound = resident_ + slack;
    std::fprintf(stderr,
                 "%s: %.1f million blocks freed; live 0; resident %.1f MiB at the start, %.1f at "
                 "the end, at most %.1f allowed\n",
                 what, static_cast<double>(blocks_freed.load()) / 1e6, MiB(resident_),
                 MiB(resident), MiB(bound));
    if (ResidentIsMeaningful() && resident > bound) {
        hak_stats_print(STDERR_FILENO);
        Fail("%s: %zu bytes are resident after hak_trim(0); at most %zu are allowed", what,
             resident, bound);
    }
}

} // namespace hak_stress
