"""What Snakemake itself takes while many jobs wait, as this workflow runs it and by its own defaults.

    python benchmarks/scheduling.py

The jobs only sleep, so that the processor's seconds are those of choosing, starting and ending jobs.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SNAKEFILE = """
rule all:
    input:
        expand("done{{i}}", i=range({jobs})),


rule wait:
    output:
        "done{{i}}",
    shell:
        "sleep {seconds}; touch {{output}}"
"""


def measure(snakefile: str, at_once: int, *options: str) -> tuple[float, float]:
    """Run a workflow in an empty folder; give the processor's seconds of Snakemake with its jobs, and the time."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Snakefile").write_text(snakefile)
        before, start = used(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "snakemake", "--jobs", str(at_once), "--cores", str(at_once), *options],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        return used() - before, time.perf_counter() - start


def used() -> float:
    """Give the processor's seconds of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8, help="that each job takes")
    arguments = parser.parse_args()
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    plain = SNAKEFILE.format(jobs=arguments.jobs, seconds=arguments.seconds)
    ours = f'include: "{ROOT / "workflow/rules/scheduling.smk"}"\n{plain}'
    print(f"{arguments.jobs} jobs of {arguments.seconds:g} s, {arguments.at_once} at once")
    results = {
        "Snakemake's defaults": measure(plain, arguments.at_once),
        "this workflow": measure(ours, arguments.at_once, "--scheduler", profile["scheduler"]),
    }
    for name, (processor, seconds) in results.items():
        print(f"  {name:<22} {processor:6.1f} s of a processor in {seconds:.0f} s")
    slow, fast = (processor for processor, _ in results.values())
    print(f"  {slow / fast:.1f} times less")


if __name__ == "__main__":
    main()
