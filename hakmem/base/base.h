/* What every layer may assume of the compiler, and our own assertions.
 * Refuses: anything that knows what an allocator is. */
#ifndef HAKMEM_BASE_BASE_H_
#define HAKMEM_BASE_BASE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAK_LIKELY(x) __builtin_expect(!!(x), 1)
#define HAK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HAK_NOINLINE __attribute__((noinline))
#define HAK_COLD __attribute__((noinline, cold))
/* The compiler forgets what it knows of the variable. */
#define hak_opaque(n) __asm__("" : "+r"(n))
/* The variable is what is returned, or the second argument of the call that follows, and lies where
 * that must be from here on: the compiler would copy it there. */
#ifdef __x86_64__
#define hak_returned(v) __asm__("" : "+a"(v))
#define hak_second_argument(v) __asm__("" : "+S"(v))
#else
#define hak_returned(v) ((void)0)
#define hak_second_argument(v) ((void)0)
#endif
#define HAK_INLINE static inline __attribute__((always_inline))

/* Address Sanitizer watches this build (watch.h). What is HAK_UNWATCHED may touch free blocks all
 * the same; nothing else may. */
#if defined(__SANITIZE_ADDRESS__)
#define HAK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAK_ASAN 1
#endif
#endif
#ifdef HAK_ASAN
#define HAK_UNWATCHED static __attribute__((noinline, unused, no_sanitize_address))
#else
#define HAK_UNWATCHED HAK_INLINE
#endif

/* Asserts what only a bug of ours can break. Debug builds only. */
#ifdef NDEBUG
#define hak_assert(cond) ((void)0)
#else
#define hak_assert(cond) ((cond) ? (void)0 : hak_assert_failed(#cond, __FILE__, __LINE__))
#endif

#if defined(__aarch64__)
#define HAK_ADDRESS_BITS 48
#else
#define HAK_ADDRESS_BITS 47
#endif

/* --config=nochecks leaves the checks for double frees out of the hot path, to measure them. */
#ifdef HAK_NO_CHECKS
#define HAK_CHECKS 0
#else
#define HAK_CHECKS 1
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Writes "hakmem: internal error: ..." and aborts. */
void hak_assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

HAK_INLINE uint64_t align_up(uint64_t n, uint64_t to) { return (n + to - 1) & ~(to - 1); }
HAK_INLINE bool is_power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }
/* Set bits of `n`. Not the builtin, which is a call where the processor's type is not known. */
HAK_INLINE unsigned popcount(uint64_t n) {
    n -= n >> 1 & 0x5555555555555555u;
    n = (n & 0x3333333333333333u) + (n >> 2 & 0x3333333333333333u);
    n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(n * 0x0101010101010101u >> 56);
}
/* floor(log2(n)), n > 0. */
HAK_INLINE unsigned log2_floor(uint64_t n) { return 63 - (unsigned)__builtin_clzll(n); }

#endif
