#include "bench/maps_workload.h"

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(Maps, RunWholeRounds) {
    Maps workload({{"cycles", 30'000}, {"threads", 2}, {"seed", 1}});
    EXPECT_TRUE(RunAllSteps(&workload, 2));
    EXPECT_EQ(workload.operations(), 2 * 40'000);
}

} // namespace
} // namespace hak_bench
