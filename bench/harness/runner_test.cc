#include "bench/harness/runner.h"

#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

using Order = std::vector<std::size_t>;

TEST(OrderInRound, RotatesByOneFromRoundToRound) {
    EXPECT_EQ(OrderInRound(3, 0), (Order{0, 1, 2}));
    EXPECT_EQ(OrderInRound(3, 1), (Order{1, 2, 0}));
    EXPECT_EQ(OrderInRound(3, 2), (Order{2, 0, 1}));
    EXPECT_EQ(OrderInRound(3, 3), (Order{0, 1, 2}));
}

TEST(OrderInRound, OneAllocatorIsAlwaysFirst) { EXPECT_EQ(OrderInRound(1, 7), (Order{0})); }

} // namespace
} // namespace hak_bench
