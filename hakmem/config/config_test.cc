/* HAKMEM_* options: what is taken, what is refused, what is said. */
#include "hakmem/config/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "hakmem/config/options.h"

namespace {

/* Every test begins with the defaults and leaves what it found. */
class Options : public testing::Test {
  protected:
    void SetUp() override { saved_ = hak_options; }
    void TearDown() override { hak_options = saved_; }

    /* Parses an environment; returns what was written on stderr. */
    static std::string parse(std::vector<std::string> env) {
        std::vector<char *> pointers;
        for (auto &s : env) pointers.push_back(&s[0]);
        pointers.push_back(nullptr);
        testing::internal::CaptureStderr();
        hak_options_parse(pointers.data());
        return testing::internal::GetCapturedStderr();
    }

    bool unchanged() const { return std::memcmp(&saved_, &hak_options, sizeof(saved_)) == 0; }

  private:
    options saved_ = {};
};

TEST_F(Options, HaveTheDocumentedDefaults) {
    EXPECT_EQ(hak_options.mode, static_cast<uint64_t>(MODE_DEFAULT));
    EXPECT_EQ(hak_options.on_error, static_cast<uint64_t>(ON_ERROR_ABORT));
    EXPECT_EQ(hak_options.error_json, 0u);
    EXPECT_EQ(hak_options.stats, 0u);
    EXPECT_EQ(hak_options.purge, 1u);
    EXPECT_EQ(hak_options.warm_pool_stats, 0u);
    EXPECT_EQ(hak_options.warm_pool_size, 12u);
    EXPECT_EQ(hak_options.warm_pool_prefill, 2u);
    EXPECT_EQ(hak_options.front_max_mb, 32u);
    EXPECT_EQ(hak_options.superslab_max_cached, 64u);
    EXPECT_EQ(hak_options.superslab_max_memory_mb, 16u);
    EXPECT_EQ(hak_options.superslab_ttl_sec, 10u);
    EXPECT_EQ(hak_options.ss_prefault, 0u);
    EXPECT_EQ(hak_options.ss_lazy_zero, 0u);
    EXPECT_EQ(hak_options.prewarm_superslabs, 0u);
    EXPECT_EQ(hak_options.limit | hak_options.limit_percent, 0u);
    EXPECT_EQ(hak_options.thp, static_cast<uint64_t>(THP_DEFAULT));
    EXPECT_EQ(hak_options.hugetlb | hak_options.mlock | hak_options.maintenance, 0u);
    EXPECT_EQ(hak_options.deepbind, 0u);
    EXPECT_EQ(hak_options.maintenance_ms, 500u);
}

TEST_F(Options, AreTakenInSilenceWhenTheyAreGood) {
    EXPECT_EQ(
        parse({"HAKMEM_STATS=1", "HAKMEM_WARM_POOL_STATS=1", "HAKMEM_WARM_POOL_SIZE=3",
               "HAKMEM_WARM_POOL_PREFILL=0", "HAKMEM_FRONT_MAX_MB=1048576",
               "HAKMEM_SUPERSLAB_MAX_CACHED=7", "HAKMEM_SUPERSLAB_MAX_MEMORY_MB=99",
               "HAKMEM_SUPERSLAB_TTL_SEC=86400", "HAKMEM_LARGE_CACHE_MB=0",
               "HAKMEM_LARGE_CACHE_MAPPED_MB=2048", "HAKMEM_LARGE_CACHE_TTL_SEC=3",
               "HAKMEM_SS_PREFAULT=1", "HAKMEM_SS_LAZY_ZERO=1", "HAKMEM_PREWARM_SUPERSLABS=4096",
               "HAKMEM_PREWARM_SUPERSLABS_C0=5", "HAKMEM_PREWARM_SUPERSLABS_C7=0006"}),
        "");
    EXPECT_EQ(hak_options.stats, 1u);
    EXPECT_EQ(hak_options.warm_pool_stats, 1u);
    EXPECT_EQ(hak_options.warm_pool_size, 3u);
    EXPECT_EQ(hak_options.warm_pool_prefill, 0u);
    EXPECT_EQ(hak_options.front_max_mb, 1048576u);
    EXPECT_EQ(hak_options.superslab_max_cached, 7u);
    EXPECT_EQ(hak_options.superslab_max_memory_mb, 99u);
    EXPECT_EQ(hak_options.superslab_ttl_sec, 86400u);
    EXPECT_EQ(hak_options.large_cache_mb, 0u);
    EXPECT_EQ(hak_options.large_cache_mapped_mb, 2048u);
    EXPECT_EQ(hak_options.large_cache_ttl_sec, 3u);
    EXPECT_EQ(hak_options.ss_prefault, 1u);
    EXPECT_EQ(hak_options.ss_lazy_zero, 1u);
    EXPECT_EQ(hak_options.prewarm_superslabs, 4096u);
    EXPECT_EQ(hak_options.prewarm_class[0], 5u);
    EXPECT_EQ(hak_options.prewarm_class[7], 6u);
}

TEST_F(Options, KeepTheDefaultWhenTheValueIsNotANumber) {
    for (std::string bad : {"", "x", "1x", " 1", "1 ", "0x1", "+1", "--1", "-", "1.0", "\t"}) {
        EXPECT_EQ(parse({"HAKMEM_WARM_POOL_SIZE=" + bad}),
                  "hakmem: option HAKMEM_WARM_POOL_SIZE=" + (bad == "\t" ? "?" : bad) +
                      " is not a number in 1..12; using 12\n")
            << bad;
        EXPECT_TRUE(unchanged()) << bad;
    }
}

TEST_F(Options, TakeTheNearestBoundWhenOutOfRange) {
    EXPECT_EQ(parse({"HAKMEM_WARM_POOL_SIZE=13"}),
              "hakmem: option HAKMEM_WARM_POOL_SIZE=13 is out of range 1..12; using 12\n");
    EXPECT_EQ(hak_options.warm_pool_size, 12u);
    EXPECT_EQ(parse({"HAKMEM_WARM_POOL_SIZE=0"}),
              "hakmem: option HAKMEM_WARM_POOL_SIZE=0 is out of range 1..12; using 1\n");
    EXPECT_EQ(hak_options.warm_pool_size, 1u);
}

TEST_F(Options, TakeTheLowerBoundWhenNegative) {
    EXPECT_EQ(parse({"HAKMEM_WARM_POOL_SIZE=-3"}),
              "hakmem: option HAKMEM_WARM_POOL_SIZE=-3 is out of range 1..12; using 1\n");
    EXPECT_EQ(hak_options.warm_pool_size, 1u);
    EXPECT_NE(parse({"HAKMEM_WARM_POOL_PREFILL=-99999999999999999999999"}), "");
    EXPECT_EQ(hak_options.warm_pool_prefill, 0u);
}

TEST_F(Options, TakeTheUpperBoundWhenTheNumberOverflows) {
    /* 2^64 + 1 would read as 1, and 3 * 2^64 as 0. */
    for (std::string big : {"18446744073709551615", "18446744073709551616", "18446744073709551617",
                            "55340232221128654848", "99999999999999999999999999999999999999"}) {
        hak_options.superslab_ttl_sec = 10;
        EXPECT_NE(parse({"HAKMEM_SUPERSLAB_TTL_SEC=" + big}), "") << big;
        EXPECT_EQ(hak_options.superslab_ttl_sec, 86400u) << big;
    }
}

TEST_F(Options, TakeAModeByItsName) {
    EXPECT_EQ(parse({"HAKMEM_MODE=safe"}), "");
    EXPECT_EQ(hak_options.mode, static_cast<uint64_t>(MODE_SAFE));
    EXPECT_EQ(parse({"HAKMEM_MODE=signals"}), "");
    EXPECT_EQ(hak_options.mode, static_cast<uint64_t>(MODE_SIGNALS));
    EXPECT_EQ(parse({"HAKMEM_ON_ERROR=report", "HAKMEM_ERROR_JSON=1"}), "");
    EXPECT_EQ(hak_options.on_error, static_cast<uint64_t>(ON_ERROR_REPORT));
    EXPECT_EQ(hak_options.error_json, 1u);
    EXPECT_EQ(parse({"HAKMEM_ON_ERROR=abort", "HAKMEM_ERROR_JSON=0"}), "");
    EXPECT_EQ(parse({"HAKMEM_MODE=default"}), "");
    EXPECT_TRUE(unchanged());
}

TEST_F(Options, KeepTheDefaultModeWhenTheNameIsUnknown) {
    for (std::string bad : {"", "Safe", "SAFE", "saf", "safer", " safe", "safe ", "0", "1"}) {
        EXPECT_EQ(parse({"HAKMEM_MODE=" + bad}),
                  "hakmem: option HAKMEM_MODE=" + bad +
                      " is none of default|fast|signals|safe|debug; using default\n")
            << bad;
        EXPECT_TRUE(unchanged()) << bad;
    }
}

TEST_F(Options, BoundWhatAllThreadsListsMayHold) {
    EXPECT_EQ(parse({"HAKMEM_FRONT_MAX_MB=0"}), "");
    EXPECT_EQ(hak_options.front_max_mb, 0u);
    EXPECT_EQ(parse({"HAKMEM_FRONT_MAX_MB=1048577"}),
              "hakmem: option HAKMEM_FRONT_MAX_MB=1048577 is out of range 0..1048576; "
              "using 1048576\n");
    EXPECT_EQ(hak_options.front_max_mb, 1048576u);
    hak_options.front_max_mb = 32;
    EXPECT_EQ(parse({"HAKMEM_FRONT_MAX_MB=32M"}),
              "hakmem: option HAKMEM_FRONT_MAX_MB=32M is not a number in 0..1048576; using 32\n");
    EXPECT_TRUE(unchanged());
}

TEST_F(Options, TakeALimitAsASizeOrAPercentage) {
    const std::pair<const char *, uint64_t> sizes[] = {
        {"0", 0},        {"8388608", 8 * MiB},        {"9000K", 9000 * KiB}, {"512M", 512 * MiB},
        {"3G", 3 * GiB}, {"262144G", 256 * KiB * GiB}};
    for (auto [text, bytes] : sizes) {
        hak_options.limit_percent = 7;
        EXPECT_EQ(parse({std::string("HAKMEM_LIMIT=") + text}), "") << text;
        EXPECT_EQ(hak_options.limit, bytes) << text;
        EXPECT_EQ(hak_options.limit_percent, 0u) << text;
    }
    EXPECT_EQ(parse({"HAKMEM_LIMIT=80%"}), "");
    EXPECT_EQ(hak_options.limit_percent, 80u);
    EXPECT_EQ(hak_options.limit, 0u);
}

TEST_F(Options, TakeWhatKindOfPagesThereAre) {
    EXPECT_EQ(parse({"HAKMEM_THP=never", "HAKMEM_HUGETLB=1", "HAKMEM_MLOCK=1"}), "");
    EXPECT_EQ(hak_options.thp, static_cast<uint64_t>(THP_NEVER));
    EXPECT_EQ(hak_options.hugetlb, 1u);
    EXPECT_EQ(hak_options.mlock, 1u);
    EXPECT_EQ(parse({"HAKMEM_THP=huge"}), "hakmem: option HAKMEM_THP=huge is none of "
                                          "default|always|never; using never\n");
    EXPECT_EQ(parse({"HAKMEM_MAINTENANCE=1", "HAKMEM_MAINTENANCE_MS=60000"}), "");
    EXPECT_EQ(hak_options.maintenance, 1u);
    EXPECT_EQ(parse({"HAKMEM_DEEPBIND=1"}), "");
    EXPECT_EQ(hak_options.deepbind, 1u);
    EXPECT_EQ(hak_options.maintenance_ms, 60000u);
    EXPECT_EQ(parse({"HAKMEM_MAINTENANCE_MS=0"}),
              "hakmem: option HAKMEM_MAINTENANCE_MS=0 is out of range 100..60000; using 100\n");
}

TEST_F(Options, PrewarmNothingWhereItIsOutOfRange) {
    EXPECT_EQ(parse({"HAKMEM_PREWARM_SUPERSLABS=4097"}),
              "hakmem: option HAKMEM_PREWARM_SUPERSLABS=4097 is out of range 0..4096; using 0\n");
    EXPECT_EQ(parse({"HAKMEM_PREWARM_SUPERSLABS_C3=-1"}),
              "hakmem: option HAKMEM_PREWARM_SUPERSLABS_C3=-1 is out of range 0..4096; using 0\n");
    EXPECT_TRUE(unchanged());
    for (std::string unknown : {"C8", "C10", "C", "Cx"}) {
        EXPECT_EQ(
            parse({"HAKMEM_PREWARM_SUPERSLABS_" + unknown + "=1"}),
            "hakmem: option HAKMEM_PREWARM_SUPERSLABS_C*: the classes are C0..C7; one that is "
            "none of them was ignored\n");
        EXPECT_TRUE(unchanged());
    }
}

TEST_F(Options, TakeALimitInSmallLetters) {
    EXPECT_EQ(parse({"HAKMEM_LIMIT=64m"}), "");
    EXPECT_EQ(hak_options.limit, 64 * MiB);
    EXPECT_EQ(parse({"HAKMEM_LIMIT=2g"}), "");
    EXPECT_EQ(hak_options.limit, 2 * GiB);
    EXPECT_EQ(parse({"HAKMEM_LIMIT=8192k"}), "");
    EXPECT_EQ(hak_options.limit, 8 * MiB);
}

TEST_F(Options, RefuseALimitThatIsNone) {
    const std::string range = "8M..262144G or 1%..100%; using ";
    for (std::string bad : {"", "x", "M", "%", "1T", "1MB", "5 M", "-5M", "1.5G", "5%M"}) {
        EXPECT_EQ(parse({"HAKMEM_LIMIT=" + bad}), "hakmem: option HAKMEM_LIMIT=" + bad +
                                                      " is not a size in " + range +
                                                      "0 (no limit)\n");
        EXPECT_TRUE(unchanged()) << bad;
    }
    EXPECT_EQ(parse({"HAKMEM_LIMIT=1M"}),
              "hakmem: option HAKMEM_LIMIT=1M is out of range " + range + "8M\n");
    EXPECT_EQ(hak_options.limit, 8 * MiB);
    EXPECT_EQ(parse({"HAKMEM_LIMIT=101%"}),
              "hakmem: option HAKMEM_LIMIT=101% is out of range " + range + "100%\n");
    EXPECT_EQ(parse({"HAKMEM_LIMIT=0%"}),
              "hakmem: option HAKMEM_LIMIT=0% is out of range " + range + "1%\n");
    for (std::string big : {"99999999999999999999G", "18446744073709551616", "17179869184G"}) {
        EXPECT_NE(parse({"HAKMEM_LIMIT=" + big}), "");
        EXPECT_EQ(hak_options.limit, 256 * KiB * GiB) << big;
    }
}

TEST_F(Options, IgnoreNamesTheyDoNotKnow) {
    EXPECT_EQ(
        parse({"HAKMEM_NO_SUCH=1", "HAKMEM_=1", "HAKMEM_STAT=1", "HAKMEM_STATSX=1",
               "hakmem_stats=1", "HAKMEM_PREWARM=1", "PATH=/bin", "=1", "", "XHAKMEM_STATS=1"}),
        "");
    EXPECT_TRUE(unchanged());
}

TEST_F(Options, IgnoreANameWithoutAnEqualsSign) {
    EXPECT_EQ(parse({"HAKMEM_STATS", "HAKMEM_", "HAKMEM"}), "");
    EXPECT_TRUE(unchanged());
}

TEST_F(Options, IgnoreAMissingEnvironment) {
    hak_options_parse(nullptr);
    EXPECT_EQ(parse({}), "");
    EXPECT_TRUE(unchanged());
}

TEST_F(Options, QuoteOnlyTheBeginningOfALongValue) {
    std::string said = parse({"HAKMEM_STATS=" + std::string(5000, 'y')});
    EXPECT_EQ(said, "hakmem: option HAKMEM_STATS=" + std::string(64, 'y') +
                        " is not a number in 0..1; using 0\n");
}

TEST_F(Options, NeverQuoteControlCharacters) {
    std::string said = parse({"HAKMEM_STATS=\x1b[2J\n\x80"});
    EXPECT_EQ(said, "hakmem: option HAKMEM_STATS=?[2J?? is not a number in 0..1; using 0\n");
}

TEST_F(Options, ArePrintedALineEach) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    hak_options.mode = MODE_SAFE;
    hak_options.warm_pool_size = 5;
    hak_options_print(ends[1]);
    close(ends[1]);
    std::string all(65536, '\0');
    ssize_t n = read(ends[0], &all[0], all.size());
    close(ends[0]);
    ASSERT_GT(n, 0);
    all.resize(static_cast<size_t>(n));
    EXPECT_NE(all.find("HAKMEM_MODE = safe  (default|fast|signals|safe|debug)\n"),
              std::string::npos)
        << all;
    EXPECT_NE(all.find("HAKMEM_WARM_POOL_SIZE = 5  (1..12)\n"), std::string::npos) << all;
    EXPECT_NE(all.find("HAKMEM_FRONT_MAX_MB = 32  (0..1048576)\n"), std::string::npos) << all;
    EXPECT_NE(all.find("HAKMEM_PREWARM_SUPERSLABS_C7 = 0  (0..4096)\n"), std::string::npos);
}

TEST(Config, NumbersFitEachOther) {
    EXPECT_EQ(SUPERSLAB_BYTES, SLABS_PER_SUPERSLAB * SLAB_BYTES);
    EXPECT_EQ(REGION_FIRST_BYTES % SUPERSLAB_BYTES, 0u);
    EXPECT_EQ(REGION_BYTES % REGION_FIRST_BYTES, 0u);
    EXPECT_EQ(SLAB_BLOCKS_MAX * BLOCK_MIN, SLAB_BYTES);
    EXPECT_LT(FRONT_CLASS_BYTES, FRONT_THREAD_BYTES);
    EXPECT_LE(RESIDENT_QUIET_BYTES, RESIDENT_FREE_BYTES);
}

} // namespace
