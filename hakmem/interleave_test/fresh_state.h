/* Every execution begins as a process does: the layers' variables and the address space are put
 * back to what they were before the first. */
#ifndef HAKMEM_INTERLEAVE_TEST_FRESH_STATE_H_
#define HAKMEM_INTERLEAVE_TEST_FRESH_STATE_H_

#include <cstddef>

namespace interleave {

/* The variables of the shared library that the layers are compiled into, and fake_os.h. */
void ResetState();

} // namespace interleave

#endif
