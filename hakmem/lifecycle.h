/* Start, thread exit, fork. */
#ifndef HAKMEM_LIFECYCLE_H_
#define HAKMEM_LIFECYCLE_H_

/* The calling thread has a heap now, which must end with it. */
void hak_lifecycle_thread_started(void);

#endif
