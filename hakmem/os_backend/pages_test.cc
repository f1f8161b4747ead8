/* HAKMEM_THP, HAKMEM_HUGETLB, HAKMEM_MLOCK: what the kernel says of the mappings. */
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "hakmem/config/config.h"
#include "hakmem/config/options.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/os_backend/pages.h"

namespace {

/* The line "VmFlags:" of the mapping around `address`. */
std::string FlagsOf(const void *address) {
    std::ifstream smaps("/proc/self/smaps");
    auto at = reinterpret_cast<uintptr_t>(address);
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        unsigned long begin = 0, end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
            inside = begin <= at && at < end;
        }
        if (inside && line.compare(0, 8, "VmFlags:") == 0) return line + " ";
    }
    return "";
}

bool Has(const std::string &flags, const char *flag) {
    return flags.find(std::string(" ") + flag + " ") != std::string::npos;
}

class Pages : public testing::Test {
  protected:
    void SetUp() override { saved_ = hak_options; }
    void TearDown() override {
        hak_options = saved_;
        EXPECT_TRUE(hak_os_release(base_, kBytes));
    }
    static constexpr size_t kBytes = 8 * MiB;

    char *Map() {
        base_ = static_cast<char *>(hak_os_reserve(kBytes, SUPERSLAB_BYTES));
        EXPECT_NE(base_, nullptr);
        return base_;
    }
    /* A use of it: pages come, go, and are zero then. */
    void Use() {
        std::memset(base_, 0x42, kBytes);
        ASSERT_TRUE(hak_os_purge(base_, 2 * MiB));
        EXPECT_EQ(base_[0] | base_[2 * MiB - 1], 0);
        EXPECT_EQ(base_[2 * MiB], 0x42);
    }

    char *base_ = nullptr;

  private:
    options saved_ = {};
};

TEST_F(Pages, AreOrdinaryByDefault) {
    std::string flags = FlagsOf(Map());
    ASSERT_NE(flags, "");
    for (const char *flag : {"hg", "nh", "lo", "ht"}) EXPECT_FALSE(Has(flags, flag)) << flags;
    Use();
}

TEST_F(Pages, AreHugeWhereThatIsAskedFor) {
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) {
        GTEST_SKIP() << "the kernel has no transparent huge pages";
    }
    hak_options.thp = THP_ALWAYS;
    EXPECT_TRUE(Has(FlagsOf(Map()), "hg"));
    Use();
}

TEST_F(Pages, AreNeverHugeWhereThatIsAskedFor) {
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) {
        GTEST_SKIP() << "the kernel has no transparent huge pages";
    }
    hak_options.thp = THP_NEVER;
    EXPECT_TRUE(Has(FlagsOf(Map()), "nh"));
    Use();
}

TEST_F(Pages, StayInRamWhereThatIsAskedForAndStillGoBack) {
    rlimit limit;
    ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    hak_options.mlock = 1;
    testing::internal::CaptureStderr();
    std::string flags = FlagsOf(Map());
    std::string said = testing::internal::GetCapturedStderr();
    if (said.empty()) {
        EXPECT_TRUE(Has(flags, "lo")) << flags;
    } else {
        EXPECT_NE(said.find("hakmem: option HAKMEM_MLOCK: "), std::string::npos);
    }
    EXPECT_TRUE(said.empty() || limit.rlim_cur < 2 * kBytes) << said;
    unsigned char page = 1;
    EXPECT_EQ(mincore(base_, 1, &page), 0);
    EXPECT_EQ(page & 1, 0) << "locking made it resident";
    Use();
}

TEST_F(Pages, ThatTheKernelDoesNotAdviseKeepErrno) {
    Map();
    hak_options.thp = THP_ALWAYS;
    errno = 4321;
    hak_os_apply_options(base_ + 1, kBytes); /* beside a page */
    EXPECT_EQ(errno, 4321);
}

TEST_F(Pages, AreTheSystemsHugeOnesOrOthersWithOneWarning) {
    hak_options.hugetlb = 1;
    testing::internal::CaptureStderr();
    void *first = hak_os_reserve(kBytes, SUPERSLAB_BYTES);
    std::string flags = FlagsOf(Map());
    std::string said = testing::internal::GetCapturedStderr();
    ASSERT_NE(first, nullptr);
    if (said.empty()) {
        EXPECT_TRUE(Has(flags, "ht")) << flags;
    } else {
        EXPECT_EQ(said.find("hakmem: option HAKMEM_HUGETLB: "), 0u);
        EXPECT_EQ(said.find('\n'), said.size() - 1) << "more than one line";
    }
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % SUPERSLAB_BYTES, 0u);
    EXPECT_TRUE(hak_os_release(first, kBytes));
    Use();
}

} // namespace
