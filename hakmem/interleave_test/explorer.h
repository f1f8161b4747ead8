/* Explores the interleavings of logical threads that run the allocator's own code.
 *
 * A scenario is a set-up, two or three threads and an oracle. Before each atomic operation the
 * running thread asks the explorer who goes on; the threads are contexts on stacks of their own,
 * and one runs at a time. The explorer runs the scenario again and again:
 *
 *   1. every schedule without a preemption, then with one, and so on up to the scenario's bound
 *      (going on after another thread blocks or ends is no preemption);
 *   2. random walks, from seeds that are the same each time, without a bound.
 *
 * What it sees are sequentially consistent interleavings of atomic operations: memory orders and
 * races of plain accesses are Thread Sanitizer's. Refuses: threads of the system, time. */
#ifndef HAKMEM_INTERLEAVE_TEST_EXPLORER_H_
#define HAKMEM_INTERLEAVE_TEST_EXPLORER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace interleave {

constexpr int kAll = 1000;

struct Scenario {
    std::function<void()> set_up; /* from a fresh state */
    std::vector<std::function<void()>> threads;
    std::function<void()> check; /* after the last thread has ended */
    int preemptions = 3;         /* every schedule with at most this many; kAll: every one */
    int walks = 2000;            /* random ones beyond */
    bool misuse_ends_it = false; /* a report of misuse ends an execution well */
};

/* What was found. */
struct Outcome {
    uint64_t schedules = 0; /* with at most `preemptions` preemptions */
    int preemptions = 0;    /* in the schedules of the last round */
    bool all = false;       /* there is no schedule with more: then walks are left out */
    uint64_t walks = 0;
    double seconds = 0;
    std::string failure;  /* empty: none */
    std::string schedule; /* of the failure: "0*12,1*3": 12 steps of thread 0, 3 of 1 */
    std::string trace;
};

/* How the explorer is asked to run by the command line. */
struct Flags {
    bool broken = false;  /* a failure must be found */
    std::string schedule; /* run this one alone */
    int preemptions = -1; /* instead of the scenario's */
};
extern Flags flags;

/* Runs all of it, or up to the first failure. */
Outcome RunAll(const Scenario &scenario);
/* The same as a part of a GoogleTest test, which fails when the scenario does, or when `flags`
 * say that it must and it does not. Prints what was explored. */
void Explore(const Scenario &scenario);

/* For scenarios: ends the execution as a failure. */
[[noreturn]] void Fail(const std::string &what);
/* A step of a scenario's own, or of what stands for the system. */
void Point(const char *file, int line);
/* While one is there, what the thread does is one step: for oracles inside a thread. */
class OneStep {
  public:
    OneStep();
    ~OneStep();

  private:
    bool was_;
};
/* The other threads never run again: what fork does to them in the child. */
void StopOthers();

} // namespace interleave

#define REQUIRE(cond)                                                                           \
    do {                                                                                        \
        if (!(cond))                                                                            \
            interleave::Fail(#cond " does not hold, " __FILE__ ":" + std::to_string(__LINE__)); \
    } while (0)

#endif
