#include "bench/compare_cases.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/cross_thread_workload.h"
#include "bench/fresh_workload.h"
#include "bench/maps_workload.h"
#include "bench/patterns_workload.h"
#include "bench/program_workload.h"
#include "bench/random_mixed_workload.h"
#include "bench/realloc_workload.h"
#include "bench/rss_workload.h"
#include "bench/shared_lines_workload.h"
#include "bench/sizes_workload.h"
#include "bench/store_workload.h"
#include "bench/thread_churn_workload.h"
#include "bench/trees_workload.h"
#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr std::int64_t kKib = 1024;
constexpr std::int64_t kMib = 1024 * kKib;

enum class Kind : std::int64_t {
    kMixed,
    kPatterns,
    kTrees,
    kSizes,
    kRealloc,
    kFresh,
    kCross,
    kLines,
    kChurn,
    kStore,
    kMaps,
    kLife,
    kProgram,
};

// Adds rows; cycles are those of a whole run.
class Rows {
  public:
    explicit Rows(std::int64_t shrink) : shrink_(shrink) {}

    void Add(Kind kind, const std::string &name, const std::string &title, std::int64_t cycles,
             Params params) {
        params["kind"] = static_cast<std::int64_t>(kind);
        params["cycles"] = Shrunk(cycles);
        params.emplace("threads", 1);
        params.emplace("calls_a_unit", 2);
        cases_.push_back({name, title, std::move(params)});
    }
    std::int64_t Shrunk(std::int64_t amount) const {
        return std::max<std::int64_t>(amount / shrink_, 1);
    }
    std::int64_t shrink() const { return shrink_; }
    std::vector<Case> &cases() { return cases_; }

  private:
    const std::int64_t shrink_;
    std::vector<Case> cases_;
};

template <class Enum> std::int64_t Number(Enum value) { return static_cast<std::int64_t>(value); }

void AddSingleThread(Rows *rows) {
    const auto mixed = [&](const std::string &name, const std::string &title, std::int64_t cycles,
                           std::int64_t slots, std::int64_t min_size, std::int64_t max_size,
                           std::int64_t threads) {
        rows->Add(
            Kind::kMixed, "mixed." + name, title, cycles,
            {{"ws", slots}, {"min_size", min_size}, {"max_size", max_size}, {"threads", threads}});
    };
    mixed("256", "mixed, 256 slots, 16–1040 B", 8'000'000, 256, 16, 1040, 1);
    mixed("8192", "mixed, 8192 slots, 16–1040 B", 8'000'000, 8192, 16, 1040, 1);
    mixed("65536", "mixed, 65536 slots, 16–1040 B", 6'000'000, 65536, 16, 1040, 1);
    mixed("8192_2", "mixed, 8192 slots, two threads", 6'000'000, 8192, 16, 1040, 2);
    mixed("tiny", "tiny hot, 256 slots, 8–128 B", 8'000'000, 256, 8, 128, 1);
    mixed("1k_256k", "mixed, 256 slots, 1–256 KiB", 500'000, 256, kKib, 256 * kKib, 1);
    mixed("4k_128k", "mixed, 256 slots, 4–128 KiB", 500'000, 256, 4 * kKib, 128 * kKib, 1);
    const auto pattern = [&](Order order, const std::string &name, const std::string &title,
                             std::int64_t cycles, std::int64_t blocks, std::int64_t min_size,
                             std::int64_t max_size) {
        rows->Add(Kind::kPatterns, name, title, cycles,
                  {{"order", Number(order)},
                   {"blocks", blocks},
                   {"min_size", min_size},
                   {"max_size", max_size}});
    };
    pattern(Order::kLifo, "lifo.64", "LIFO, 64 B", 20'000'000, 1, 64, 64);
    pattern(Order::kLifo, "lifo.16_1024", "LIFO, 16–1024 B", 10'000'000, 1, 16, 1024);
    pattern(Order::kBatch, "batch.100", "batches of 100, 16–512 B", 10'000'000, 100, 16, 512);
    pattern(Order::kBatch, "batch.10000", "batches of 10,000, 16–512 B", 8'000'000, 10'000, 16,
            512);
    pattern(Order::kFifo, "fifo.1000", "FIFO of 1000, 16–512 B", 10'000'000, 1000, 16, 512);
    pattern(Order::kFifo, "fifo.50000", "FIFO of 50,000, 16–512 B", 5'000'000, 50'000, 16, 512);
    pattern(Order::kFifo, "fifo.500000", "FIFO of 500,000, 16–512 B", 3'000'000, 500'000, 16, 512);
    const std::int64_t once = rows->Shrunk(50'000);
    pattern(Order::kOnce, "once.order", "50,000 blocks, freed once, 16–512 B", 50'000, once, 16,
            512);
    pattern(Order::kOnceShuffled, "once.random", "50,000 blocks, freed once, at random", 50'000,
            once, 16, 512);
    pattern(Order::kCalloc, "calloc.16_512", "calloc, 16–512 B", 10'000'000, 1, 16, 512);
    pattern(Order::kCalloc, "calloc.64k", "calloc, 1–64 KiB", 300'000, 1, kKib, 64 * kKib);
    rows->Add(Kind::kTrees, "trees.8191", "trees of 8191 nodes of 32 B", 8'000'000,
              {{"depth", 12}, {"node_bytes", 32}});
    rows->Add(Kind::kTrees, "trees.262143", "trees of 262,143 nodes of 32 B", 5'000'000,
              {{"depth", 17}, {"node_bytes", 32}});
    rows->Add(Kind::kSizes, "sizes.sweep", "sizes 16 B to 32 MiB, mean", 1,
              {{"span_us", rows->Shrunk(1000)}, {"max_size", 32 * kMib}});
}

void AddStoresAndMaps(Rows *rows) {
    const auto store = [&](Store way, const std::string &name, const std::string &title,
                           std::int64_t cycles, std::int64_t bytes, std::int64_t slots,
                           std::int64_t threads) {
        rows->Add(Kind::kStore, "store." + name, title, cycles,
                  {{"store", Number(way)},
                   {"bytes", rows->Shrunk(bytes)},
                   {"slots", slots},
                   {"threads", threads}});
    };
    store(Store::kCache, "cache", "a cache of 100 MB, oldest out", 1'000'000, 100 * kMib, 0, 1);
    store(Store::kCache, "cache_4", "four threads, caches of 100 MB", 400'000, 100 * kMib, 0, 4);
    store(Store::kReplace, "replace", "16 B to 1 MiB, most of them small", 2'000'000, 0, 8192, 1);
    store(Store::kReplace, "replace_4", "four threads, 16 B to 1 MiB", 800'000, 0, 4096, 4);
    store(Store::kBuffers, "buffers", "20 buffers of 5–25 MiB", 500, 0, 20, 1);
    store(Store::kLarge, "large", "500 blocks of 1–2 MiB, replaced", 50'000, 0, 500, 1);
    store(Store::kWritten, "written", "100 blocks of 64 KiB–1 MiB, written whole", 5'000, 0, 100,
          1);
    store(Store::kWritten, "written_4", "four threads, 64 KiB–1 MiB written whole", 2'000, 0, 25,
          4);
    rows->Add(Kind::kMaps, "maps.1", "maps, lists and strings", 600'000, {});
    rows->Add(Kind::kMaps, "maps.4", "maps, lists and strings, four threads", 200'000,
              {{"threads", 4}});
}

void AddReallocAndFresh(Rows *rows) {
    const auto resize = [&](Resize way, const std::string &name, const std::string &title,
                            std::int64_t cycles) {
        rows->Add(Kind::kRealloc, "realloc." + name, title, cycles,
                  {{"resize", Number(way)}, {"calls_a_unit", 1}});
    };
    // Whole growths: half of one would never see the larger sizes.
    resize(Resize::kGrow, "grow", "realloc, 4 KiB to 64 MiB by eighths",
           std::max(4 * StepsOf(Resize::kGrow), rows->shrink() * StepsOf(Resize::kGrow)));
    resize(Resize::kDouble, "double", "realloc, vectors that double", 1'000'000);
    resize(Resize::kShrink, "shrink", "realloc, 64 KiB to 64 B by eighths", 2'000'000);
    resize(Resize::kSame, "same", "realloc, the same size", 5'000'000);
    const auto fresh = [&](const std::string &name, const std::string &title, std::int64_t min_size,
                           std::int64_t max_size, std::int64_t zeroed) {
        rows->Add(Kind::kFresh, "fresh." + name, title, 1,
                  {{"bytes", rows->Shrunk(256 * kMib)},
                   {"min_size", min_size},
                   {"max_size", max_size},
                   {"zeroed", zeroed},
                   {"calls_a_unit", 1}});
    };
    fresh("malloc_16_400", "fresh memory, malloc, 16–400 B", 16, 400, 0);
    fresh("malloc_4k_64k", "fresh memory, malloc, 4–64 KiB", 4 * kKib, 64 * kKib, 0);
    fresh("calloc_16_400", "fresh memory, calloc, 16–400 B", 16, 400, 1);
    fresh("calloc_4k_64k", "fresh memory, calloc, 4–64 KiB", 4 * kKib, 64 * kKib, 1);
}

void AddCrossThread(Rows *rows) {
    struct Way {
        Pattern pattern;
        const char *name;
        std::int64_t longer; // some ways are faster
    };
    struct Sizes {
        const char *name;
        const char *title;
        std::int64_t min_size;
        std::int64_t max_size;
        std::int64_t cycles;
    };
    const auto add = [&](const Way &way, const Sizes &sizes, std::int64_t threads) {
        rows->Add(Kind::kCross, absl::StrFormat("cross.%s_%s_%d", way.name, sizes.name, threads),
                  absl::StrFormat("%s, %d thread%s, %s", way.name, threads, threads == 1 ? "" : "s",
                                  sizes.title),
                  way.longer * sizes.cycles / threads,
                  {{"pattern", Number(way.pattern)},
                   {"min_size", sizes.min_size},
                   {"max_size", sizes.max_size},
                   {"threads", threads}});
    };
    const Sizes small = {"16_512", "16–512 B", 16, 512, 6'000'000};
    const Sizes sixty_four = {"64", "64 B", 64, 64, 6'000'000};
    const Sizes medium = {"4k_64k", "4–64 KiB", 4 * kKib, 64 * kKib, 500'000};
    for (const Way &way :
         {Way{Pattern::kOneWay, "one-way", 1}, Way{Pattern::kSymmetric, "symmetric", 1},
          Way{Pattern::kRing, "ring", 1}, Way{Pattern::kExchange, "exchange", 3}}) {
        for (const Sizes &sizes : {small, sixty_four, medium}) add(way, sizes, 2);
        for (const std::int64_t threads : {1, 4, 8}) add(way, small, threads);
    }
    for (const std::int64_t size : {8, 32}) {
        for (const bool scratch : {false, true}) {
            rows->Add(Kind::kLines,
                      absl::StrFormat("lines.%s_%d", scratch ? "scratch" : "thrash", size),
                      absl::StrFormat("cache-%s, two threads, %d B", scratch ? "scratch" : "thrash",
                                      size),
                      500'000,
                      {{"sharing", Number(scratch ? Sharing::kScratch : Sharing::kThrash)},
                       {"size", size},
                       {"writes", 100},
                       {"threads", 2}});
        }
    }
}

void AddChurnAndLives(Rows *rows) {
    const auto churn = [&](Churn way, const std::string &name, const std::string &title,
                           std::int64_t cycles, std::int64_t blocks, std::int64_t replaced,
                           std::int64_t min_size, std::int64_t max_size) {
        rows->Add(Kind::kChurn, "churn." + name, title, cycles,
                  {{"churn", Number(way)},
                   {"blocks", blocks},
                   {"replaced", replaced},
                   {"min_size", min_size},
                   {"max_size", max_size},
                   {"threads", 2}});
    };
    churn(Churn::kGenerations, "generations_16_512", "thread generations, 16–512 B", 3'000'000,
          4096, 2048, 16, 512);
    churn(Churn::kGenerations, "generations_4k_64k", "thread generations, 4–64 KiB", 200'000, 256,
          128, 4 * kKib, 64 * kKib);
    churn(Churn::kLives, "lives_16_512", "thread lives of 100 blocks, 16–512 B", 400'000, 100, 100,
          16, 512);
    churn(Churn::kLives, "lives_4k_64k", "thread lives of 100 blocks, 4–64 KiB", 200'000, 100, 100,
          4 * kKib, 64 * kKib);
    struct Kept {
        Life life;
        const char *name;
        const char *title;
    };
    // A whole life takes up to 13 seconds: a quarter is enough to see what stays.
    const std::int64_t shorten = std::min<std::int64_t>(4 * rows->shrink(), 1000);
    for (const Kept &kept : {Kept{Life::kIdle, "idle", "a life: all freed, idle, light use"},
                             Kept{Life::kPool, "pool", "a life: twenty threads in turn"},
                             Kept{Life::kSparse, "sparse", "a life: a random 90 % freed"}}) {
        rows->Add(Kind::kLife, std::string("rss.") + kept.name, kept.title, 1,
                  {{"life", Number(kept.life)},
                   {"bytes", BytesOf(kept.life) / shorten},
                   {"shorten", shorten}});
    }
}

std::vector<std::string> AddPrograms(Rows *rows) {
    std::vector<std::string> missing;
    const std::vector<Program> &programs = Programs();
    for (std::size_t i = 0; i < programs.size(); ++i) {
        if (FindProgram(programs[i].name).empty()) {
            missing.emplace_back(programs[i].name);
            continue;
        }
        rows->Add(Kind::kProgram, std::string("program.") + programs[i].name, programs[i].title,
                  programs[i].steps, {{"program", static_cast<std::int64_t>(i)}});
    }
    return missing;
}

std::unique_ptr<Workload> MakeInner(const Params &params) {
    switch (static_cast<Kind>(params.at("kind"))) {
    case Kind::kMixed:
        return std::make_unique<RandomMixed>(params);
    case Kind::kPatterns:
        return std::make_unique<Patterns>(params);
    case Kind::kTrees:
        return std::make_unique<Trees>(params);
    case Kind::kSizes:
        return std::make_unique<SizeSweep>(params);
    case Kind::kRealloc:
        return std::make_unique<Reallocs>(params);
    case Kind::kFresh:
        return std::make_unique<FreshBlocks>(params);
    case Kind::kCross:
        return std::make_unique<CrossThread>(params);
    case Kind::kLines:
        return std::make_unique<SharedLines>(params);
    case Kind::kChurn:
        return std::make_unique<ThreadChurn>(params);
    case Kind::kStore:
        return std::make_unique<Stores>(params);
    case Kind::kMaps:
        return std::make_unique<Maps>(params);
    case Kind::kLife:
        return std::make_unique<RssLife>(params);
    case Kind::kProgram:
        return std::make_unique<ProgramRun>(params);
    }
    return nullptr;
}

// The figures whose name begins with `prefix` and a digit.
std::vector<double> FiguresOf(const std::map<std::string, double> &figures,
                              const std::string &prefix) {
    std::vector<double> out;
    for (const auto &[name, value] : figures) {
        if (name.rfind(prefix, 0) == 0 && name.find_first_of("0123456789") == prefix.size()) {
            out.push_back(value);
        }
    }
    return out;
}

// A workload, by the processor's time: with other work on the machine it holds better.
class Measured : public Workload {
  public:
    explicit Measured(const Params &params)
        : inner_(MakeInner(params)),
          // Of the two operations of a unit.
          weight_(2.0 / static_cast<double>(params.at("calls_a_unit"))),
          is_life_(static_cast<Kind>(params.at("kind")) == Kind::kLife),
          threads_(static_cast<std::size_t>(params.at("threads"))) {}

    void Prepare(int thread) override { inner_->Prepare(thread); }
    void WarmUp(int thread) override { inner_->WarmUp(thread); }
    bool Run(int thread) override {
        Clock clock(&threads_[static_cast<std::size_t>(thread)]);
        return inner_->Run(thread);
    }
    void Release(int thread) override { inner_->Release(thread); }
    void RunEmpty(int thread) override {
        Clock clock(&threads_[static_cast<std::size_t>(thread)]);
        inner_->RunEmpty(thread);
    }
    double operations() const override { return weight_ * inner_->operations(); }
    double worked_ns() const override {
        const double own = inner_->worked_ns();
        if (own > 0) return own;
        double sum = 0;
        for (const Thread &thread : threads_) sum += thread.worked_ns;
        return sum;
    }
    std::map<std::string, double> figures() const override;
    std::string failure() const override { return inner_->failure(); }

  private:
    struct alignas(64) Thread {
        double worked_ns = 0;
    };
    class Clock {
      public:
        explicit Clock(Thread *thread)
            : thread_(thread), begin_(Nanoseconds(CLOCK_THREAD_CPUTIME_ID)) {}
        ~Clock() { thread_->worked_ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin_; }

      private:
        Thread *thread_;
        double begin_;
    };

    const std::unique_ptr<Workload> inner_;
    const double weight_;
    const bool is_life_;
    std::vector<Thread> threads_;
};

std::map<std::string, double> Measured::figures() const {
    std::map<std::string, double> out = inner_->figures();
    std::vector<double> sizes = FiguresOf(out, "lifo_");
    for (const double ns : FiguresOf(out, "batch_")) sizes.push_back(ns);
    double logarithms = 0;
    for (const double ns : sizes) logarithms += std::log(ns);
    if (!sizes.empty()) out["unit_ns"] = std::exp(logarithms / static_cast<double>(sizes.size()));
    const std::vector<double> samples = FiguresOf(out, "sample_");
    double sum = 0;
    for (const double mb : samples) sum += mb;
    if (is_life_) out["mean_mb"] = samples.empty() ? 0 : sum / static_cast<double>(samples.size());
    return out;
}

} // namespace

CompareCases AllCompareCases(std::int64_t shrink) {
    Rows rows(shrink);
    AddSingleThread(&rows);
    AddStoresAndMaps(&rows);
    AddReallocAndFresh(&rows);
    AddCrossThread(&rows);
    AddChurnAndLives(&rows);
    CompareCases out;
    out.missing = AddPrograms(&rows);
    out.cases = std::move(rows.cases());
    return out;
}

std::string GroupOf(const Case &one) { return one.name.substr(0, one.name.find('.')); }

std::vector<std::string> GroupsOf(const std::vector<Case> &cases) {
    std::vector<std::string> groups;
    for (const Case &one : cases) {
        if (groups.empty() || groups.back() != GroupOf(one)) groups.push_back(GroupOf(one));
    }
    return groups;
}

std::unique_ptr<Workload> MakeCompareWorkload(const Params &params) {
    return std::make_unique<Measured>(params);
}

} // namespace hak_bench
