#include "hakmem/interleave_test/explorer.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "hakmem/base/base.h"
#include "hakmem/base/interleave.h"
#include "hakmem/base/misuse.h"
#include "hakmem/interleave_test/fresh_state.h"
#include "hakmem/interleave_test/world.h"

namespace interleave {

Flags flags;

namespace {

constexpr int kThreads = 4;
/* One context more: set_up and check run on it, so that all of it can be left at any point. */
constexpr int kOutside = kThreads;
constexpr size_t kStackBytes = 256 << 10;
/* More atomic operations than any execution needs. */
constexpr size_t kPoints = 100000;

/* Steps of a failing schedule that are written down. */
constexpr size_t kTraceSteps = 500;

enum class State { kReady, kSleeping, kEnded, kStopped };

struct Thread {
    ucontext_t context;
    char *stack = nullptr;
    State state = State::kEnded;
    uint32_t *word = nullptr; /* of its sleep */
};

/* Where more than one thread could go on. */
struct Decision {
    uint8_t options[kThreads];
    uint8_t count;
    uint8_t taken; /* index */
};

enum class Mode { kSearch, kWalk, kReplay };

struct Step {
    uint8_t thread;
    const char *file;
    int line;
};

struct Explorer {
    const Scenario *scenario = nullptr;
    ucontext_t outside; /* whoever started the execution */
    Thread threads[kThreads + 1];
    int current = -1;
    bool running = false; /* an execution is on */
    bool ended = false;   /* by the end of the context, not by a failure */
    std::string failure;
    bool misuse = false;
    bool one_step = false;
    size_t points = 0;
    uint64_t executions = 0;

    Mode mode = Mode::kSearch;
    std::vector<Decision> decisions;
    size_t depth = 0;
    int bound = 0;
    int preemptions = 0;
    bool bounded = false;        /* a choice was left out for the bound's sake */
    std::vector<uint8_t> chosen; /* who made each step, or was woken */
    std::vector<uint8_t> forced; /* for a replay */
    std::vector<Step> *trace = nullptr;
    std::mt19937_64 random;
    uint64_t switch_one_in = 2;
};

Explorer x;

[[noreturn]] void Leave() {
    x.current = -1;
    setcontext(&x.outside);
    abort();
}

int Pick(const uint8_t *options, int count) {
    if (x.mode == Mode::kReplay) {
        size_t step = x.chosen.size();
        if (step >= x.forced.size()) return options[0];
        for (int i = 0; i < count; i++) {
            if (options[i] == x.forced[step]) return options[i];
        }
        Fail("the schedule does not fit: thread " + std::to_string(x.forced[step]) +
             " cannot go on at step " + std::to_string(step));
    }
    if (count == 1) return options[0];
    if (x.mode == Mode::kWalk) {
        if (x.current >= 0 && options[0] == x.current && x.random() % x.switch_one_in != 0) {
            return options[0];
        }
        return options[x.random() % static_cast<unsigned>(count)];
    }
    if (x.depth == x.decisions.size()) {
        Decision d = {};
        std::copy(options, options + count, d.options);
        d.count = static_cast<uint8_t>(count);
        x.decisions.push_back(d);
    }
    const Decision &d = x.decisions[x.depth++];
    if (d.count != count || !std::equal(options, options + count, d.options)) {
        Fail("the scenario is not the same when it runs again");
    }
    return d.options[d.taken];
}

int Choose(const uint8_t *options, int count) {
    int choice = Pick(options, count);
    x.chosen.push_back(static_cast<uint8_t>(choice));
    return choice;
}

/* Who makes the next step: the running thread if it can, as the first of the choices. */
int Next() {
    uint8_t options[kThreads];
    int count = 0;
    bool may_stay = x.current >= 0 && x.threads[x.current].state == State::kReady;
    if (may_stay) options[count++] = static_cast<uint8_t>(x.current);
    bool may_leave = !may_stay || x.mode != Mode::kSearch || x.preemptions < x.bound;
    for (int i = 0; i < kThreads; i++) {
        if (i == x.current || x.threads[i].state != State::kReady) continue;
        if (may_leave) {
            options[count++] = static_cast<uint8_t>(i);
        } else {
            x.bounded = true;
        }
    }
    if (count == 0) return -1;
    int next = Choose(options, count);
    if (may_stay && next != x.current) x.preemptions++;
    return next;
}

/* Goes to whoever is next; `from` comes back when it is chosen again. */
void Switch(int from) {
    int next = Next();
    if (next == -1) {
        for (int i = 0; i < kThreads; i++) {
            if (x.threads[i].state == State::kSleeping) Fail("deadlock: only sleepers are left");
        }
        x.ended = true;
        Leave();
    }
    if (next == from) return;
    x.current = next;
    swapcontext(&x.threads[from].context, &x.threads[next].context);
}

void ThreadMain(int thread) {
    x.scenario->threads[static_cast<size_t>(thread)]();
    x.threads[thread].state = State::kEnded;
    Switch(thread);
}

void OutsideMain(int check) {
    (check != 0 ? x.scenario->check : x.scenario->set_up)();
    x.ended = true;
    Leave();
}

void Crashed(int number) {
    if (!x.running) {
        signal(number, SIG_DFL);
        return;
    }
    Fail("signal " + std::to_string(number));
}

/* For a thread that runs in a circle without an atomic operation. */
void Ticked(int) {
    static uint64_t executions;
    if (x.running && x.executions == executions) Fail("no end: a thread runs in a circle");
    executions = x.executions;
}

void MakeContexts() {
    for (Thread &t : x.threads) {
        if (t.stack != nullptr) continue;
        void *stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED) abort();
        t.stack = static_cast<char *>(stack);
    }
    static char signal_stack[64 << 10];
    stack_t alternate = {};
    alternate.ss_sp = signal_stack;
    alternate.ss_size = sizeof(signal_stack);
    sigaltstack(&alternate, nullptr);
    struct sigaction action = {};
    action.sa_handler = Crashed;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(number, &action, nullptr);
    action.sa_handler = Ticked;
    sigaction(SIGALRM, &action, nullptr);
    itimerval second = {{1, 0}, {1, 0}};
    setitimer(ITIMER_REAL, &second, nullptr);
}

void Prepare(int context, void (*entry)(int), int argument) {
    Thread &t = x.threads[context];
    getcontext(&t.context);
    t.context.uc_stack.ss_sp = t.stack;
    t.context.uc_stack.ss_size = kStackBytes;
    t.context.uc_link = nullptr;
    makecontext(&t.context, reinterpret_cast<void (*)()>(entry), 1, argument);
}

/* Runs until a context leaves. False: as a failure. */
bool Enter(int context) {
    x.ended = false;
    swapcontext(&x.outside, &x.threads[context].context);
    x.current = -1;
    return x.ended;
}

/* One execution. False: it failed. */
bool Execute() {
    x.failure.clear();
    x.misuse = x.one_step = false;
    x.points = 0;
    x.executions++;
    x.depth = 0;
    x.preemptions = 0;
    x.chosen.clear();
    ResetState();
    program.Clear();
    x.running = true;
    Prepare(kOutside, OutsideMain, 0);
    bool ok = Enter(kOutside);
    if (ok) {
        for (int i = 0; i < static_cast<int>(x.scenario->threads.size()); i++) {
            Prepare(i, ThreadMain, i);
            x.threads[i].state = State::kReady;
        }
        x.current = -1;
        x.current = Next();
        ok = Enter(x.current);
    }
    if (ok) {
        Prepare(kOutside, OutsideMain, 1);
        ok = Enter(kOutside);
    }
    for (Thread &t : x.threads) t.state = State::kEnded;
    x.running = false;
    if (x.misuse && x.scenario->misuse_ends_it) return true;
    return ok;
}

/* The next schedule in depth-first order; false: that was the last. */
bool Advance() {
    while (!x.decisions.empty()) {
        Decision &d = x.decisions.back();
        if (++d.taken < d.count) return true;
        x.decisions.pop_back();
    }
    return false;
}

std::string ScheduleText() {
    std::string text;
    for (size_t i = 0; i < x.chosen.size();) {
        size_t end = i;
        while (end < x.chosen.size() && x.chosen[end] == x.chosen[i]) end++;
        if (!text.empty()) text += ",";
        text += std::to_string(x.chosen[i]) + "*" + std::to_string(end - i);
        i = end;
    }
    return text;
}

std::vector<uint8_t> ParseSchedule(const std::string &text) {
    std::vector<uint8_t> steps;
    const char *at = text.c_str();
    while (*at != '\0') {
        char *end;
        unsigned long thread = strtoul(at, &end, 10), count = 1;
        if (end == at || thread >= kThreads) abort();
        if (*end == '*') count = strtoul(end + 1, &end, 10);
        steps.insert(steps.end(), count, static_cast<uint8_t>(thread));
        at = *end == ',' ? end + 1 : end;
    }
    return steps;
}

/* A line for each run of one thread's steps: where each stood before it. */
std::string TraceText(const std::vector<Step> &trace) {
    std::string text;
    for (size_t i = 0; i < trace.size(); i++) {
        if (i == kTraceSteps) return text + " ...\n";
        bool same = i > 0 && trace[i - 1].thread == trace[i].thread;
        if (!same) text += "\n  thread " + std::to_string(trace[i].thread) + ":";
        if (!same || strcmp(trace[i - 1].file, trace[i].file) != 0) {
            const char *slash = strrchr(trace[i].file, '/');
            text += " " + std::string(slash == nullptr ? trace[i].file : slash + 1);
        }
        text += ":" + std::to_string(trace[i].line);
    }
    return text + "\n";
}

/* Runs the failing schedule once more to write its steps down. */
void Describe(Outcome *out) {
    out->failure = x.failure;
    out->schedule = ScheduleText();
    std::vector<Step> trace;
    x.forced = x.chosen;
    x.mode = Mode::kReplay;
    x.trace = &trace;
    Execute();
    x.trace = nullptr;
    if (x.failure != out->failure)
        out->failure += " (another when it ran again: " + x.failure + ")";
    out->trace = TraceText(trace);
}

bool Search(Outcome *out, int most) {
    x.mode = Mode::kSearch;
    for (x.bound = 0; x.bound <= most && !out->all; x.bound++) {
        x.decisions.clear();
        x.bounded = false;
        out->schedules = 0;
        out->preemptions = x.bound;
        do {
            out->schedules++;
            if (!Execute()) return false;
        } while (Advance());
        out->all = !x.bounded;
    }
    return true;
}

bool Walk(Outcome *out, int walks) {
    x.mode = Mode::kWalk;
    for (int i = 0; i < walks; i++) {
        x.random.seed(static_cast<uint64_t>(i));
        x.switch_one_in = 2u << (i % 4);
        out->walks++;
        if (!Execute()) return false;
    }
    return true;
}

} // namespace

Outcome RunAll(const Scenario &scenario) {
    x.scenario = &scenario;
    MakeContexts();
    Outcome out;
    auto start = std::chrono::steady_clock::now();
    bool ok;
    if (!flags.schedule.empty()) {
        x.mode = Mode::kReplay;
        x.forced = ParseSchedule(flags.schedule);
        ok = Execute();
        out.schedules = 1;
    } else {
        int most = flags.preemptions >= 0 ? flags.preemptions : scenario.preemptions;
        ok = Search(&out, most) && (out.all || Walk(&out, scenario.walks));
    }
    if (!ok) Describe(&out);
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return out;
}

void Explore(const Scenario &scenario) {
    Outcome out = RunAll(scenario);
    const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test->test_suite_name()) + "." + test->name();
    std::string bound =
        out.all ? "all there are" : "at most " + std::to_string(out.preemptions) + " preemptions";
    printf("%s: %llu schedules (%s), %llu random walks, %.2f s\n", name.c_str(),
           static_cast<unsigned long long>(out.schedules), bound.c_str(),
           static_cast<unsigned long long>(out.walks), out.seconds);
    std::string story =
        out.failure + "\n  --gtest_filter=" + name + " --schedule=" + out.schedule + out.trace;
    if (flags.broken) {
        EXPECT_FALSE(out.failure.empty()) << "the broken code was not caught";
        printf("caught: %s", story.c_str());
    } else {
        EXPECT_TRUE(out.failure.empty()) << story;
    }
}

void Fail(const std::string &what) {
    x.failure = what;
    x.ended = false;
    Leave();
}

OneStep::OneStep() : was_(x.one_step) { x.one_step = true; }
OneStep::~OneStep() { x.one_step = was_; }

void StopOthers() {
    for (int i = 0; i < kThreads; i++) {
        if (i != x.current && x.threads[i].state != State::kEnded) {
            x.threads[i].state = State::kStopped;
        }
    }
}

void Point(const char *file, int line) {
    if (++x.points > kPoints) Fail("no end: a thread waits for ever");
    if (x.current < 0 || x.one_step) return;
    int from = x.current;
    Switch(from);
    if (x.trace != nullptr) {
        x.trace->push_back(Step{static_cast<uint8_t>(x.current), file, line});
    }
}

} // namespace interleave

using interleave::State;
using interleave::x;

void hak_interleave_point(const char *file, int line) { interleave::Point(file, line); }

void hak_interleave_futex_wait(uint32_t *word, uint32_t value) {
    interleave::Point("futex_wait", 0);
    if (*word != value) return;
    /* Outside the threads, whoever held the lock is stopped for ever. */
    if (x.current < 0) interleave::Fail("a lock is held for ever");
    int from = x.current;
    x.threads[from].word = word;
    x.threads[from].state = State::kSleeping;
    interleave::Switch(from);
}

/* Any sleeper may be the one: another choice. */
void hak_interleave_futex_wake(uint32_t *word) {
    interleave::Point("futex_wake", 0);
    uint8_t sleepers[interleave::kThreads];
    int count = 0;
    for (int i = 0; i < interleave::kThreads; i++) {
        const interleave::Thread &t = x.threads[i];
        if (t.state == State::kSleeping && t.word == word) {
            sleepers[count++] = static_cast<uint8_t>(i);
        }
    }
    if (count == 0) return;
    x.threads[interleave::Choose(sleepers, count)].state = State::kReady;
}

/* The layers' own ends of a process end an execution. */
void hak_misuse(hak_error_kind, const char *what, const void *, size_t block_bytes, const char *) {
    x.misuse = true;
    interleave::Fail(std::string("misuse: ") + what + ", class of " + std::to_string(block_bytes));
}

void hak_assert_failed(const char *cond, const char *file, int line) {
    interleave::Fail(std::string("hak_assert(") + cond + "), " + file + ":" + std::to_string(line));
}
