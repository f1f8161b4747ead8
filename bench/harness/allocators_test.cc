#include "bench/harness/allocators.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

// A readable file: what is in it does not matter before it is preloaded.
std::string SomeFile(const std::string &name = "some.so") {
    std::string path = ::testing::TempDir() + "/" + name;
    std::ofstream(path) << "not a library";
    return path;
}

TEST(ResolveAllocators, SystemHasNothingToPreload) {
    const AllocatorList list = ResolveAllocators("system");
    EXPECT_EQ(list.error, "");
    ASSERT_EQ(list.found.size(), 1U);
    EXPECT_EQ(list.found[0].name, "system");
    EXPECT_EQ(list.found[0].path, "");
}

TEST(ResolveAllocators, KeepsTheOrderOfTheList) {
    const std::string path = SomeFile();
    const AllocatorList list = ResolveAllocators("mine=" + path + ",system,hakmem=" + path);
    EXPECT_EQ(list.error, "");
    ASSERT_EQ(list.found.size(), 3U);
    EXPECT_EQ(list.found[0].name, "mine");
    EXPECT_EQ(list.found[1].name, "system");
    EXPECT_EQ(list.found[2].name, "hakmem");
    EXPECT_EQ(list.found[2].path, path);
}

TEST(ResolveAllocators, RefusesWhatItCannotRun) {
    for (const char *bad : {"", "system,", ",system", "nosuch", "mine=/no/such/file.so",
                            "mine=", "mine=/tmp", "system,system", "system=/dev/null"}) {
        EXPECT_NE(ResolveAllocators(bad).error, "") << bad;
    }
}

TEST(ResolveAllocators, RefusesPathsThatLdPreloadWouldSplit) {
    const AllocatorList list = ResolveAllocators("mine=" + SomeFile("a b.so"));
    EXPECT_NE(list.error.find("space"), std::string::npos) << list.error;
}

TEST(ResolveAllocators, TakesRelativePathsFromWhereTheUserStands) {
    const std::string path = SomeFile();
    ASSERT_EQ(setenv("BUILD_WORKING_DIRECTORY", ::testing::TempDir().c_str(), 1), 0);
    const AllocatorList list = ResolveAllocators("mine=some.so");
    unsetenv("BUILD_WORKING_DIRECTORY");
    EXPECT_EQ(list.error, "");
    ASSERT_EQ(list.found.size(), 1U);
    EXPECT_EQ(list.found[0].path.front(), '/');
}

} // namespace
} // namespace hak_bench
