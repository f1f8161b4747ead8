/* An input's bytes, read as small choices. One that is used up reads as zeros. */
#ifndef FUZZ_INPUT_H_
#define FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>

class Input {
  public:
    Input(const uint8_t *data, size_t size) : at_(data), end_(data + size) {}

    bool empty() const { return at_ == end_; }
    uint8_t byte() { return empty() ? 0 : *at_++; }
    /* Of `bytes` bytes, the lowest first. */
    uint64_t number(unsigned bytes) {
        uint64_t n = 0;
        for (unsigned i = 0; i < bytes; i++) n |= static_cast<uint64_t>(byte()) << (8 * i);
        return n;
    }
    /* Less than `count`, which is not 0. */
    size_t below(size_t count) { return number(count <= 256 ? 1 : 2) % count; }

  private:
    const uint8_t *at_, *end_;
};

#endif
