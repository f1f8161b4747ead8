/* Files by system calls that are no cancellation points, as read() and write() are: a thread that
 * is cancelled inside the allocator would leave what it holds behind, its locks too. They fail as
 * their namesakes do: -1 and errno. */
#ifndef HAKMEM_BASE_FILE_H_
#define HAKMEM_BASE_FILE_H_

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "hakmem/base/base.h"

/* For reading. */
HAK_INLINE int file_open(const char *path) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

HAK_INLINE ssize_t file_read(int file, void *bytes, size_t most) {
    return (ssize_t)syscall(SYS_read, file, bytes, most);
}

HAK_INLINE ssize_t file_write(int file, const void *bytes, size_t most) {
    return (ssize_t)syscall(SYS_write, file, bytes, most);
}

HAK_INLINE void file_close(int file) { syscall(SYS_close, file); }

#endif
