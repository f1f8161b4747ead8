/* For tests: a process that goes on after a mistake of the program. */
#ifndef HAKMEM_BASE_EXPECT_REPORT_H_
#define HAKMEM_BASE_EXPECT_REPORT_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "hakmem/base/misuse.h"

/* `body` runs in a child that reports as `line` (a regular expression), goes on, and ends well. */
template <typename Body> void expect_report(const char *line, Body body) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            hak_misuse_set_policy(nullptr, true, false);
            body();
            const auto *result = testing::UnitTest::GetInstance()->current_test_info()->result();
            for (int i = 0; i < result->total_part_count(); i++) {
                std::fprintf(stderr, "line %d: %s\n", result->GetTestPartResult(i).line_number(),
                             result->GetTestPartResult(i).message());
            }
            _exit(testing::Test::HasFailure() ? 1 : 0);
        },
        testing::ExitedWithCode(0), line);
}

#endif
