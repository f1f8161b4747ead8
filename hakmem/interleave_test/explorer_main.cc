/* GoogleTest, and:
 *   --broken               each test passes if its scenario fails
 *   --schedule=0*12,1*3    runs that schedule alone (with --gtest_filter)
 *   --preemptions=N        instead of the scenarios' own bounds */
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "hakmem/interleave_test/explorer.h"

int main(int argc, char **argv) {
    testing::InitGoogleTest(&argc, argv);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--broken") == 0) {
            interleave::flags.broken = true;
        } else if (strncmp(argv[i], "--schedule=", 11) == 0) {
            interleave::flags.schedule = argv[i] + 11;
        } else if (strncmp(argv[i], "--preemptions=", 14) == 0) {
            interleave::flags.preemptions = atoi(argv[i] + 14);
        } else {
            fprintf(stderr, "unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    int status = RUN_ALL_TESTS();
    if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) return 2;
    return status;
}
