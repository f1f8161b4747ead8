#include "bench/store_workload.h"

#include <cstdint>

#include "bench/run_steps.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Params SmallParams(Store store, std::int64_t threads) {
    return {{"store", static_cast<std::int64_t>(store)},      {"bytes", 1024 * 1024}, {"slots", 8},
            {"cycles", store == Store::kBuffers ? 20 : 3000}, {"threads", threads},   {"seed", 1}};
}

TEST(Stores, RunAllTheirSteps) {
    for (const Store store :
         {Store::kCache, Store::kReplace, Store::kBuffers, Store::kWritten, Store::kLarge}) {
        Stores workload(SmallParams(store, 2));
        EXPECT_TRUE(RunAllSteps(&workload, 2));
    }
}

TEST(Stores, CountPairs) {
    EXPECT_EQ(Stores(SmallParams(Store::kCache, 1)).operations(), 2 * 3000);
    EXPECT_EQ(Stores(SmallParams(Store::kReplace, 1)).operations(), 3000);
    EXPECT_EQ(Stores(SmallParams(Store::kBuffers, 1)).operations(), 2 * 20);
    EXPECT_EQ(Stores(SmallParams(Store::kWritten, 1)).operations(), 2 * 3000);
}

TEST(Stores, HoldABlockThoughItIsLargerThanTheQueue) {
    Params params = SmallParams(Store::kCache, 1);
    params["bytes"] = 1;
    Stores workload(params);
    EXPECT_TRUE(RunAllSteps(&workload, 1));
}

} // namespace
} // namespace hak_bench
