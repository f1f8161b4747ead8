#include "bench/harness/table.h"

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(Table, AlignsTheFirstColumnLeftAndTheOthersRight) {
    Table table({"name", "ns"});
    table.AddRow({"a", "1.25"});
    table.AddRow({"longer", "10"});
    EXPECT_EQ(table.ToString(), "  name      ns\n"
                                "  a       1.25\n"
                                "  longer    10\n");
}

TEST(Table, CountsADashOfThreeBytesAsOneColumn) {
    Table table({"x", "1–2"});
    table.AddRow({"y", "345"});
    EXPECT_EQ(table.ToString(), "  x  1–2\n  y  345\n");
}

TEST(Table, FillsShortRowsAndLeavesNoSpacesAtTheEnd) {
    Table table({"x", "yyy"});
    table.AddRow({"z"});
    EXPECT_EQ(table.ToString(), "  x  yyy\n  z\n");
}

} // namespace
} // namespace hak_bench
