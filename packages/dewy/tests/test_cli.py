"""The command as a person meets it: wrong use, and what it costs to start."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

import pytest

SERVER = ["server", "--registry", "file:///srv/releases"]


def dewy(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DEWY_")}
    return subprocess.run(
        [sys.executable, "-m", "dewy", *arguments],
        cwd=cwd, env={**clean, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["server"], "Missing option '--registry'"),
        ([*SERVER, "-p", "99999", "--", "x"], "--port '99999': a port is a number from 1 to 65535"),
        ([*SERVER, "-p", "8005-8000", "--", "x"], "--port '8005-8000': the range 8005-8000 is the wrong way round"),
        (
            [*SERVER, "-i", "soon", "--", "x"],
            "Invalid value for '-i' / '--interval': 'soon' is not a time. It takes one such as 30",
        ),
        ([*SERVER, "-i", "0", "--", "x"], "--interval is 0s. It takes 0.1s or more"),
        ([*SERVER], "no COMMAND to run. It stands after --"),
        ([*SERVER, "--colour", "--", "x"], "No such option"),
        ([*SERVER, "-l", "loud", "--", "x"], "Invalid value for '-l' / '--log-level': 'loud' is not one of"),
        ([*SERVER, "-C", "/no/such/place", "--", "x"], "Invalid value for '-C' / '--directory'"),
        ([*SERVER, "--keep-releases", "1", "--", "x"], "Invalid value for '--keep-releases'"),
        ([*SERVER, "--max-size", "lots", "--", "x"], "Invalid value for '--max-size': 'lots' is not a size"),
        (["server", "--registry", "shelf://x", "--", "x"], "no registry plugin handles shelf:// (installed: "),
        (["server", "--registry", "releases", "--", "x"], "'releases' is not a URL"),
        (
            ["server", "--registry", "file:///srv?colour=red", "--", "x"],
            "unknown option 'colour' in the registry URL file:///srv?colour=***. "
            "A file:// registry URL knows these options: artifact, pre-release",
        ),
        (
            ["server", "--registry", "file:///srv?pre-release=maybe", "--", "x"],
            "option 'pre-release' in the registry URL file:///srv?pre-release=maybe is 'maybe'. It takes true or false",
        ),
        (["assets", "--registry", "file:///srv", "-p", "8000"], "No such option"),
        (["deploy"], "No such command 'deploy'"),
    ],
)
def test_wrong_use_is_status_2_and_one_clear_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    done = dewy(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
    assert done.stderr.startswith("dewy: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "distribution"),
    [
        (["--registry", "ghr://owner/repo"], "dewy-registry-ghr"),
        (["--registry", "file:///srv", "--cache", "redis://localhost"], "dewy-cache-redis"),
        (["--registry", "file:///srv", "--notifier", "slack://ops"], "dewy-notifier-slack"),
    ],
)
def test_a_backend_that_is_not_installed_is_named(tmp_path: Path, options: list[str], distribution: str) -> None:
    if any(distribution == installed.name for installed in distributions()):
        pytest.skip(f"{distribution} is installed here")
    done = dewy("server", *options, "--", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith(f"Install it: pip install {distribution}\n")
    assert done.stderr.count("\n") == 1


def test_options_come_from_the_environment_too(tmp_path: Path) -> None:
    done = dewy("assets", cwd=tmp_path, DEWY_REGISTRY="shelf://x")
    assert "no registry plugin handles shelf://" in done.stderr
    done = dewy(*SERVER, "--", "x", cwd=tmp_path, DEWY_INTERVAL="soon")
    assert "'soon' is not a time" in done.stderr


def test_the_old_spelling_of_notifier_is_accepted_with_a_warning(tmp_path: Path) -> None:
    done = dewy(*SERVER, "--notify", "shelf://x", "--", "x", cwd=tmp_path)
    assert done.stderr.splitlines()[0] == "dewy: --notify is deprecated: use --notifier"
    assert "no notifier plugin handles shelf://" in done.stderr


def test_a_root_that_cannot_be_used_is_a_failure_that_names_it(tmp_path: Path) -> None:
    (tmp_path / ".dewy").write_text("in the way")
    done = dewy(*SERVER, "--", "x", cwd=tmp_path)
    assert done.returncode == 1
    assert f"using the directory {tmp_path} failed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_secret_in_a_url_is_in_no_error(tmp_path: Path) -> None:
    for url in ("shelf://user:canary@host", "file://user:canary@host/x?y=1", "file://user:canary@host:port"):
        done = dewy("server", "--registry", url, "--", "x", cwd=tmp_path)
        assert done.returncode == 2
        assert "canary" not in done.stderr


def test_without_a_command_the_help_is_shown() -> None:
    for arguments in ([], ["plugins"]):
        done = dewy(*arguments)
        assert done.returncode == 2
        assert "Usage: dewy" in done.stderr
    for command in ("server", "assets", "check", "plugins", "demo"):
        done = dewy(command, "-h")
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: dewy")


def test_the_version_is_told() -> None:
    assert dewy("--version").stdout == dewy("-v").stdout == "dewy 1.0.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    done = dewy(_DEWY_COMPLETE=f"{shell}_source")
    assert done.returncode == 0
    assert "_DEWY_COMPLETE" in done.stdout


def test_plugins_are_listed_for_people_and_programs() -> None:
    listed = dewy("plugins", "list")
    assert listed.returncode == 0
    assert "file://" in listed.stdout
    rows = json.loads(dewy("plugins", "list", "--json").stdout)
    builtin = next(row for row in rows if row["distribution"] == "dewy")
    assert builtin["state"] == "loaded"
    registry = next(item for item in builtin["provides"] if item["kind"] == "registry")
    assert registry["schemes"] == ["file"]
    assert {option["name"] for option in registry["options"]} == {"artifact", "pre-release"}


def test_a_broken_plugin_leaves_everything_else_working(tmp_path: Path) -> None:
    from dewy.testing import write_distribution

    write_distribution(
        tmp_path, "dewy-bad", "0.1", entry_points={"bad": "dewy_bad"}, modules={"dewy_bad.py": "import no_such_sdk"}
    )
    environ = {"PYTHONPATH": str(tmp_path)}
    assert dewy("--help", **environ).returncode == 0
    listed = dewy("plugins", "list", **environ)
    assert listed.returncode == 0
    assert "ModuleNotFoundError: No module named 'no_such_sdk'" in listed.stdout
    assert "broken" in listed.stdout


def test_output_that_nobody_reads_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m dewy plugins list | true", shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""


def test_starting_loads_nothing_that_is_not_needed() -> None:
    heavy = {"boto3", "botocore", "httpcore", "h11", "asyncio", "ssl", "zstandard", "google", "grpc", "redis", "slack_sdk"}
    for arguments in (["--version"], ["plugins", "list"]):
        loaded = run_python(
            "import sys\nfrom dewy.cli import _run\n"
            f"status = _run({arguments!r})\nprint('loaded:', sorted({heavy!r} & set(sys.modules)), status)"
        )
        assert "loaded: [] 0" in loaded


def test_starting_is_quick() -> None:
    """Less than three times what importing click takes, in one run, by the median."""

    def seconds(*command: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=60)
        return time.perf_counter() - began

    ratios: dict[str, list[float]] = {"--version": [], "plugins list": []}
    for _ in range(7):
        click = seconds("-c", "import click")
        for command, found in ratios.items():
            found.append(seconds("-m", "dewy", *command.split()) / click)
    medians = {command: statistics.median(found) for command, found in ratios.items()}
    assert all(median < 3 for median in medians.values()), medians


def publish(registry: Path, version: str, *names: str) -> None:
    """Files of a version that was published long ago."""
    folder = registry / version
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    os.utime(folder, (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize(
    ("names", "query", "line"),
    [
        (
            ["a_linux_amd64.tar.gz", "b_linux_amd64.tar.gz"],
            "",
            "v1.0.0 has 2 files that fit linux/amd64 equally well: a_linux",
        ),
        (
            ["a_linux_amd64.tar.gz"],
            "?artifact=other.zip",
            "v1.0.0 has no file other.zip: its files are a_linux_amd64.tar.gz",
        ),
        (["a_windows_amd64.zip"], "", "v1.0.0 has no file that is known to fit linux/amd64"),
        ([], "", "v1.0.0 has no file"),
    ],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the names are for linux/amd64")
def test_check_fails_in_one_line_for_what_cannot_be_deployed(
    tmp_path: Path, names: list[str], query: str, line: str
) -> None:
    publish(tmp_path / "registry", "v1.0.0", *names)
    done = dewy("check", "--registry", f"file://{tmp_path}/registry{query}", "-C", str(tmp_path), "--", "x")
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_check_tells_what_would_be_done(tmp_path: Path) -> None:
    publish(tmp_path / "registry", "v1.0.0", "app.tar.gz")
    done = dewy("check", "--registry", f"file://{tmp_path}/registry", "-C", str(tmp_path), "--", "x")
    assert done.returncode == 0
    assert done.stdout.endswith("decision  deploy v1.0.0: nothing runs here yet\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = dewy(*SERVER, "-C", str(tmp_path), "--", "x")
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert done.stderr.count("\n") == 1
