"""Runs the tests of trl_seams.py against the oldest and the newest TRL that pyproject.toml admits, each in a fresh environment.

The tested version of constraints.txt is left out: `make test` has run it. `--versions 1.15.0` runs others, for example
before they are admitted.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version


ROOT = Path(__file__).parents[1]
LIST = ROOT / "src" / "serl_trl" / "trainer" / "trl_seams.py"
TESTS = sorted({"tests/trainer/test_parity.py", *re.findall(r'"(tests/\S+\.py)"', LIST.read_text(encoding="utf-8"))})


def admitted() -> list[str]:
    """The oldest and the newest release that pyproject.toml admits."""
    requirement = Requirement(re.search(r'"(trl[<>=~!][^"]*)"', (ROOT / "pyproject.toml").read_text())[1])
    command = [sys.executable, "-m", "pip", "index", "versions", requirement.name, "--json"]
    released = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["versions"]
    versions = sorted(requirement.specifier.filter(released), key=Version)
    if not versions:
        sys.exit(f"No released TRL fits {requirement}.")
    return list(dict.fromkeys([versions[0], versions[-1]]))


def passes(version: str, constraints: str) -> bool:
    """Whether the tests of the seams pass with that TRL; an environment that cannot be made counts as a failure."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python, pins = f"{folder}/bin/python", Path(folder, "constraints.txt")
        pins.write_text(re.sub(r"(?m)^trl==.*$", "", constraints))
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", str(pins)]
        for command in (
            [*install, "torch"],  # first, by its tested version: an unpinned one may be a CUDA build of several GB
            [*install, "--editable", f"{ROOT}[dev]"],
            [*install, f"trl=={version}"],  # which may be one that is not admitted yet
            [python, "-m", "pytest", "-q", "--numprocesses", "auto", "--dist", "loadfile", *TESTS],
        ):
            if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
                return False
    return True


def main() -> None:
    """Prints a line for each version, and ends with 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", nargs="+", help="run these instead")
    options = parser.parse_args()
    constraints = (ROOT / "constraints.txt").read_text()
    tested = re.search(r"(?m)^trl==(.*)$", constraints)[1]
    results = {}
    for version in options.versions or admitted():
        is_tested = version == tested and not options.versions
        results[version] = (
            "tested by make test" if is_tested else "passes" if passes(version, constraints) else "FAILS"
        )
    for version, result in results.items():
        print(f"trl {version}: {result}")
    sys.exit("FAILS" in results.values())


if __name__ == "__main__":
    main()
