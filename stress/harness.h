// What the stress programs share: blocks that carry a pattern, the command line, queues, and the
// account of memory at the end. Nothing here replaces malloc: only hak_* is under stress.
#ifndef HAKMEM_STRESS_HARNESS_H_
#define HAKMEM_STRESS_HARNESS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace hak_stress {

struct Options {
    int threads = 4;
    int seconds = 10;
    std::uint64_t seed = 1;
    std::size_t min_size = 1;
    std::size_t max_size = 4096;
    std::string mode; // empty for a program without modes
    // Of one program each; the others have no such flag.
    int hz = 1000;
    int lives = 20000;
    int at_once = 8;
    int alive = 10000;
    int forks = 3000;
    int tib = 32;
    std::string malloc = "both";
};

// Parses the command line into `defaults`. `modes` are the values that --mode may have, none: there
// is no such flag. `own` names the flags that this program has besides the common ones. A mistake:
// one line on stderr and exit code 2. --help: `usage`, flags, exit 0.
Options ParseFlagsOrExit(int argc, char **argv, const std::string &usage, const Options &defaults,
                         const std::vector<std::string> &modes, int min_threads,
                         const std::vector<std::string> &own = {});

// Sets the seed that Fail names, and has a crash or an abort name it too: the allocator ends the
// program itself when it finds a misuse. Before there are threads; done by ParseFlagsOrExit.
void NameSeedOnFailure(std::uint64_t seed);

// Prints what was wrong and the seed, and ends the process with exit code 1. From any thread, also
// from a signal handler.
[[noreturn]] __attribute__((format(printf, 1, 2))) void Fail(const char *format, ...);

// splitmix64: one word of state, any seed will do.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t Next();
    std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
    bool OneIn(std::uint64_t n) { return Below(n) == 0; }

  private:
    std::uint64_t state_;
};

// A block and what must be in it. The pattern follows from owner, serial and size, so that a block
// that overlaps another, or was handed out twice, differs.
struct Block {
    unsigned char *data = nullptr;
    std::size_t size = 0;
    std::size_t alignment = 0; // 0: not from hak_aligned_alloc
    std::uint32_t owner = 0;
    std::uint64_t serial = 0; // of its owner
};

// The one who allocates and frees; of one thread. What Make gives is drawn from numbers of its own:
// the n-th block of a worker has the same size and entry point in every run with one seed and id,
// whatever the worker got from others meanwhile. Takes nothing from the C library's heap: a signal
// handler may have one.
class Worker {
  public:
    Worker(const Options &options, std::uint32_t id);
    ~Worker();
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

    // For every choice but what Make gives.
    Random &random() { return random_; }
    // A block of a random size (each power of two is as likely) from a random entry point, filled.
    Block Make();
    // Checks the pattern, resizes to a random size, checks what was kept, fills; owner: this one.
    void Resize(Block *block);
    // Checks the pattern and frees.
    void Free(const Block &block);
    void FreeAll(std::vector<Block> *blocks);

  private:
    std::size_t RandomSize(Random *random) const;

    const Options &options_;
    const std::uint32_t id_;
    Random makes_; // for Make only
    Random random_;
    std::uint64_t serial_ = 0;
    std::uint64_t freed_ = 0; // not yet in the process's count
};

// Fails unless `block` holds its pattern.
void CheckBlock(const Block &block);

// A bounded queue of blocks. std::mutex, because ThreadSanitizer must see the hand-over.
class BlockQueue {
  public:
    static constexpr std::size_t kMaxBlocks = 4096;
    static constexpr std::size_t kMaxBytes = std::size_t{8} << 20;

    // Takes all of `blocks` and leaves it empty; false and nothing done when the queue is full.
    bool TryPush(std::vector<Block> *blocks);
    // Moves up to `count` blocks, random ones, to the end of `out`.
    void Pop(std::size_t count, Random *random, std::vector<Block> *out);
    // For the one who forks: the queue is still while it is locked.
    void Lock() { mutex_.lock(); }
    void Unlock() { mutex_.unlock(); }

  private:
    std::mutex mutex_;
    std::vector<Block> blocks_; // guarded by mutex_
    std::size_t bytes_ = 0;     // guarded by mutex_
};

// Runs body(0) .. body(threads - 1), each on a thread of its own, sets Stopped() after `seconds`
// or when all have returned, and joins them. Shows progress on stderr every ten seconds.
inline constexpr double kNoLimit = 1e9; // as `seconds`: the bodies know when they have done
void RunThreads(const char *what, int threads, double seconds,
                const std::function<void(int)> &body);
bool Stopped();

// The end of a run, also of a forked child: no other thread is in the allocator, and all blocks are
// freed. What looks at the whole allocator has its place here.
void EndOfRun();

// Bytes, of the whole process.
std::size_t ResidentBytes();
// False under a sanitizer: its shadow is most of what is resident.
bool ResidentIsMeaningful();

// Printed as "%.1f MiB".
double MiB(std::uint64_t bytes);

// The state to come back to. Made before the first block and with no other thread alive.
class Baseline {
  public:
    Baseline();
    // With all threads joined and all blocks freed: live bytes, large bytes and threads are what
    // they were, and after hak_trim(0) resident memory is above
    // the start's by no more than `slack` bytes. Prints the figures; fails otherwise.
    void CheckEnd(const char *what, std::size_t slack) const;

  private:
    std::uint64_t live_;
    std::uint64_t large_;
    std::uint64_t threads_;
    std::size_t resident_;
};

// What stays besides blocks: metadata, stacks that the C library keeps, handles in its heap.
inline constexpr std::size_t kResidentSlack = std::size_t{16} << 20;
inline constexpr std::size_t kResidentSlackPerThread = std::size_t{32} << 10;

} // namespace hak_stress

#endif // HAKMEM_STRESS_HARNESS_H_
