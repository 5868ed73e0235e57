"""build_page of tests/setup.sh, with an npm that only notes what it is asked for."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("bash", "cat", "cmp", "cp", "find", "flock", "mkdir", "rm", "sha256sum", "sort", "xargs")
# As the real one: `ci` empties node_modules before it fills it.
NPM = """#!/bin/sh
[ "$1 $2" = "--prefix web" ] || exit 9
shift 2
echo "$1" >>asked
[ "$1" != "$(cat fails 2>/dev/null)" ] || { echo "npm error one"; echo "npm error two" >&2; exit 1; }
if [ "$1" = ci ]; then rm -rf web/node_modules; mkdir web/node_modules; fi
if [ "$1" = run ]; then cat web/src/main.tsx >listener/page/index.html; fi
"""


@dataclass(frozen=True)
class Checkout:
    place: Path

    def write(self, name: str, text: str) -> None:
        (self.place / name).parent.mkdir(parents=True, exist_ok=True)
        (self.place / name).write_text(text)

    def page(self) -> str:
        return (self.place / "listener/page/index.html").read_text()

    def build(self) -> tuple[int, list[str], list[str]]:
        """Exit code, what npm was asked for, what was said."""
        asked = self.place / "asked"
        asked.unlink(missing_ok=True)
        done = subprocess.run(
            [
                self.place / "bin/bash",
                "-euc",
                f'. "{ROOT}/tests/setup.sh"; build_page || exit 7',
                "start_dev.sh",
            ],
            cwd=self.place,
            env={"PATH": str(self.place / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == ""
        words = asked.read_text().split() if asked.exists() else []
        return done.returncode, words, done.stderr.splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path)
    checkout.write("web/package-lock.json", "{}")
    checkout.write("web/src/main.tsx", "one")
    checkout.write("listener/page/__init__.py", "")
    checkout.write("bin/npm", NPM)
    (tmp_path / "bin/npm").chmod(0o755)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (tmp_path / "bin" / tool).symlink_to(found)
    return checkout


def test_the_page_is_built_once(checkout: Checkout) -> None:
    code, asked, said = checkout.build()
    assert (code, asked, checkout.page()) == (0, ["ci", "run"], "one")
    assert said[-1] == "start_dev.sh: built the page"
    assert checkout.build() == (0, [], [])


def test_what_has_changed_is_built_again_and_nothing_is_installed_for_it(checkout: Checkout) -> None:
    checkout.build()
    checkout.write("web/src/main.tsx", "two")
    assert checkout.build()[:2] == (0, ["run"])
    assert checkout.page() == "two"
    checkout.write("web/src/new.ts", "")
    assert checkout.build()[1] == ["run"]
    (checkout.place / "web/src/new.ts").unlink()
    assert checkout.build()[1] == ["run"]


def test_what_the_build_has_left_in_node_modules_is_no_change(checkout: Checkout) -> None:
    checkout.build()
    checkout.write("web/node_modules/.vite/cache", "new")
    assert checkout.build() == (0, [], [])


def test_other_versions_are_installed(checkout: Checkout) -> None:
    checkout.build()
    checkout.write("web/package-lock.json", '{"newer": true}')
    assert checkout.build()[1] == ["ci", "run"]


def test_a_page_that_is_gone_or_another_is_built_again(checkout: Checkout) -> None:
    checkout.build()
    checkout.write("listener/page/index.html", "of another checkout")
    assert checkout.build()[1] == ["run"]
    (checkout.place / "listener/page/index.html").unlink()
    assert checkout.build()[1] == ["run"]
    assert checkout.page() == "one"


@pytest.mark.parametrize(("step", "next_time"), [("ci", ["ci", "run"]), ("run", ["run"])])
def test_a_failure_is_one_line_and_tried_again(checkout: Checkout, step: str, next_time: list[str]) -> None:
    checkout.write("fails", step)
    code, _, said = checkout.build()
    assert code == 7
    assert [line for line in said if "installing" not in line] == [
        "start_dev.sh: the page could not be built; Node 18 or newer? "
        "To see why: (cd web && npm ci && npm run build)"
    ]
    (checkout.place / "fails").unlink()
    assert checkout.build()[:2] == (0, next_time)


def test_without_npm_it_is_said_in_one_line_unless_there_is_a_page(checkout: Checkout) -> None:
    (checkout.place / "bin/npm").unlink()
    assert checkout.build() == (
        7,
        [],
        ["start_dev.sh: the listener will have no page, as there is no npm. Type: sudo apt install npm"],
    )
    checkout.write("listener/page/index.html", "from an archive")
    assert checkout.build() == (7, [], [])
