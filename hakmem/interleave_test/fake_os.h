/* Stands for os_backend: address space that is the same in every execution, and that knows what is
 * mapped. Each call is a step. */
#ifndef HAKMEM_INTERLEAVE_TEST_FAKE_OS_H_
#define HAKMEM_INTERLEAVE_TEST_FAKE_OS_H_

#include <cstddef>

namespace interleave {

/* All that hak_os_map gives lies in [FakeBase(), FakeBase() + kFakeBytes). */
constexpr size_t kFakeBytes = size_t{256} << 20;
char *FakeBase();
void ResetFakeOs();
/* Whether every byte of the range is mapped now. */
bool IsMapped(const void *base, size_t bytes);
/* Called when a range is purged or unmapped, before it is: for an oracle. */
using GoneFn = void (*)(const char *base, size_t bytes);
void OnGone(GoneFn fn);

} // namespace interleave

#endif
