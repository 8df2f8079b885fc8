"""Tests, measurements and a study on a GPU, one after another within a given time, and a report.

Started by `benchmarks/gpu.sh`. Each part is a process of its own, so that one that fails spoils no other; the report is
written anew after each.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies/cifar10-quick.yaml"
JOBS = 3  # that share the card, as the study says
# The part of the time that each may take at most; the study has what the others leave.
SHARES = {"card": 0.05, "tests": 0.25, "training": 0.4, "evaluation": 0.1, "matching": 0.1, "study": 1.0}
TITLES = {"card": "The card", "study": "The study cifar10-quick"}
GRACE_S = 30  # for a process that is told to end
TINY: dict[str, Any] = {
    "study": "gpu-tiny",
    "data": {"image_size": 16},
    "seeds": [0, 1, 2],
    "models": [{"name": "vgg16", "family": "vgg16", "widths": [2], "norm": "layer"}],
    "training": {"epochs": 1, "milestones": [], "batch_size": 16},
    "seeds_together": True,
    "methods_together": True,
    "matching": [{"name": "weights", "algorithm": "weights"}],
    "frames": [],
    "barrier": {"points": 3, "train_images": 16},
    "experiments": ["width"],
    "consensus": {"widths": [2]},
    "simplex": {"widths": [2]},
    "resources": {"threads": 1, "gpu": 0},
}


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    in_time: bool
    output: str
    errors: str

    def reason(self) -> str:
        """Say in a line why it failed."""
        lines = (self.errors.strip() or self.output.strip() or "it said nothing").splitlines()
        return lines[-1]


class Section(NamedTuple):
    """A part of the report."""

    text: str
    fine: bool


def run(command: Sequence[str | Path], limit: float) -> Ended:
    """Run a command in the repository; end it and all that it started when the time is over."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        in_time = True
        try:
            process.wait(max(limit, 1))
        except subprocess.TimeoutExpired:
            in_time = False
        finally:
            _end(process)
        for file in (output, errors):
            file.seek(0)
        return Ended(process.returncode, in_time, output.read(), errors.read())


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and those that it started: as a keyboard would, and if that does not help by force."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def measurement(part: str, arguments: argparse.Namespace, limit: float) -> Section:
    """Measure one part."""
    options = ["--device", "cpu", "--tiny"] if arguments.tiny else ["--device", "cuda"]
    script = ROOT / "benchmarks/gpu_measurements.py"
    # What is repeated as long as there is time stops before it is over.
    ended = run([sys.executable, script, part, *options, "--seconds", f"{0.8 * limit:.0f}"], limit)
    text = ended.output.strip()
    if not ended.in_time:
        text += f"\n\nStopped after {limit:.0f} s; what is above was measured until then."
    elif ended.code and ended.errors.strip():
        text += f"\n\nThis part failed: {ended.reason()}"
    elif ended.code:
        text += "\n\nSomething above failed, or is not as it should be."
    return Section(text.strip(), not ended.code)


def tests(arguments: argparse.Namespace, limit: float) -> Section:
    """Run the tests that are marked cuda."""
    files = [path for path in sorted(ROOT.glob("tests/*/test_*.py")) if "mark.cuda" in path.read_text()]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "tests.xml")
        pytest: list[str | Path] = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "cuda",
            "-p",
            "no:cacheprovider",
            f"--junitxml={found}",
        ]
        ended = run([*pytest, *files], limit)
        if not found.exists():
            why = ended.reason() if ended.in_time else f"they took more than {limit:.0f} s"
            return Section(f"The tests did not come to their end: {why}", False)
        cases = list(ElementTree.parse(found).iter("testcase"))
    outcomes: Counter[str] = Counter()
    failures = []
    for case in cases:
        child = next(iter(case), None)
        if child is None:
            outcomes["passed"] += 1
        elif child.tag == "skipped":
            outcomes[f"skipped: {child.get('message')}"] += 1
        else:
            outcomes["failed"] += 1
            message = (child.get("message") or "").partition("\n")[0]
            failures.append(f"- `{case.get('name')}`: {message}")
    lines = [
        "The tests marked `cuda` ask whether training, evaluation, matching and corrections give what they give on the "
        "CPU, within the tolerances that each states, and whether training that is stopped goes on to the same bits.",
        "",
        "| outcome | tests |",
        "|---|---|",
        *(f"| {outcome} | {count} |" for outcome, count in sorted(outcomes.items())),
        *(["", *failures] if failures else []),
        *([] if ended.in_time else ["", f"They were stopped after {limit:.0f} s."]),
    ]
    return Section("\n".join(lines), ended.code == 0)


def study(arguments: argparse.Namespace, limit: float) -> Section:
    """Run the study as far as the time goes; what an earlier run finished is kept."""
    if arguments.images is None:
        return Section("Skipped: no folder of images was given with `--images`.", True)
    given = json.dumps({"name": "image_folder", "data_dir": str(arguments.images)})
    with tempfile.TemporaryDirectory() as folder:
        configs = [STUDY]
        if arguments.tiny:
            configs.append(Path(folder, "tiny.yaml"))
            configs[1].write_text(yaml.safe_dump(TINY))
        snakemake: list[str | Path] = [
            sys.executable,
            "-m",
            "snakemake",
            "--configfile",
            *configs,
            "--config",
            f"data={given}",
        ]
        began = time.monotonic()
        ended = run([*snakemake, "--jobs", str(JOBS), "--keep-going"], limit - GRACE_S)
        seconds = time.monotonic() - began
        if not ended.in_time:
            run([*snakemake, "--unlock"], GRACE_S)
    results = ROOT / "results" / (TINY["study"] if arguments.tiny else STUDY.stem)
    return Section("\n".join(_progress(ended, seconds, results)), not ended.code or not ended.in_time)


def _progress(ended: Ended, seconds: float, results: Path) -> Iterator[str]:
    said = ended.output + ended.errors
    done = re.findall(r"^(\d+) of (\d+) steps", said, re.M)
    if "Nothing to be done" in said:
        yield "All jobs were done by earlier runs."
    else:
        planned = re.search(r"^total +(\d+)$", said, re.M)
        steps, total = done[-1] if done else ("0", planned[1] if planned else "an unknown number of")
        yield f"{steps} of {total} jobs that were left to do were done in {seconds:.0f} s, up to {JOBS} at once."
    if not ended.in_time:
        yield "Then the time was over. The same command goes on where it stopped:"
        yield ""
        yield f"    snakemake --configfile {STUDY.relative_to(ROOT)} --jobs {JOBS} \\"
        yield "      --config 'data={name: image_folder, data_dir: FOLDER}'"
    elif ended.code:
        failed = re.findall(r"^.*[Ee]rror.*$", said, re.M)
        yield f"It failed: {failed[0] if failed else ended.reason()}"
    yield ""
    networks: dict[str, list[pd.DataFrame]] = {}
    for path in sorted(results.glob("networks/*/width*/seed*/training.csv")):
        networks.setdefault(" ".join(path.parts[-4:-2]), []).append(pd.read_csv(path))
    if networks:
        yield "| network | trained | s an epoch, median | test error, mean |"
        yield "|---|---|---|---|"
    for name, found in networks.items():
        epoch = statistics.median(pd.concat(found)["seconds"])
        error = statistics.mean(float(table["test_error"].iloc[-1]) for table in found)
        yield f"| {name} | {len(found)} | {epoch:.2f} | {error:.3f} |"
    tables = [f"`{path.stem}`" for path in sorted(results.glob("tables/*.csv"))]
    if networks:
        yield ""
    yield f"Tables that are there: {', '.join(tables) or 'none yet'}."


def report(path: Path, tiny: bool, sections: dict[str, Section]) -> None:
    """Write what is known so far."""
    failed = [_title(part).lower() for part, section in sections.items() if not section.fine]
    left = [_title(part).lower() for part in SHARES if part not in sections]
    head = [
        "# On a GPU",
        "",
        f"Made by `benchmarks/gpu.sh{' --tiny' * tiny}` in one run. Ratios are of measurements of this run alone.",
    ]
    if tiny:
        head.append("**Of tiny sizes, on the CPU**: it shows that all parts run, and its numbers say nothing.")
    if failed:
        head.append(f"Not as it should be: {', '.join(failed)}.")
    if left:
        head.append(f"Not reached yet: {', '.join(left)}.")
    body = [f"\n## {_title(part)}\n\n{section.text}" for part, section in sections.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *body]) + "\n", encoding="utf-8")


def _title(part: str) -> str:
    return TITLES.get(part, part.capitalize())


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="on the CPU, with sizes that take a minute")
    parser.add_argument("--images", type=Path, help="folder of CIFAR-10: train/<class>/*.png and test/<class>/*.png")
    parser.add_argument("--minutes", type=float, default=25, help="that all may take, 25 unless told")
    parser.add_argument("--out", type=Path, help="the report; docs/evidence/gpu.md, with --tiny results/gpu-tiny.md")
    arguments = parser.parse_args()
    if arguments.images is not None:
        arguments.images = arguments.images.resolve()
        if not arguments.images.is_dir():
            sys.exit(f"error: {arguments.images} is no folder; give one of images with --images")
    cuda = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    if not arguments.tiny and subprocess.run([sys.executable, "-W", "ignore", "-c", cuda]).returncode:
        sys.exit("error: PyTorch finds no CUDA device here; --tiny runs the same parts on the CPU")
    out = arguments.out or ROOT / ("results/gpu-tiny.md" if arguments.tiny else "docs/evidence/gpu.md")
    parts: dict[str, Callable[[argparse.Namespace, float], Section]] = {"tests": tests, "study": study}
    total = 60 * arguments.minutes
    end = time.monotonic() + total
    sections: dict[str, Section] = {}
    for part, share in SHARES.items():
        limit = min(share * total, end - time.monotonic())
        print(f"{_title(part)}: at most {limit:.0f} s", flush=True)
        began = time.monotonic()
        if part in parts:
            sections[part] = parts[part](arguments, limit)
        else:
            sections[part] = measurement(part, arguments, limit)
        fine = "done" if sections[part].fine else "not as it should be"
        print(f"{_title(part)}: {fine}, after {time.monotonic() - began:.0f} s", flush=True)
        report(out, arguments.tiny, sections)
    print(f"Report: {out}")
    sys.exit(not all(section.fine for section in sections.values()))


if __name__ == "__main__":
    main()
