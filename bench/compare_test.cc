// Runs the program as a user does: not how fast anything is, but that the tables' arithmetic holds.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "bench/harness/json_check.h"
#include "bench/run_bench.h"
#include "gtest/gtest.h"

namespace {

using hak_bench::Outcome;

constexpr char kTiny[] = "--allocators=hakmem,system --rounds=1 --shrink=5000 ";

Outcome RunBench(const std::string &flags, const char *redirect = "2>&1") {
    return hak_bench::RunBench("compare", flags, redirect);
}

// Cells are two or more spaces apart.
std::vector<std::string> CellsOf(const std::string &line) {
    std::vector<std::string> cells;
    for (std::size_t at = line.find_first_not_of(' '); at != std::string::npos;) {
        const std::size_t end = std::min(line.find("  ", at), line.size());
        cells.push_back(line.substr(at, end - at));
        at = line.find_first_not_of(' ', end);
    }
    return cells;
}

// "1.5 µs" in ns, "3.4" as it is.
double ValueOf(const std::string &cell) {
    const double value = std::strtod(cell.c_str(), nullptr);
    if (cell.find(" µs") != std::string::npos) return value * 1e3;
    if (cell.find(" ms") != std::string::npos) return value * 1e6;
    return value;
}

// Half of the last decimal of a cell is all that it may be off by.
double RoundingOf(const std::string &cell) { return 0.06 / std::strtod(cell.c_str(), nullptr); }

TEST(Compare, TablesAddUp) {
    const Outcome outcome = RunBench(kTiny, "2>/dev/null");
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    int rows = 0;
    int means = 0;
    double logarithms = 0;
    int table_rows = 0;
    std::istringstream in(outcome.output);
    for (std::string line; std::getline(in, line);) {
        double mean = 0;
        int counted = 0;
        if (std::sscanf(line.c_str(), "Geometric mean of the ratios: %lf over %d", &mean,
                        &counted) == 2) {
            EXPECT_EQ(counted, table_rows);
            EXPECT_NEAR(std::log(mean), logarithms / table_rows, 0.05) << line;
            ++means;
            table_rows = 0;
            logarithms = 0;
        }
        const std::vector<std::string> cells = CellsOf(line);
        if (cells.size() != 6 || cells[3] != "system") continue;
        const double ratio = std::strtod(cells[4].c_str(), nullptr);
        const double expected = ValueOf(cells[2]) / ValueOf(cells[1]);
        EXPECT_NEAR(ratio / expected, 1,
                    RoundingOf(cells[1]) + RoundingOf(cells[2]) + 0.006 / ratio)
            << line;
        logarithms += std::log(ratio);
        ++table_rows;
        ++rows;
    }
    EXPECT_EQ(means, 2) << "one of time, one of memory\n" << outcome.output;
    EXPECT_GT(rows, 60) << outcome.output;
}

TEST(Compare, WritesJsonBesideTheTables) {
    const std::string path = ::testing::TempDir() + "/compare.json";
    const Outcome outcome =
        RunBench(std::string(kTiny) + "--rows=lifo,mixed.256 --quick --json=" + path);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_NE(outcome.output.find("LIFO, 64 B"), std::string::npos) << outcome.output;
    EXPECT_EQ(outcome.output.find("8192 slots"), std::string::npos) << outcome.output;
    std::ifstream file(path);
    const std::string json{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    EXPECT_TRUE(hak_bench::IsJson(json)) << json;
    for (const char *key : {"\"compare\"", "\"geometric_mean\"", "\"mixed.256\"", "\"lifo.64\""}) {
        EXPECT_NE(json.find(key), std::string::npos) << key;
    }
}

TEST(Compare, RefusesBadFlagsWithOneLineAndExitCode2) {
    for (const char *flags :
         {"--rows=nosuch", "--rows=mixed,nosuch", "--rows=", "--shrink=0", "--quick=perhaps",
          "--json=/no/such/directory/file", "--allocators=mine=/no/such.so", "word"}) {
        const Outcome outcome = RunBench(flags);
        EXPECT_EQ(outcome.exit_code, 2) << flags;
        EXPECT_EQ(outcome.output.find('\n'), outcome.output.size() - 1) << outcome.output;
        EXPECT_EQ(outcome.output.rfind("compare: ", 0), 0U) << outcome.output;
    }
}

} // namespace
