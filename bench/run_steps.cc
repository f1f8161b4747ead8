// Sanitizers end the program at a size that no malloc can serve, unless told otherwise.
extern "C" {
const char *__asan_default_options();
const char *__tsan_default_options();

const char *__asan_default_options() { return "allocator_may_return_null=1"; }
const char *__tsan_default_options() { return "allocator_may_return_null=1"; }
}
