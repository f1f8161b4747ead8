// Rss: what stays resident through a program's life. The process looks at itself every 100 ms and
// at the moments that the life names; no look calls malloc.
#ifndef HAKMEM_BENCH_RSS_WORKLOAD_H_
#define HAKMEM_BENCH_RSS_WORKLOAD_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/harness/bench.h"

namespace hak_bench {

enum class Life : std::int64_t {
    kIdle,   // all is freed, then no call for 2 s, then light use for 9 s
    kPool,   // twenty threads in turn allocate, free and stay
    kSparse, // a random 90 % is freed, light use for 2 s, then all is freed
};

// A look that a column of the table shows.
struct Moment {
    const char *name;  // of the figure, after "moment_"
    const char *title; // of the column
};

// The moments of a life, in their order. The first is when the blocks of figure live_mb are held,
// the last after malloc_trim(0).
const std::vector<Moment> &MomentsOf(Life life);

// What a thread of kPool, and the other lives, hold when full, in bytes.
std::int64_t BytesOf(Life life);

// Params: life, bytes (BytesOf, or less), shorten (times and threads are divided by it), threads
// (1), seed. Figures, MB (2^20 bytes) above what was resident before: moment_NAME, sample_MS (at so
// many ms of the life), live_mb (sizes that were asked for, when full); at_NAME, ms of the life.
class RssLife : public Workload {
  public:
    explicit RssLife(const Params &params);
    ~RssLife() override;

    void Prepare(int thread) override;
    void WarmUp(int /*thread*/) override {}
    bool Run(int thread) override;
    void Release(int /*thread*/) override {}
    void RunEmpty(int /*thread*/) override {}
    double operations() const override { return operations_; }
    std::map<std::string, double> figures() const override;

  private:
    struct Sample {
        double ms;
        double kib;
    };

    bool IdleLife();
    bool PoolLife();
    bool SparseLife();

    bool Fill();
    // Frees each block, or a random 90 % of them.
    void FreeAll();
    void FreeMost();
    void Rest(double seconds);
    bool LightUse(double seconds);

    void Look(double *kib);
    void LookIfTime();
    void Mark(std::size_t moment);

    const Life life_;
    const double bytes_;
    const double shorten_;
    const std::uint64_t seed_;
    std::uint64_t count_ = 0; // blocks that make up bytes_
    double live_bytes_ = 0;   // in them
    double operations_ = 0;
    char **blocks_ = nullptr;   // mapped, count_ of them
    char **in_use_ = nullptr;   // mapped, the slots of light use
    Sample *samples_ = nullptr; // mapped
    std::size_t sample_count_ = 0;
    double begin_ns_ = 0;
    double next_look_ns_ = 0;
    double baseline_kib_ = 0;
    std::vector<double> moments_;   // KiB, by place in MomentsOf(life_)
    std::vector<double> moment_ms_; // after the beginning
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_RSS_WORKLOAD_H_
