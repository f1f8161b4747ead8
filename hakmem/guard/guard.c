#include "hakmem/guard/guard.h"

uint32_t hak_guard = GUARD_UNREAD;
