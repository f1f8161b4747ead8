#include "bench/profile_report.h"

#include <cerrno>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

Row RowOf(const std::string &name) {
    Row row;
    row.allocator.name = name;
    row.rounds.resize(1);
    row.rounds[0].values = {{"operations", 1000},       {"start_us", 2500},
                            {"start_kib", 4608},        {"start_faults", 321},
                            {"hardware_error", ENOENT}, {"syscalls_error", EACCES}};
    return row;
}

TEST(ProfileReport, SaysWhatIsNotAvailableAndWhy) {
    const std::string text = ProfileReport({{"a", "a case", {}, true}, {RowOf("system")}, ""});
    for (const char *part : {"a case\n", "321       2.5       4.5      0.0 ",
                             "  system calls: not available (Permission denied)\n",
                             "  hardware counters: not available (No such file or directory)\n"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " not in\n" << text;
    }
}

TEST(ProfileReport, ShowsTheCountsThatAreThere) {
    Row row = RowOf("hakmem");
    row.rounds[0].values["hardware_cycles"] = 15000;
    row.rounds[0].values["syscalls_mmap"] = 7;
    const std::string text = ProfileReport({{"a", "a case", {}, true}, {row, RowOf("other")}, ""});
    EXPECT_NE(text.find("15.000"), std::string::npos) << text;
    EXPECT_NE(text.find("mmap"), std::string::npos) << text;
    EXPECT_NE(text.find("other              not available"), std::string::npos) << text;
    EXPECT_EQ(text.find("L1d"), std::string::npos) << text;
}

} // namespace
} // namespace hak_bench
