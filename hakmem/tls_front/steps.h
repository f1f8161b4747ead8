/* For tests: malloc and free as the entry files compose them of this layer's steps. */
#ifndef HAKMEM_TLS_FRONT_STEPS_H_
#define HAKMEM_TLS_FRONT_STEPS_H_

#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <vector>

#include "hakmem/base/expect_report.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/cap.h"
#include "hakmem/tls_front/tls_front.h"

constexpr unsigned kClass = 3; /* 64 bytes */

inline void *allocate(unsigned c) {
    void *block = front_pop(c << CLASS_SCALE);
    if (block != nullptr) return block;
    EXPECT_TRUE(front_enter());
    block = hak_front_take(c);
    front_leave();
    return block;
}

inline void give(void *block) {
    if (front_push(block)) return;
    uint32_t word = registry_word(block);
    bool cold = word - 1 < WORD_CHECKED - 1 && front_is_cold(word);
    if (cold && hak_front_free_on(block, word)) return;
    EXPECT_TRUE(front_enter());
    hak_front_free(block, word_class(registry_word(block)));
    front_leave();
}

inline void flush() {
    ASSERT_TRUE(front_enter());
    hak_front_flush();
    front_leave();
}

/* What malloc took makes room for free now, not when free looks closer. */
inline void make_room(unsigned c) {
    list_pair *list = &hak_front.heap->lists.of[c];
    list_use *use = &hak_front.heap->use[c];
    list_set_room(list, use, list_room(list, use));
}

/* Uses class `c` until its list may keep blocks. */
inline void warm_up(unsigned c) {
    for (int i = 0; i < 4 * FRONT_COLD_TURNS; i++) {
        std::vector<void *> blocks;
        for (int n = 0; n < 4; n++) blocks.push_back(allocate(c));
        for (void *b : blocks) give(b);
    }
    ASSERT_GT(hak_front.heap->lists.of[c].cap, 0u);
}

/* Blocks that are out of their slabs, for whatever reason. */
inline uint64_t bytes_out() {
    shared_pool_stats s;
    hak_shared_pool_stats(&s);
    return s.live_bytes;
}

/* The thread's front, where every class is cold, whatever the thread before it did. */
inline bool start_cold() {
    if (!hak_front_start()) return false;
    hak_caps_forget(hak_front.heap);
    return true;
}

/* Threads with a front, as many as find their small classes warm: while they live, no other
 * does. */
class FirstThreads {
  public:
    FirstThreads() {
        for (int i = 0; i < FRONT_WARM_THREADS; i++) {
            std::promise<void> has_front;
            std::future<void> ready = has_front.get_future();
            ends_.emplace_back();
            std::future<void> ended = ends_.back().get_future();
            threads_.emplace_back([&has_front, ended = std::move(ended)] {
                EXPECT_TRUE(hak_front_start());
                has_front.set_value();
                ended.wait();
                hak_front_end();
            });
            ready.wait();
        }
    }
    ~FirstThreads() {
        while (!threads_.empty()) EndOne();
    }
    void EndOne() {
        ends_.back().set_value();
        threads_.back().join();
        ends_.pop_back();
        threads_.pop_back();
    }

  private:
    std::vector<std::promise<void>> ends_;
    std::vector<std::thread> threads_;
};

/* Each test runs in a thread of its own, which has a front from start to end. */
template <typename Body> inline void in_a_thread(Body body) {
    std::thread([&] {
        ASSERT_TRUE(start_cold());
        body();
        hak_front_end();
    }).join();
}

/* expect_report for what a heap does. */
template <typename Body> inline void expect_heap_report(const char *line, Body body) {
    expect_report(line, [&] {
        hak_front_start();
        body(hak_front.heap);
    });
}

#endif
