"""What all tests share: programs that may be absent, Hypothesis's profile, `--no-skips`."""

import shutil
from collections.abc import Iterator

import pytest
from hypothesis import settings

PROGRAMS = {
    "redis_server": ("redis-server",),
    "redis_cli": ("redis-cli", "redis-benchmark"),
    "strace": ("strace",),
}

# Derandomized: a run in CI repeats what the commit's author saw. Wider draws belong to a soak.
settings.register_profile("anel", deadline=None, derandomize=True, database=None)
settings.load_profile("anel")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="fail the run when any test was skipped"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark, programs in PROGRAMS.items():
            if item.get_closest_marker(mark) is None:
                continue
            for program in programs:
                if shutil.which(program) is None:
                    item.add_marker(pytest.mark.skip(reason=f"{program} is not installed"))


def skipped(config: pytest.Config) -> Iterator[str]:
    """Yield what was skipped, by name."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        for report in reporter.stats.get("skipped", ()):
            yield report.nodeid


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--no-skips") and any(skipped(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.getoption("--no-skips"):
        for name in skipped(config):
            terminalreporter.write_line(f"FAILED by --no-skips: {name} was skipped")
