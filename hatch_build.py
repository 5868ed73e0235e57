"""Puts the page into the wheel: builds it from web/ if npm is here, else takes the one that was built before.

Without either the wheel is made all the same: the daemon needs no page, and tells at `GET /` how to have one.
An editable installation is left alone; start_dev.sh and tests/run build the page for it.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STEPS = (
    # Of what is installed only the build itself may run code; and NODE_ENV=production would leave it out.
    ("ci", "--ignore-scripts", "--include=dev", "--prefer-offline"),
    ("run", "build"),
)


class Page(BuildHookInterface[BuilderConfig]):
    def initialize(self, version: str, _: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        if trouble := _build(root / "web"):
            is_there = (root / "listener/page/index.html").exists()
            what = "with the page that was built before" if is_there else "WITHOUT THE PAGE"
            self.app.display_warning(f"les02-listener is packed {what}, because {trouble}")


def _build(web: Path) -> str:
    """What is in the way, if anything is."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is missing (Node 18 or newer); Debian: sudo apt install npm"
    for step in STEPS:
        done = subprocess.run([npm, *step], cwd=web, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            return f"`npm {' '.join(step)}` failed in {web}:\n{done.stdout}{done.stderr}"
    return ""
