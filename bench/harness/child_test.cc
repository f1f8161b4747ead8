#include "bench/harness/child.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(ChildArguments, AreRecognisedAsAChilds) {
    std::vector<std::string> arguments = ChildArguments({{"ws", 256}}, "/lib/some.so", 5);
    arguments.insert(arguments.begin(), "program");
    std::vector<char *> pointers;
    pointers.reserve(arguments.size());
    for (std::string &argument : arguments) pointers.push_back(argument.data());
    EXPECT_TRUE(IsChild(static_cast<int>(pointers.size()), pointers.data()));
    EXPECT_FALSE(IsChild(1, pointers.data()));
}

TEST(ParseChildReport, ReadsValuesAndTextsWithSpaces) {
    const ChildResult result = ParseChildReport("v wall_ns 12.5\nt malloc_version jemalloc 5.3\n");
    EXPECT_EQ(result.values.at("wall_ns"), 12.5);
    EXPECT_EQ(result.texts.at("malloc_version"), "jemalloc 5.3");
}

TEST(ParseChildReport, LeavesOutEmptyTextsAndWhatItDoesNotKnow) {
    const ChildResult result = ParseChildReport("t error \nnonsense\n\n");
    EXPECT_TRUE(result.values.empty());
    EXPECT_TRUE(result.texts.empty());
}

} // namespace
} // namespace hak_bench
