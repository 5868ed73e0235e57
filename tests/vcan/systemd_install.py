"""Puts the program where the manual has it, without a network: `python systemd_install.py REPOSITORY TARGET`.

TARGET/venv gets what pyproject.toml names as dependencies, copied from the environment of the Python that
runs this, and nothing else: a dependency that is used but not named would be missed. It works where TARGET is
seen as /opt/les02-listener, and this Python's base, which is printed, as /opt/python unless it is in /usr.
"""

import compileall
import re
import shutil
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

PLACE = Path("/opt/les02-listener")
COPIED = ("listener", "mock", "deploy", "docs", "tests", "config.toml", "pyproject.toml")


def closure(requirements: list[str], found: dict[str, Distribution]) -> dict[str, Distribution]:
    for requirement in requirements:
        specification, _, marker = requirement.partition(";")
        match = re.match(r"[\w.-]+", specification)
        assert match, requirement
        name = match[0].lower()
        if "extra ==" in marker or name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if not marker:  # else it is for another platform or version
                raise
        else:
            closure(found[name].requires or [], found)
    return found


def install(repository: Path, target: Path) -> None:
    base = Path(sys.base_prefix)
    seen_base = base if base.is_relative_to("/usr") else Path("/opt/python")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]

    target.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        if (repository / name).is_dir():
            shutil.copytree(repository / name, target / name, ignore=ignored)
        else:
            shutil.copy(repository / name, target)

    binaries = target / "venv/bin"
    packages = target / "venv/lib" / version / "site-packages"
    binaries.mkdir(parents=True)
    packages.mkdir(parents=True)
    (target / "venv/pyvenv.cfg").write_text(f"home = {seen_base}/bin\ninclude-system-site-packages = false\n")
    (binaries / "python").symlink_to(seen_base / "bin" / version)
    for part in closure(project["dependencies"], {}).values():
        for file in part.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), packages / file)
    for name in ("listener", "mock"):
        shutil.copytree(repository / name, packages / name, ignore=ignored)
    # As pip does, or every start would compile everything anew: the service cannot write here.
    compileall.compile_dir(packages, quiet=1, stripdir=str(target), prependdir=str(PLACE))
    for name, function in project["scripts"].items():
        module, _, attribute = function.partition(":")
        script = binaries / name
        lines = (f"#!{PLACE}/venv/bin/python", "import sys", f"from {module} import {attribute}")
        script.write_text("\n".join([*lines, f"sys.exit({attribute}())", ""]))
        script.chmod(0o755)


def main() -> None:
    install(Path(sys.argv[1]), Path(sys.argv[2]))
    base = Path(sys.base_prefix)
    print("/usr" if base.is_relative_to("/usr") else base)


if __name__ == "__main__":
    main()
