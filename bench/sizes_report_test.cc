#include "bench/sizes_report.h"

#include <cstddef>
#include <string>
#include <vector>

#include "bench/sizes_workload.h"
#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(CliffsOf, NamesTheDearSideOfAJumpUpOrDown) {
    const std::vector<std::size_t> sizes = {16, 20, 24, 28, 32};
    const std::vector<Cliff> cliffs = CliffsOf(sizes, {5, 16, 14, 4, 4});
    ASSERT_EQ(cliffs.size(), 2U);
    EXPECT_EQ(cliffs[0].size, 20U);
    EXPECT_EQ(cliffs[0].neighbour, 16U);
    EXPECT_EQ(cliffs[1].size, 24U);
    EXPECT_EQ(cliffs[1].neighbour, 28U);
}

TEST(CliffsOf, ThreeTimesIsNoCliffYet) { EXPECT_TRUE(CliffsOf({16, 20}, {5, 15}).empty()); }

TEST(SizeName, TakesTheUnitThatFits) {
    EXPECT_EQ(SizeName(80), "80 B");
    EXPECT_EQ(SizeName(48 << 10), "48 KiB");
    EXPECT_EQ(SizeName(1280), "1.25 KiB");
    EXPECT_EQ(SizeName(28 << 20), "28 MiB");
}

// An allocator whose pairs take `ns` at every size but 24, where they take `ns_at_24`.
Row RowOf(const std::string &name, double ns, double ns_at_24) {
    Row row;
    row.allocator.name = name;
    row.rounds.resize(1);
    for (const std::size_t size : SweepSizes(32)) {
        for (const Pairs pairs : {Pairs::kLifo, Pairs::kBatch}) {
            row.rounds[0].values[SweepFigure(pairs, size)] = size == 24 ? ns_at_24 : ns;
        }
    }
    return row;
}

TEST(SweepReport, SaysWhereHakmemIsBehindAndWhoHasCliffs) {
    CaseSummary summary{{"sweep", "a sweep", {{"max_size", 32}}, true}, {}, ""};
    summary.rows = {RowOf("hakmem", 4, 40), RowOf("system", 8, 10)};
    const std::string text = SweepReport(summary);
    for (const char *part :
         {"a sweep, one block at a time", "a sweep, 16 blocks at a time", "of best peer",
          "at 4 of 5 sizes; furthest behind at 24 B (0.25 of system's speed).",
          "cliffs of hakmem: 24 B (40.0 ns; 20 B: 4.0)", "cliffs of system: none"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " not in\n" << text;
    }
}

} // namespace
} // namespace hak_bench
