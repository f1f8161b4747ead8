#include "bench/rss_workload.h"

#include <malloc.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bench/harness/probe.h"
#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr double kMb = 1 << 20;
constexpr double kKibPerMb = 1024;
constexpr double kNsPerMs = 1e6;
constexpr double kNsPerSecond = 1e9;
constexpr double kLookNs = 100 * kNsPerMs;
constexpr std::size_t kMaxSamples = 4096;
constexpr std::uint64_t kStepsBetweenClocks = 256;

constexpr std::uint64_t kMinSize = 16;
constexpr std::uint64_t kMaxSize = 1024;

constexpr double kIdleSeconds = 2;
constexpr double kIdleUseSeconds = 9;
constexpr double kSparseUseSeconds = 2;
constexpr double kPoolThreads = 20;
constexpr double kPoolRestSeconds = 1;

// Light use: as many steps a millisecond as a program that answers requests would need.
constexpr std::uint64_t kUseSlots = 64;
constexpr std::uint64_t kUseSteps = 100;
constexpr long kUsePauseNs = 1'000'000;

std::uint64_t FirstRandom(std::uint64_t seed) { return SplitMix(seed) | 1; }

std::size_t SizeFrom(std::uint64_t random) {
    return kMinSize + Below(random & 0xffffffffU, kMaxSize - kMinSize + 1);
}

void Sleep(double ns) {
    const timespec time{static_cast<time_t>(ns / kNsPerSecond),
                        static_cast<long>(ns) % static_cast<long>(kNsPerSecond)};
    nanosleep(&time, nullptr);
}

} // namespace

const std::vector<Moment> &MomentsOf(Life life) {
    static const auto *idle = new std::vector<Moment>{{"full", "full"},
                                                      {"freed", "all freed"},
                                                      {"rested", "2 s idle"},
                                                      {"used", "9 s use"},
                                                      {"trimmed", "trim"}};
    static const auto *pool = new std::vector<Moment>{
        {"full", "1st full"},  {"first", "1st done"},  {"half", "10th done"},
        {"last", "20th done"}, {"rested", "1 s idle"}, {"ended", "threads end"},
        {"trimmed", "trim"}};
    static const auto *sparse = new std::vector<Moment>{{"full", "full"},
                                                        {"freed", "90 % freed"},
                                                        {"used", "2 s use"},
                                                        {"empty", "all freed"},
                                                        {"trimmed", "trim"}};
    return life == Life::kIdle ? *idle : life == Life::kPool ? *pool : *sparse;
}

std::int64_t BytesOf(Life life) {
    constexpr std::int64_t kIdleMb = 512;
    constexpr std::int64_t kPoolMb = 64;
    constexpr std::int64_t kSparseMb = 150;
    const std::int64_t mb = life == Life::kIdle   ? kIdleMb
                            : life == Life::kPool ? kPoolMb
                                                  : kSparseMb;
    return mb * (std::int64_t{1} << 20);
}

RssLife::RssLife(const Params &params)
    : life_(static_cast<Life>(params.at("life"))), bytes_(static_cast<double>(params.at("bytes"))),
      shorten_(static_cast<double>(params.at("shorten"))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))), moments_(MomentsOf(life_).size()),
      moment_ms_(moments_.size()) {
    for (std::uint64_t random = FirstRandom(seed_); live_bytes_ < bytes_; ++count_) {
        random = NextRandom(random);
        live_bytes_ += static_cast<double>(SizeFrom(random));
    }
}

RssLife::~RssLife() {
    if (blocks_ == nullptr) return;
    munmap(blocks_, count_ * sizeof(char *));
    munmap(in_use_, kUseSlots * sizeof(char *));
    munmap(samples_, kMaxSamples * sizeof(Sample));
}

void RssLife::Prepare(int /*thread*/) {
    blocks_ = static_cast<char **>(MapOrDie(count_ * sizeof(char *)));
    in_use_ = static_cast<char **>(MapOrDie(kUseSlots * sizeof(char *)));
    samples_ = static_cast<Sample *>(MapOrDie(kMaxSamples * sizeof(Sample)));
}

void RssLife::Look(double *kib) {
    const double now = Nanoseconds(CLOCK_MONOTONIC);
    *kib = ResidentKib() - baseline_kib_;
    if (sample_count_ == kMaxSamples) return;
    samples_[sample_count_++] = {(now - begin_ns_) / kNsPerMs, *kib};
    next_look_ns_ = now + kLookNs;
}

void RssLife::LookIfTime() {
    double ignored = 0;
    if (Nanoseconds(CLOCK_MONOTONIC) >= next_look_ns_) Look(&ignored);
}

void RssLife::Mark(std::size_t moment) {
    moment_ms_[moment] = (Nanoseconds(CLOCK_MONOTONIC) - begin_ns_) / kNsPerMs;
    Look(&moments_[moment]);
}

// Every page of a block is touched: none is larger than a quarter of a page.
bool RssLife::Fill() {
    std::uint64_t random = FirstRandom(seed_);
    for (std::uint64_t i = 0; i < count_; ++i) {
        random = NextRandom(random);
        const std::size_t size = SizeFrom(random);
        blocks_[i] = static_cast<char *>(std::malloc(size));
        if (blocks_[i] == nullptr) return false;
        blocks_[i][0] = 1;
        blocks_[i][size - 1] = 1;
        if (i % kStepsBetweenClocks == 0) LookIfTime();
    }
    operations_ += static_cast<double>(count_);
    return true;
}

void RssLife::FreeAll() {
    for (std::uint64_t i = 0; i < count_; ++i) {
        std::free(blocks_[i]);
        blocks_[i] = nullptr;
        if (i % kStepsBetweenClocks == 0) LookIfTime();
    }
}

void RssLife::FreeMost() {
    constexpr std::uint64_t kOneIn = 10; // stays
    std::uint64_t random = FirstRandom(~seed_);
    for (std::uint64_t i = 0; i < count_; ++i) {
        random = NextRandom(random);
        if (Below(random >> 32, kOneIn) != 0) {
            std::free(blocks_[i]);
            blocks_[i] = nullptr;
        }
        if (i % kStepsBetweenClocks == 0) LookIfTime();
    }
}

void RssLife::Rest(double seconds) {
    const double end = Nanoseconds(CLOCK_MONOTONIC) + seconds / shorten_ * kNsPerSecond;
    for (double now = Nanoseconds(CLOCK_MONOTONIC); now < end; now = Nanoseconds(CLOCK_MONOTONIC)) {
        Sleep(std::min(end - now, kLookNs));
        LookIfTime();
    }
}

bool RssLife::LightUse(double seconds) {
    const double end = Nanoseconds(CLOCK_MONOTONIC) + seconds / shorten_ * kNsPerSecond;
    std::uint64_t random = FirstRandom(seed_ + 1);
    while (Nanoseconds(CLOCK_MONOTONIC) < end) {
        for (std::uint64_t i = 0; i < kUseSteps; ++i) {
            random = NextRandom(random);
            char *&block = in_use_[Below(random >> 32, kUseSlots)];
            if (block != nullptr) {
                std::free(block);
                block = nullptr;
                continue;
            }
            block = static_cast<char *>(std::malloc(SizeFrom(random)));
            if (block == nullptr) return false;
            block[0] = 1;
        }
        Sleep(kUsePauseNs);
        LookIfTime();
    }
    for (std::uint64_t i = 0; i < kUseSlots; ++i) {
        std::free(in_use_[i]);
        in_use_[i] = nullptr;
    }
    return true;
}

bool RssLife::IdleLife() {
    if (!Fill()) return false;
    Mark(0);
    FreeAll();
    Mark(1);
    Rest(kIdleSeconds);
    Mark(2);
    if (!LightUse(kIdleUseSeconds)) return false;
    Mark(3);
    malloc_trim(0);
    Mark(4);
    return true;
}

// The threads take turns, so that what one writes the next may read without a lock.
bool RssLife::PoolLife() {
    const int count = std::max(1, static_cast<int>(kPoolThreads / shorten_));
    std::mutex mutex; // guards the three
    std::condition_variable changed;
    int done = 0;
    bool end = false;
    bool good = true;
    const auto life = [&](int me) {
        const bool filled = Fill();
        if (me == 0) Mark(0);
        FreeAll();
        std::unique_lock<std::mutex> lock(mutex);
        good = good && filled;
        ++done;
        changed.notify_all();
        changed.wait(lock, [&] { return end; });
    };
    std::vector<std::thread> threads;
    threads.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        threads.emplace_back(life, i);
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return done == i + 1; });
        if (i == 0) Mark(1);
        if (i == std::max(0, count / 2 - 1)) Mark(2);
    }
    Mark(3);
    Rest(kPoolRestSeconds);
    Mark(4);
    {
        const std::lock_guard<std::mutex> lock(mutex);
        end = true;
    }
    changed.notify_all();
    for (std::thread &thread : threads) thread.join();
    Mark(5);
    malloc_trim(0);
    Mark(6);
    return good;
}

bool RssLife::SparseLife() {
    if (!Fill()) return false;
    Mark(0);
    FreeMost();
    Mark(1);
    if (!LightUse(kSparseUseSeconds)) return false;
    Mark(2);
    FreeAll();
    Mark(3);
    malloc_trim(0);
    Mark(4);
    return true;
}

bool RssLife::Run(int /*thread*/) {
    baseline_kib_ = ResidentKib();
    begin_ns_ = Nanoseconds(CLOCK_MONOTONIC);
    next_look_ns_ = begin_ns_;
    if (life_ == Life::kIdle) return IdleLife();
    if (life_ == Life::kPool) return PoolLife();
    return SparseLife();
}

std::map<std::string, double> RssLife::figures() const {
    std::map<std::string, double> out = {{"live_mb", live_bytes_ / kMb}};
    const std::vector<Moment> &moments = MomentsOf(life_);
    for (std::size_t i = 0; i < moments.size(); ++i) {
        out[std::string("moment_") + moments[i].name] = moments_[i] / kKibPerMb;
        out[std::string("at_") + moments[i].name] = moment_ms_[i];
    }
    for (std::size_t i = 0; i < sample_count_; ++i) {
        char name[32];
        std::snprintf(name, sizeof(name), "sample_%06.0f", samples_[i].ms);
        out[name] = samples_[i].kib / kKibPerMb;
    }
    return out;
}

} // namespace hak_bench
