#include "bench/maps_workload.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr std::uint64_t kElements = 20'000; // of a round, in each container
constexpr std::uint64_t kKeys = 50'000;     // of the ordered map
constexpr std::uint64_t kVectors = 5000;
constexpr std::uint64_t kName = 60; // bytes, at most
constexpr std::uint64_t kText = 200;
constexpr std::size_t kListed = 1000;
constexpr std::uint64_t kErased = 3; // one in so many

} // namespace

Maps::Maps(const Params &params)
    : rounds_((static_cast<std::uint64_t>(params.at("cycles")) + kElements - 1) / kElements),
      seed_(static_cast<std::uint64_t>(params.at("seed"))),
      threads_(static_cast<std::size_t>(params.at("threads"))) {}

double Maps::operations() const { return 2 * static_cast<double>(rounds_ * kElements); }

void Maps::Prepare(int thread) {
    // xorshift stays at zero for ever, so zero is no state.
    threads_[static_cast<std::size_t>(thread)].random =
        SplitMix(seed_ + (static_cast<std::uint64_t>(thread) << 32)) | 1;
}

void Maps::Round(Thread *thread) const {
    std::map<std::uint64_t, std::string> names;
    std::unordered_map<std::uint64_t, std::vector<int>> vectors;
    std::list<std::string> texts;
    std::uint64_t random = thread->random;
    const auto below = [&random](std::uint64_t bound) {
        random = NextRandom(random);
        return Below(random >> 32, bound);
    };
    for (std::uint64_t i = 0; i < kElements; ++i) {
        const std::uint64_t key = below(kKeys);
        names[key] = std::string(1 + below(kName), 'x');
        vectors[below(kVectors)].push_back(static_cast<int>(i));
        texts.emplace_back(below(kText), 'y');
        if (texts.size() > kListed) texts.pop_front();
        if (i % kErased == 0) names.erase(below(kKeys));
    }
    thread->left = names.size() + vectors.size() + texts.size();
    thread->random = random;
}

void Maps::WarmUp(int thread) { Round(&threads_[static_cast<std::size_t>(thread)]); }

bool Maps::Run(int thread) {
    Thread &own = threads_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < rounds_; ++i) Round(&own);
    return own.left != 0;
}

void Maps::Release(int /*thread*/) {}
void Maps::RunEmpty(int /*thread*/) {}

} // namespace hak_bench
