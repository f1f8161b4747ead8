// A clock for single calls, and a histogram of what it showed.
#ifndef HAKMEM_BENCH_TICKS_H_
#define HAKMEM_BENCH_TICKS_H_

#include <time.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace hak_bench {

// The processor's own counter where there is one, else nanoseconds. What was begun before it is
// done when it is read.
inline std::uint64_t Ticks() {
#if defined(__x86_64__)
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
#else
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
#endif
}

// Counts of ticks in places that are a sixteenth of a power of two wide: a percentile is at most
// 6 % above what it says. Adding calls no malloc.
class TickHistogram {
  public:
    void Add(std::uint64_t ticks) {
        ++counts_[PlaceOf(ticks)];
        ++total_;
        most_ = std::max(most_, ticks);
    }
    void Add(const TickHistogram &other) {
        for (std::size_t i = 0; i < kPlaces; ++i) counts_[i] += other.counts_[i];
        total_ += other.total_;
        most_ = std::max(most_, other.most_);
    }

    // The fewest ticks that a share of all do not exceed (0 < share <= 1), rounded up to the end of
    // its place; 0 when there are none.
    std::uint64_t Percentile(double share) const {
        const auto wanted = static_cast<double>(total_) * share;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kPlaces; ++i) {
            seen += counts_[i];
            if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(EndOf(i), most_);
        }
        return most_;
    }
    std::uint64_t most() const { return most_; }
    std::uint64_t total() const { return total_; }

  private:
    static constexpr int kFineBits = 4;
    static constexpr std::uint64_t kFine = std::uint64_t{1} << kFineBits;
    static constexpr std::size_t kPlaces = (64 - kFineBits + 1) * kFine;

    // Below kFine a place a tick; then kFine places a power of two.
    static std::size_t PlaceOf(std::uint64_t ticks) {
        if (ticks < kFine) return ticks;
        const int shift = 63 - __builtin_clzll(ticks) - kFineBits;
        return (static_cast<std::size_t>(shift) + 1) * kFine + ((ticks >> shift) - kFine);
    }
    static std::uint64_t EndOf(std::size_t place) {
        if (place < kFine) return place;
        const std::size_t shift = place / kFine - 1;
        return ((kFine + place % kFine + 1) << shift) - 1;
    }

    std::array<std::uint64_t, kPlaces> counts_{};
    std::uint64_t total_ = 0;
    std::uint64_t most_ = 0;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_TICKS_H_
