// Threads wait for each other, any number of times. std::barrier is C++20; this one is made of
// what ThreadSanitizer understands.
#ifndef HAKMEM_BENCH_HARNESS_RENDEZVOUS_H_
#define HAKMEM_BENCH_HARNESS_RENDEZVOUS_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace hak_bench {

class Rendezvous {
  public:
    explicit Rendezvous(int threads) : threads_(threads) {}

    // Returns when all threads have called it.
    void Wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        const std::uint64_t turn = turn_;
        if (++waiting_ == threads_) {
            waiting_ = 0;
            ++turn_;
            all_here_.notify_all();
            return;
        }
        all_here_.wait(lock, [&] { return turn_ != turn; });
    }

  private:
    const int threads_;
    std::mutex mutex_; // guards what follows
    std::condition_variable all_here_;
    int waiting_ = 0;
    std::uint64_t turn_ = 0;
};

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_RENDEZVOUS_H_
