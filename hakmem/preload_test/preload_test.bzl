"""Tests that run something under the preloaded libhakmem.so."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("@rules_shell//shell:sh_test.bzl", "sh_test")

_LIBRARY = "//hakmem:libhakmem.so"

# A test may not lose its calls of malloc and free to the compiler, in any build.
TEST_COPTS = [
    "-O1",
    "-U_FORTIFY_SOURCE",
    "-fno-builtin",
]

def preload_cc_test(name, srcs, args = [], data = [], deps = [], size = "small", timeout = None):
    """A program, and a test NAME_test that runs it with the library in LD_PRELOAD.

    Args:
      name: the program.
      srcs: its sources.
      args: its arguments.
      data: what it reads when it runs.
      deps: what it is linked with.
      size: the test's.
      timeout: the test's.
    """
    cc_binary(
        name = name,
        testonly = True,
        srcs = srcs + ["check.h"],
        copts = TEST_COPTS,
        linkopts = [
            "-ldl",
            "-pthread",
        ],
        deps = deps,
    )
    preload_sh_test(
        name = name + "_test",
        src = "preload_test.sh",
        args = ["$(rootpath :%s)" % name] + args,
        data = [":" + name] + data,
        size = size,
        timeout = timeout,
    )

def preload_sh_test(name, src, args = [], data = [], size = "small", timeout = None):
    """A shell test whose first argument is the library.

    Args:
      name: the test.
      src: the script.
      args: its further arguments.
      data: what it reads when it runs.
      size: the test's.
      timeout: the test's.
    """
    sh_test(
        name = name,
        size = size,
        timeout = timeout,
        srcs = [src],
        args = ["$(rootpath %s)" % _LIBRARY] + args,
        data = [_LIBRARY] + data,
        # A sanitizer's runtime cannot be preloaded into programs that are not built with it.
        tags = ["no-sanitizer"],
    )
