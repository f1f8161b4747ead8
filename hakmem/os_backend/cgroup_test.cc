/* Limits of cgroups, from fake trees. */
#include "hakmem/os_backend/cgroup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMiB = 1 << 20;
const char kV2[] = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const char kV1[] = "33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

class Cgroup : public testing::Test {
  protected:
    void SetUp() override {
        root_ = testing::TempDir() + "/cgroup_" +
                testing::UnitTest::GetInstance()->current_test_info()->name();
        fs::remove_all(root_);
    }
    void TearDown() override { fs::remove_all(root_); }

    void Write(const std::string &path, const std::string &text) {
        fs::path file = root_ + path;
        fs::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    uint64_t Limit() { return hak_cgroup_memory_limit(root_.c_str()); }

    std::string root_;
};

TEST_F(Cgroup, WithoutAnyThereIsNoLimit) {
    EXPECT_EQ(Limit(), 0u);
    Write("/proc/self/cgroup", "");
    Write("/proc/self/mountinfo", "");
    EXPECT_EQ(Limit(), 0u);
}

TEST_F(Cgroup, TheLeastOnTheWayUpCounts) {
    Write("/proc/self/cgroup", "0::/a/b/c\n");
    Write("/proc/self/mountinfo", std::string("20 1 8:1 / / rw - ext4 /dev/root rw\n") + kV2);
    Write("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
    EXPECT_EQ(Limit(), 0u);
    Write("/sys/fs/cgroup/a/b/memory.max", "268435456\n");
    EXPECT_EQ(Limit(), 256 * kMiB);
    Write("/sys/fs/cgroup/a/memory.max", "1073741824\n");
    EXPECT_EQ(Limit(), 256 * kMiB);
    Write("/sys/fs/cgroup/a/b/c/memory.max", "134217728\n");
    EXPECT_EQ(Limit(), 128 * kMiB);
    Write("/sys/fs/cgroup/memory.max", "67108864\n");
    EXPECT_EQ(Limit(), 64 * kMiB);
    Write("/sys/fs/cgroup/ab/memory.max", "1\n"); /* another's */
    EXPECT_EQ(Limit(), 64 * kMiB);
}

TEST_F(Cgroup, OfVersionOneTheMemoryControllerCounts) {
    Write("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/y/z\n1:name=systemd:/q\n0::/\n");
    Write("/proc/self/mountinfo",
          std::string("31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n") + kV1);
    Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    Write("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "9223372036854771712\n");
    Write("/sys/fs/cgroup/memory/y/z/memory.limit_in_bytes", "536870912\n");
    Write("/sys/fs/cgroup/cpu/x/memory.limit_in_bytes", "1\n");
    EXPECT_EQ(Limit(), 512 * kMiB);
}

TEST_F(Cgroup, BothVersionsSideBySideCount) {
    Write("/proc/self/cgroup", "4:memory:/y\n0::/u\n");
    Write("/proc/self/mountinfo",
          std::string(kV1) + "40 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    Write("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "536870912");
    EXPECT_EQ(Limit(), 512 * kMiB);
    Write("/sys/fs/cgroup/unified/u/memory.max", "268435456");
    EXPECT_EQ(Limit(), 256 * kMiB);
}

TEST_F(Cgroup, AContainersMountIsCutOffItsPath) {
    Write("/proc/self/cgroup", "0::/docker/abc/inner\n");
    Write("/proc/self/mountinfo",
          "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
    Write("/sys/fs/cgroup/memory.max", "1073741824\n");
    Write("/sys/fs/cgroup/inner/memory.max", "536870912\n");
    EXPECT_EQ(Limit(), 512 * kMiB);
    /* A path outside of what is mounted: the mount's own limit is all there is to see. */
    Write("/proc/self/cgroup", "0::/docker/abcd\n");
    EXPECT_EQ(Limit(), 1024 * kMiB);
}

/* Whose name begins alike. */
TEST_F(Cgroup, AMountOfAnotherIsNotItsOwn) {
    Write("/proc/self/cgroup", "0::/ab/c\n");
    Write("/proc/self/mountinfo", "30 23 0:26 /a /cgroup rw - cgroup2 cgroup2 rw\n");
    Write("/cgroup/memory.max", "2000000\n");
    Write("/cgroupb/c/memory.max", "1000000\n");
    EXPECT_EQ(Limit(), 2000000u);
}

TEST_F(Cgroup, EveryFileIsClosed) {
    Write("/proc/self/cgroup", "0::/a\n");
    Write("/proc/self/mountinfo", kV2);
    Write("/proc/meminfo", "MemTotal: 1 kB\n");
    Write("/sys/fs/cgroup/a/memory.max", "2000000\n");
    auto open_files = [] {
        fs::directory_iterator files("/proc/self/fd");
        return std::distance(fs::begin(files), fs::end(files));
    };
    auto before = open_files();
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(Limit(), 2000000u);
        EXPECT_EQ(hak_ram_bytes(root_.c_str()), 1024u);
    }
    EXPECT_EQ(open_files(), before);
}

TEST_F(Cgroup, MountsMayHaveBlanksAndManyFields) {
    Write("/proc/self/cgroup", "0::/a b\n");
    Write("/proc/self/mountinfo",
          "30 23 0:26 / /sys/c\\040g rw shared:4 master:1 - cgroup2 cgroup2 rw\n");
    Write("/sys/c g/a b/memory.max", "33554432\n");
    EXPECT_EQ(Limit(), 32 * kMiB);
}

TEST_F(Cgroup, NonsenseIsNoLimit) {
    Write("/proc/self/mountinfo",
          std::string("\n30 23\n- cgroup2\n30 23 0:26 / /m rw - cgroup2\n") +
              std::string(9000, 'x') + "\n" + kV2);
    for (const char *line : {"0:\n", "0::\n", ":::\n", "0", "0::/nowhere\n", "\n\n"}) {
        Write("/proc/self/cgroup", line);
        for (const char *limit : {"", "max", "-1", "x", "\n", "99999999999999999999999999"}) {
            Write("/sys/fs/cgroup/memory.max", limit);
            EXPECT_EQ(Limit(), 0u) << line << limit;
        }
    }
    Write("/proc/self/cgroup", "0::/" + std::string(5000, 'y') + "\n");
    Write("/sys/fs/cgroup/memory.max", "1048576");
    Limit(); /* whatever it says, it ends */
}

TEST_F(Cgroup, OfThisMachineTheyAreRead) {
    uint64_t limit = hak_cgroup_memory_limit("");
    EXPECT_TRUE(limit == 0 || limit >= kMiB) << limit;
    EXPECT_GT(hak_ram_bytes(""), 64 * kMiB);
}

TEST_F(Cgroup, RamIsReadFromMeminfo) {
    EXPECT_EQ(hak_ram_bytes(root_.c_str()), 0u);
    Write("/proc/meminfo", "MemFree:  7 kB\nMemTotal:        2048 kB\nMemFree: 1 kB\n");
    EXPECT_EQ(hak_ram_bytes(root_.c_str()), 2 * kMiB);
}

} // namespace
