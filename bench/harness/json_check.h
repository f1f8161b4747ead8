// For tests: is a text JSON, and what stands in it?
#ifndef HAKMEM_BENCH_HARNESS_JSON_CHECK_H_
#define HAKMEM_BENCH_HARNESS_JSON_CHECK_H_

#include <string>

namespace hak_bench {

// True when `text` is one JSON value (RFC 8259) and white space.
bool IsJson(const std::string &text);

} // namespace hak_bench

#endif // HAKMEM_BENCH_HARNESS_JSON_CHECK_H_
