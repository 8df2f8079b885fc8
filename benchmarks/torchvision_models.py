"""Permutation groups of every classification model of torchvision, and what random permutations of them change.

    python benchmarks/torchvision_models.py --output docs/torchvision_models.md

Every model is built without weights, and gets random parameters and random norm statistics. All of its groups are then
permuted at random, in evaluation mode and single precision. Images are as small as the model allows: the groups do not
depend on their size. Times are of one CPU core. The largest models need 6 GB of memory.
"""

import argparse
import time
import warnings
from pathlib import Path

import torch
import torchvision

from onebasin import seeding, symmetry

SIZES = {"inception_v3": 96, "maxvit_t": 224, "vit_h_14": 56}
HEADER = ("model", "parameters", "input", "groups", "units", "discovery, s", "check, s", "relative error")


def measure(name: str) -> tuple[str, ...]:
    """Discover and check one model; return its row of the table."""
    size = SIZES.get(name, 64)
    options = {"image_size": size} if name.startswith("vit") else {}
    with warnings.catch_warnings(action="ignore"):  # some announce that their initialisation will change
        model = torchvision.models.get_model(name, weights=None, **options)
    state = model.state_dict()
    for key, value in symmetry.random_state(model, seeding.generator("benchmark", name)).items():
        state[key].copy_(value)
    images = torch.randn(2, 3, size, size, generator=seeding.generator("benchmark", name, "images"))
    parameters = f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M"
    start = time.process_time()
    try:
        found = symmetry.discover(model, images, verify=False)
    except symmetry.SymmetryError as error:
        return (name, parameters, f"{size}×{size}", f"refused: {error}", "", "", "", "")
    discovered = time.process_time()
    permutation = found.random(seeding.generator("benchmark", name, "permutation"))
    error = symmetry.check(model, found, permutation, state, images, tolerance=float("inf"))
    checked = time.process_time()
    return (
        name,
        parameters,
        f"{size}×{size}",
        str(len(found.groups)),
        str(sum(found.sizes.values())),
        f"{discovered - start:.1f}",
        f"{checked - discovered:.1f}",
        f"{error:.0e}",
    )


def main() -> None:
    """Measure all models, or those named, and write the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="all by default")
    parser.add_argument("--output", type=Path, help="a Markdown file, in place of the terminal alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [" | ".join(HEADER), " | ".join("---" for _ in HEADER)]
    for name in arguments.models or torchvision.models.list_models(module=torchvision.models):
        lines.append(" | ".join(measure(name)))
        print(lines[-1], flush=True)
        if arguments.output:
            arguments.output.write_text("".join(f"| {line} |\n" for line in lines))


if __name__ == "__main__":
    main()
