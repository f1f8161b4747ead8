#!/bin/sh
# Runs a test whose counts go into its profile as they grow (%c). Else they are written at exit, and
# a process that aborts, as after a misuse, or a forked child that leaves by _exit counts nothing.
LLVM_PROFILE_FILE=${LLVM_PROFILE_FILE%.profraw}%c.profraw exec "$@"
