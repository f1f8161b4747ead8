#include "bench/harness/probe.h"

#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace hak_bench {
namespace {

TEST(Probe, SeesMemoryThatIsTouched) {
    constexpr std::size_t kBytes = std::size_t{64} << 20;
    constexpr double kKib = 1024;
    const double before = ResidentKib();
    const Usage usage_before = ProcessUsage();
    ASSERT_GT(before, 0);
    {
        const std::vector<char> block(kBytes, 1);
        ASSERT_EQ(block[kBytes / 2], 1);
        EXPECT_GE(ResidentKib() - before, kBytes / kKib / 2);
        EXPECT_GT(ProcessUsage().faults, usage_before.faults);
    }
    EXPECT_GE(PeakResidentKib() - before, kBytes / kKib / 2);
}

TEST(Probe, NamesTheFileOfMalloc) { EXPECT_NE(MallocPath(), ""); }

} // namespace
} // namespace hak_bench
