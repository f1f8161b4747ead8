"""Stand-ins for the rule sets that a Bazel without a network cannot download.

Bazel 4 has the C++, Java and shell rules built in; newer versions load the same rules from
repositories. These repositories have the newer names and hand on the built-in rules.
"""

_CC_RULES = [
    "cc_binary",
    "cc_import",
    "cc_library",
    "cc_test",
    "cc_toolchain",
    "cc_toolchain_suite",
]

_JAVA_RULES = [
    "java_binary",
    "java_import",
    "java_library",
    "java_package_configuration",
    "java_plugin",
    "java_runtime",
    "java_test",
    "java_toolchain",
]

def _write_rules(repository_ctx, package, rules):
    """Writes PACKAGE/defs.bzl with all the rules, and PACKAGE/RULE.bzl for each."""
    repository_ctx.file(package + "/BUILD", "")
    lines = ["%s = native.%s" % (rule, rule) for rule in rules]
    repository_ctx.file(package + "/defs.bzl", "\n".join(lines) + "\n")
    for rule in rules:
        repository_ctx.file("%s/%s.bzl" % (package, rule), "%s = native.%s\n" % (rule, rule))

def _rules_cc_impl(repository_ctx):
    _write_rules(repository_ctx, "cc", _CC_RULES)

def _rules_java_impl(repository_ctx):
    _write_rules(repository_ctx, "java", _JAVA_RULES)

def _rules_shell_impl(repository_ctx):
    _write_rules(repository_ctx, "shell", ["sh_binary", "sh_library", "sh_test"])

def _remote_coverage_tools_impl(repository_ctx):
    # Bazel's own merger of coverage files is a Java program that it downloads.
    repository_ctx.file("BUILD", """\
package(default_visibility = ["//visibility:public"])

alias(
    name = "Main",
    actual = "@//tools/coverage:report_generator",
)

alias(
    name = "coverage_report_generator",
    actual = "@//tools/coverage:report_generator",
)

alias(
    name = "lcov_merger",
    actual = "@//tools/coverage:lcov_merger",
)

alias(
    name = "coverage_output_generator",
    actual = "@//tools/coverage:lcov_merger",
)
""")

rules_cc = repository_rule(implementation = _rules_cc_impl)

rules_java = repository_rule(implementation = _rules_java_impl)

rules_shell = repository_rule(implementation = _rules_shell_impl)

remote_coverage_tools = repository_rule(implementation = _remote_coverage_tools_impl)
