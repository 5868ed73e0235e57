"""The package as it is built for others: the page is in it, however it got there, or its absence is told."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

import hatch_build

ROOT = Path(__file__).parents[1]
PAGE = "listener/page/index.html"
BUILT_BEFORE = "<p>built before</p>"
LEFT_OUT = shutil.ignore_patterns(
    ".*", "node_modules", "__pycache__", "index.html", "tests", "benchmarks", "dist"
)

needs_npm = pytest.mark.skipif(
    shutil.which("npm") is None and os.environ.get("CI") != "true", reason="no npm: apt install npm"
)


@dataclass(frozen=True)
class Checkout:
    """A copy to build from, on a machine that has nothing in its PATH but what is put there."""

    place: Path
    programs: Path

    def npm(self, *lines: str) -> None:
        program = self.programs / "npm"
        program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        program.chmod(0o755)

    def said(self) -> list[str]:
        log = self.programs / "said"
        return log.read_text().splitlines() if log.exists() else []

    def build(self, target: str, path: str = "") -> tuple[Path, str]:
        """The file, and what was said."""
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", self.place / "dist"],
            cwd=self.place,
            env=os.environ | {"PATH": path or str(self.programs)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (file,) = (self.place / "dist").glob("*.whl" if target == "wheel" else "*.tar.gz")
        return file, done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    place, programs = tmp_path / "checkout", tmp_path / "programs"
    shutil.copytree(ROOT, place, ignore=LEFT_OUT)
    shutil.copy(ROOT / ".gitignore", place)
    # Files that begin with a dot, or are called as the page is, were left out above.
    for name in ("web/.npmrc", "web/index.html"):
        shutil.copy(ROOT / name, place / name)
    programs.mkdir()
    return Checkout(place, programs)


def page_in(wheel: Path) -> str | None:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(PAGE).decode() if PAGE in archive.namelist() else None


def test_a_wheel_has_the_page_that_npm_builds(checkout: Checkout) -> None:
    (checkout.place / PAGE).write_text(BUILT_BEFORE)
    checkout.npm(
        f'echo "$@" >>{checkout.programs}/said',
        f'if [ "$1" = run ]; then echo "built in ${{PWD##*/}}" >../{PAGE}; fi',
    )
    wheel, remarks = checkout.build("wheel")

    assert page_in(wheel) == "built in web\n"
    assert [line.split()[0] for line in checkout.said()] == ["ci", "run"]
    assert "WITHOUT" not in remarks


def test_without_npm_a_wheel_has_the_page_that_was_built_before(checkout: Checkout) -> None:
    (checkout.place / PAGE).write_text(BUILT_BEFORE)
    wheel, remarks = checkout.build("wheel")

    assert page_in(wheel) == BUILT_BEFORE
    assert "with the page that was built before, because npm is missing" in remarks


def test_without_npm_and_page_there_is_a_wheel_and_a_warning(checkout: Checkout) -> None:
    wheel, remarks = checkout.build("wheel")

    assert page_in(wheel) is None
    with zipfile.ZipFile(wheel) as archive:
        assert "listener/page/__init__.py" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith(("web", "hatch_build"))]
    assert "WITHOUT THE PAGE, because npm is missing" in remarks


@pytest.mark.parametrize("step", ["ci", "run"])
def test_when_npm_fails_its_words_are_passed_on(checkout: Checkout, step: str) -> None:
    checkout.npm(
        f'[ "$1" != {step} ] || {{ echo "SyntaxError: unexpected token" >&2; exit 1; }}',
    )
    wheel, remarks = checkout.build("wheel")

    assert page_in(wheel) is None
    assert "WITHOUT THE PAGE" in remarks
    assert f"npm {step}" in remarks
    assert "SyntaxError: unexpected token" in remarks


def test_an_editable_installation_is_quick(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.npm(f'echo "$@" >>{checkout.programs}/said')
    monkeypatch.setenv("PATH", str(checkout.programs))
    nothing = cast("Any", None)
    hook = hatch_build.Page(str(checkout.place), {}, nothing, nothing, "", "wheel")
    hook.initialize("editable", {})
    assert checkout.said() == []

    hook.initialize("standard", {})
    assert len(checkout.said()) == 2


@needs_npm
@pytest.mark.timeout(300)
def test_a_wheel_from_the_sources_has_the_page_also_where_there_is_no_npm(
    checkout: Checkout, tmp_path: Path
) -> None:
    wheel, remarks = checkout.build("wheel", path=os.environ["PATH"])
    built = page_in(wheel)

    assert "because" not in remarks
    assert built
    assert "<script" in built
    assert "<style" in built
    assert " src=" not in built.partition("</head>")[0]

    sources, _ = checkout.build("sdist")
    with tarfile.open(sources) as archive:
        archive.extractall(tmp_path, filter="data")
    (place,) = tmp_path.glob("les02_listener-*")
    names = {str(path.relative_to(place / "web")) for path in (place / "web").rglob("*")}
    assert {".npmrc", "index.html", "package.json", "package-lock.json", "src/main.tsx"} <= names
    assert "node_modules" not in names

    wheel, _ = Checkout(place, checkout.programs).build("wheel")
    assert page_in(wheel) == built
