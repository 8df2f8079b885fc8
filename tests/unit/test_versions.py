"""What each stage computes, held against its version: whoever changes the one raises the other.

`python tests/unit/test_versions.py` writes the results anew, after a version was raised.
"""

import itertools
import json
import tempfile
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from onebasin import checkpoint, data, foreign, match, models, prune, seeding, symmetry, train, versions
from onebasin.files import load_tensors
from onebasin.landscape import evaluate, repair
from onebasin.landscape.interpolate import line
from onebasin.study import transience
from onebasin.study.star import Star

GOLDEN = Path(__file__).with_name("versions.json")
SETTINGS = train.Settings(epochs=2, batch_size=100, optimizer="sgd", lr=0.1, momentum=0.9)
SEEDS = (0, 1, 2)


def build():
    return models.build("mlp", width=6, image_shape=(1, 8, 8), classes=10, hidden=[1, 1])


def sums(state):
    return {name: tensor.double().abs().sum().item() for name, tensor in state.items()}


def losses(folder):
    return [
        [float(value) for value in line.split(",")[2:6]] for line in (folder / "table.csv").read_text().splitlines()[1:]
    ]


def orders(permutations):
    return [permutation.lists() for permutation in permutations]


def results(folder):
    """What each stage makes of the digits and three small networks."""
    torch.set_num_threads(1)
    dataset = data.hold_out(data.load("digits"), 0)
    found = {
        "data": {"digest": dataset.digest},
        "image_folder": {"digest": images_of_a_folder(folder / "images").digest},
    }
    states = {}
    for seed in SEEDS:
        states[seed] = network(dataset, folder, seed)
        if seed == 0:
            found["train"] = {"parameters": sums(states[0]), "losses": losses(folder)}
    model = build().eval()
    images, labels = dataset.tensors("train", limit=300)
    groups = symmetry.discover(model, images[:2])
    mask = prune.prune(
        prune.full(model, groups, False), states[0], 0.5, "global", generator=seeding.generator("golden")
    )
    found["prune"] = {"counts": mask.counts(), "density": mask.density}
    permuted = mask.permuted(groups, groups.random(seeding.generator("golden", "tickets")))
    found["tickets"] = {
        "parameters": sums(network(dataset, folder, 1, start=1, mask=permuted)),
        "losses": losses(folder),
    }
    matching = {"name": "weights", "algorithm": "weights"}
    towards = Star(model, groups, [states[0], states[2]], matching, images, labels)
    found["star"] = {"parameters": sums(network(dataset, folder, 1, outputs=towards)), "losses": losses(folder)}
    found["transience"] = {"parameters": sums(continued(dataset, folder, model, groups)), "losses": losses(folder)}
    torch.save({"state_dict": states[2]}, folder / "elsewhere.pt")
    fitted = foreign.fit(model, foreign.read(folder / "elsewhere.pt"), folder / "elsewhere.pt")
    found["import"] = {"parameters": sums(fitted)}
    for name, method in match.METHODS.items():
        given = {} if name == "weights" else {"model": model, "images": images}
        if name == "sinkhorn":
            given |= {"labels": labels, "steps": 20}
        one = method(groups, state_a=states[0], state_b=states[1], **given)
        found[name] = {"orders": orders([one.permutation]), "objective": one.objective}
    for name, method in match.FRAMES.items():
        given = {"labels": labels, "steps": 20} if name == "sinkhorn" else {}
        frame = method(symmetry=groups, model=model, states=states, images=images, similarity="weights", **given)
        found[f"{name} frame" if name in match.METHODS else name] = {
            "orders": orders(frame.permutations.values()),
            "objectives": [*frame.objectives.values()],
        }
    ends = [states[0], states[1]]
    found["mixtures"] = {}
    for name in repair.CORRECTIONS:
        expert = {"expert": 1} if name == "task" else {}
        correct = None if name == "none" else repair.correction(name, model, ends, images, **expert)
        measured = evaluate.measure(model, ends, line(3), {"train": (images, labels)}, correct=correct)["train"]
        found["mixtures"][name] = [measured.loss.tolist(), measured.error.tolist()]
    found["sinkhorn"] |= {"frame": found.pop("sinkhorn frame")}
    return {stage: {"version": versions.of(stage), **json.loads(json.dumps(one))} for stage, one in found.items()}


def images_of_a_folder(folder):
    """Images of a few depths and sizes, one of them turned by its EXIF data."""
    draw = numpy.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, index in itertools.product("ab", range(6)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        depth = (numpy.uint8, numpy.uint16)[index % 2]
        values = draw.integers(0, numpy.iinfo(depth).max, (9 + index, 8), depth)
        Image.fromarray(values).save(folder / name / f"{index}.png", **({"exif": exif} if index == 2 else {}))
    return data.load("image_folder", folder, image_size=8)


def network(dataset, folder, seed, kept=2, state=None, **options):
    """A network that is trained from its initialisation, or as the options say; its checkpoint of an epoch is kept."""
    model = build()
    models.initialise(model, seeding.generator("golden", seed))
    if state is not None:
        model.load_state_dict(state)
    files = {"checkpoints": {kept: folder / "network"}, "table": folder / "table.csv", "work": folder / "work"}
    train.train(model, dataset, SETTINGS, seed_address=("golden", seed), metadata={}, **files, **options)
    return checkpoint.load(folder / "network")[0]


def continued(dataset, folder, model, groups):
    """A network that goes on for an epoch from the mean of two networks, one of them permuted."""
    ends = []
    for seed in (0, 1):
        network(dataset, folder, seed, memories={1: folder / "memory"}, kept=1)
        ends.append((checkpoint.load(folder / "network")[0], load_tensors(folder / "memory", "memory")[0]))
    images = dataset.tensors("train", limit=300)[0]
    moved = groups.random(seeding.generator("golden", "transience"))
    state, memory = transience.mean(groups, model, *zip(*ends, strict=True), moved, images)
    return network(dataset, folder, 0, start=1, memory=memory, state=state)


@pytest.fixture(scope="module")
def today(tmp_path_factory):
    return results(tmp_path_factory.mktemp("golden"))


def leaves(value, path=""):
    """What a nested value holds, by its place."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for name, inner in items for key, leaf in leaves(inner, f"{path}/{name}").items()}
    return {path: value}


@pytest.mark.parametrize("stage", sorted(versions.STAGES))
def test_a_stage_computes_what_its_version_says(today, stage):
    golden = json.loads(GOLDEN.read_text())
    assert golden[stage]["version"] == versions.of(stage), f"after raising a version, run python {__file__}"
    now, then = leaves(today[stage]), leaves(golden[stage])
    assert now.keys() == then.keys()
    for place, value in then.items():
        # Other processors round otherwise.
        same = now[place] == (pytest.approx(value, rel=1e-3, abs=1e-6) if isinstance(value, float) else value)
        assert same, f"{stage}{place} was {value} and is {now[place]}: raise versions.STAGES[{stage!r}]"


def test_every_stage_has_results():
    assert json.loads(GOLDEN.read_text()).keys() == versions.STAGES.keys()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(results(Path(folder)), indent=1) + "\n")
