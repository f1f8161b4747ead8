#include "bench/random_mixed_workload.h"

#include <thread>
#include <vector>

#include "bench/harness/bench.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(std::int64_t threads) {
    return {{"cycles", 20000}, {"threads", threads}, {"seed", 1},
            {"ws", 100},       {"min_size", 1},      {"max_size", 300}};
}

void AllSteps(Workload *workload, int thread) {
    workload->Prepare(thread);
    workload->WarmUp(thread);
    EXPECT_TRUE(workload->Run(thread));
    workload->Release(thread);
    workload->RunEmpty(thread);
}

TEST(RandomMixed, RunsAllItsStepsOnOneThread) {
    RandomMixed workload(SmallParams(1));
    AllSteps(&workload, 0);
    EXPECT_EQ(workload.operations(), 20000);
}

TEST(RandomMixed, ThreadsShareNothing) {
    constexpr int kThreads = 4;
    RandomMixed workload(SmallParams(kThreads));
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(AllSteps, &workload, i);
    for (std::thread &thread : threads) thread.join();
}

TEST(RandomMixed, OneSlotAndOneSizeAreEnough) {
    RandomMixed workload(
        {{"cycles", 1}, {"threads", 1}, {"seed", 0}, {"ws", 1}, {"min_size", 1}, {"max_size", 1}});
    AllSteps(&workload, 0);
}

} // namespace
} // namespace hak_bench
