"""Abseil, GoogleTest and Google Benchmark as the system has them, found by pkg-config.

Targets have the names of Bazel's central registry (@abseil-cpp//absl/strings, @googletest//:gtest),
so a BUILD file does not know which world it is in. Headers come from the compiler's default path.
"""

# Bazel package -> target -> the pkg-config module that has it.
_ABSEIL = {
    "absl/algorithm": {"container": "absl_algorithm_container"},
    "absl/base": {"core_headers": "absl_core_headers"},
    "absl/cleanup": {"cleanup": "absl_cleanup"},
    "absl/container": {
        "fixed_array": "absl_fixed_array",
        "flat_hash_map": "absl_flat_hash_map",
        "flat_hash_set": "absl_flat_hash_set",
        "inlined_vector": "absl_inlined_vector",
    },
    "absl/flags": {
        "commandlineflag": "absl_flags_commandlineflag",
        "flag": "absl_flags",
        "parse": "absl_flags_parse",
        "reflection": "absl_flags_reflection",
        "usage": "absl_flags_usage",
    },
    "absl/numeric": {
        "bits": "absl_bits",
        "int128": "absl_int128",
    },
    "absl/random": {
        "distributions": "absl_random_distributions",
        "random": "absl_random_random",
    },
    "absl/status": {
        "status": "absl_status",
        "statusor": "absl_statusor",
    },
    "absl/strings": {
        "str_format": "absl_str_format",
        "strings": "absl_strings",
    },
    "absl/synchronization": {"synchronization": "absl_synchronization"},
    "absl/time": {"time": "absl_time"},
    "absl/types": {
        "optional": "absl_optional",
        "span": "absl_span",
    },
}

_GOOGLETEST = {
    "": {
        "gtest": "gtest",
        "gtest_main": "gtest_main",
    },
}

_BENCHMARK = {"": {"benchmark": "benchmark"}}

# Debian 12 has the library benchmark_main, and no .pc file for it.
_BENCHMARK_MAIN = """
cc_library(
    name = "benchmark_main",
    linkopts = ["-lbenchmark_main"],
    deps = [":benchmark"],
)
"""

_HEADER = """\
load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])
"""

_LIBRARY = """
cc_library(
    name = "{name}",
    defines = {defines},
    linkopts = {linkopts},
)
"""

def _pkg_config(repository_ctx, option, module):
    result = repository_ctx.execute(["pkg-config", option, module])
    if result.return_code != 0:
        fail("pkg-config does not know %s; is the package %s installed? It says: %s" %
             (module, repository_ctx.attr.debian_package, result.stderr))
    return [word for word in result.stdout.replace("\n", " ").split(" ") if word]

def _library(repository_ctx, name, module):
    cflags = _pkg_config(repository_ctx, "--cflags", module)
    for flag in cflags:
        if flag.startswith("-I"):
            fail("%s has its headers outside the compiler's own path: %s" % (module, flag))
    libs = _pkg_config(repository_ctx, "--libs", module)
    if libs:
        # pkg-config names every library below this one; a program loads those it uses.
        libs = ["-Wl,--push-state,--as-needed"] + libs + ["-Wl,--pop-state"]
    return _LIBRARY.format(
        name = name,
        defines = [flag[2:] for flag in cflags if flag.startswith("-D")],
        linkopts = libs,
    )

def _system_library_impl(repository_ctx):
    for package, targets in repository_ctx.attr.packages.items():
        build = _HEADER
        for target in targets:
            name, module = target.split("=")
            build += _library(repository_ctx, name, module)
        build += repository_ctx.attr.extra
        repository_ctx.file((package + "/" if package else "") + "BUILD.bazel", build)

_system_library = repository_rule(
    implementation = _system_library_impl,
    configure = True,
    environ = ["PKG_CONFIG_PATH"],
    local = True,
    attrs = {
        "debian_package": attr.string(),
        "extra": attr.string(doc = "What is added to each BUILD file as it stands."),
        "packages": attr.string_list_dict(doc = "Bazel package -> TARGET=MODULE, ..."),
    },
)

def _declare(name, debian_package, packages, extra = ""):
    _system_library(
        name = name,
        debian_package = debian_package,
        extra = extra,
        packages = {
            package: ["%s=%s" % item for item in targets.items()]
            for package, targets in packages.items()
        },
    )

def abseil(name):
    _declare(name, "libabsl-dev", _ABSEIL)

def googletest(name):
    """:gtest and :gtest_main, without gmock, which Debian packages apart."""
    _declare(name, "libgtest-dev", _GOOGLETEST)

def google_benchmark(name):
    _declare(name, "libbenchmark-dev", _BENCHMARK, _BENCHMARK_MAIN)
