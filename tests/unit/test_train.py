import csv
import logging
import math
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onebasin import checkpoint, models, seeding, train
from onebasin.data import Dataset
from onebasin.files import FileError
from onebasin.models import asymmetric
from onebasin.provenance import provenance
from onebasin.train import Settings, TrainingError, compilation, loop, rate
from onebasin.train import batches as images_of

pytestmark = pytest.mark.usefixtures("one_thread")

COMPILER = shutil.which(os.environ.get("CXX", "g++")) and os.path.exists(f"{sysconfig.get_path('include')}/Python.h")
needs_compiler = pytest.mark.skipif(not COMPILER, reason="torch.compile needs g++ and the headers of Python")

SMALL = Settings(epochs=4, batch_size=16, lr=3e-3)


def blobs(n=50, classes=3, shape=(1, 8, 8), seed=0):
    """Images whose class is a bright block at a place of its own."""
    generator = seeding.generator("blobs", seed)
    labels = torch.arange(n) % classes
    images = torch.randint(0, 60, (n, *shape), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 2 * label : 2 * label + 2, 1:4] += 150
    images = images.to(torch.uint8)
    return Dataset("blobs", images[: n - 15], labels[: n - 15], images[n - 15 :], labels[n - 15 :], classes)


def network(family="mlp", width=6, dataset=None, norm="none", seed=0, **options):
    shape = (dataset or blobs()).image_shape
    model = models.build(family, width=width, image_shape=shape, classes=3, norm=norm, **options)
    models.initialise(model, seeding.generator(seed, "init"))
    return model


def run(folder, settings=SMALL, model=None, dataset=None, epochs=(0, 2, 4), **options):
    model = model or network()
    options = {"seed_address": (7, "net"), "metadata": {"model": "mlp"}, "save_every_s": 0.0} | options
    train.train(
        model,
        dataset or blobs(),
        settings,
        checkpoints={epoch: folder / f"epoch{epoch}.safetensors" for epoch in epochs},
        table=folder / "training.csv",
        work=folder / ".work",
        **options,
    )
    return model


def results(folder):
    """Bytes of every file below a folder, the table without its seconds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name == "training.csv":
            found[path.name] = [row[:-1] for row in csv.reader(path.read_text().splitlines())]
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def table(folder):
    return list(csv.DictReader((folder / "training.csv").read_text().splitlines()))


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class Stop(Exception):
    pass


@contextmanager
def stopped_in(epoch):
    """Let training stop with an error when it reports an epoch, which is before that epoch's state is saved."""

    class Handler(logging.Handler):
        def emit(self, record):
            if record.getMessage().startswith(f"epoch {epoch}/"):
                raise Stop

    handler, level = Handler(), logging.getLogger("onebasin.train").level
    logging.getLogger("onebasin.train").addHandler(handler)
    logging.getLogger("onebasin.train").setLevel(logging.INFO)
    try:
        with pytest.raises(Stop):
            yield
    finally:
        logging.getLogger("onebasin.train").removeHandler(handler)
        logging.getLogger("onebasin.train").setLevel(level)


def test_training_learns_and_writes_what_it_promises(tmp_path):
    settings = replace(SMALL, epochs=20)
    model = run(tmp_path, settings, epochs=(0, 20))
    assert sorted(os.listdir(tmp_path)) == ["epoch0.safetensors", "epoch20.safetensors", "training.csv"]
    rows = table(tmp_path)
    assert tuple(rows[0]) == train.COLUMNS
    assert [int(row["epoch"]) for row in rows] == list(range(1, 21))
    first, last = rows[0], rows[-1]
    assert float(last["test_error"]) == 0 < float(first["test_error"])
    assert float(last["train_loss"]) < 0.3 * float(first["train_loss"])
    assert all(float(row["lr"]) == 3e-3 and float(row["seconds"]) > 0 for row in rows)
    state, metadata = checkpoint.load(tmp_path / "epoch20.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(state[name], tensor)
    images, labels = blobs().tensors("test")
    model.eval()
    with torch.no_grad():
        assert float(last["test_loss"]) == pytest.approx(F.cross_entropy(model(images), labels).item(), rel=1e-5)
    assert metadata["epoch"] == 20
    assert metadata["model"] == "mlp"
    assert metadata["settings"]["epochs"] == 20
    assert metadata["seed_address"] == [7, "net"]
    assert metadata["dataset"] == {"name": "blobs", "digest": blobs().digest}
    assert metadata["version"] == provenance()["version"]
    initial, _ = checkpoint.load(tmp_path / "epoch0.safetensors")
    for name, tensor in network().state_dict().items():
        assert torch.equal(initial[name], tensor)


def test_training_table_reports_each_epochs_own_batches(tmp_path):
    """With a rate too small to change anything, the running mean is the loss of the network."""
    model = run(tmp_path, replace(SMALL, optimizer="sgd", lr=1e-12, label_smoothing=0.3))
    images, labels = blobs().tensors("train")
    with torch.no_grad():
        logits = model(images)
    for row in table(tmp_path):
        assert float(row["train_loss"]) == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
        assert float(row["train_error"]) == pytest.approx((logits.argmax(1) != labels).float().mean().item())


def reference(settings, decayed=None):
    """Train with torch.optim, batch by batch, as plainly as possible."""
    dataset, model = blobs(), network(norm="layer")
    images, labels = dataset.tensors("train")
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    others = [p for p in model.parameters() if all(p is not weight for weight in weights)]
    decay = settings.weight_decay
    groups = [
        {"params": weights, "weight_decay": decay},
        {"params": others, "weight_decay": decay if settings.decay_norm_and_bias else 0.0},
    ]
    if settings.optimizer == "adam":
        optimizer = torch.optim.Adam(groups, lr=settings.lr)
    else:
        optimizer = torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov)
    steps = math.ceil(len(labels) / settings.batch_size)
    for epoch in range(1, settings.epochs + 1):
        order = torch.randperm(len(labels), generator=seeding.generator(7, "net", "order", epoch))
        for index, batch in enumerate(order.split(settings.batch_size)):
            for group in optimizer.param_groups:
                group["lr"] = rate(settings, (epoch - 1) * steps + index, steps)
            optimizer.zero_grad()
            smoothing = settings.label_smoothing
            F.cross_entropy(model(images[batch]), labels[batch], label_smoothing=smoothing).backward()
            optimizer.step()
    return flat(model)


@pytest.mark.parametrize(
    "settings",
    [
        SMALL,
        replace(SMALL, weight_decay=0.1),
        replace(SMALL, weight_decay=0.1, decay_norm_and_bias=False, label_smoothing=0.1),
        replace(SMALL, optimizer="sgd", lr=0.1),
        replace(SMALL, optimizer="sgd", lr=0.1, momentum=0.9, weight_decay=0.01),
        replace(SMALL, optimizer="sgd", lr=0.1, momentum=0.9, nesterov=True, schedule="cosine", warmup=1.0),
        replace(SMALL, optimizer="sgd", lr=0.1, weight_decay=0.3, decay_norm_and_bias=False),
    ],
)
def test_steps_are_those_of_torch_optim(tmp_path, settings):
    trained = flat(run(tmp_path, settings, network(norm="layer")))
    expected = reference(settings)
    assert torch.allclose(trained, expected, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(trained, flat(network(norm="layer")), atol=1e-3)


def test_equal_runs_give_equal_bytes_and_randomness_is_addressed(tmp_path):
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    run(one)
    model = network()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    run(two, model=model)
    assert torch.equal(before, torch.get_rng_state())
    assert results(one) == results(two)
    run(three, seed_address=(8, "net"))
    assert results(three)["epoch4.safetensors"] != results(one)["epoch4.safetensors"]


AUGMENTED = replace(
    *(SMALL,), optimizer="sgd", lr=0.05, momentum=0.9, weight_decay=1e-3, augment="flip_crop", crop_padding=2
)
STOPPED = {
    "mlp adam": (SMALL, {}),
    "cnn sgd augmented": (replace(AUGMENTED, schedule="cosine"), {"family": "cnn", "norm": "layer"}),
    "cnn batch norm channels last": (
        replace(AUGMENTED, channels_last=True, warmup=5, warmup_unit="steps", decay_norm_and_bias=False),
        {"family": "cnn", "norm": "batch"},
    ),
    "cnn adam bfloat16": (replace(SMALL, precision="bfloat16", channels_last=True), {"family": "cnn"}),
    "cnn compiled": (replace(AUGMENTED, channels_last=True, compile=True), {"family": "cnn", "norm": "layer"}),
    "cnn compiled bfloat16": (replace(SMALL, precision="bfloat16", compile=True), {"family": "cnn", "norm": "layer"}),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=needs_compiler if "compiled" in n else ()) for n in STOPPED])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_training_in_parts_equals_training_in_one(tmp_path, caplog, name, device):
    settings, options = STOPPED[name]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = flat(run(whole, settings, network(**options), device=device))
    for epoch in (1, 3, 4):
        with stopped_in(epoch):
            run(parts, settings, network(**options), device=device)
        assert os.listdir(parts) == [".work"]
    caplog.set_level(logging.INFO)
    model = run(parts, settings, network(**options), device=device)
    assert "continues at epoch 4" in caplog.text
    assert torch.equal(flat(model), expected)
    assert results(parts) == results(whole)


@needs_compiler
@pytest.mark.parametrize(("family", "norm"), [("mlp", "none"), ("cnn", "layer"), ("cnn", "batch")])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_compiled_training_is_the_same_but_for_rounding(tmp_path, family, norm, device):
    initial = flat(network(family, norm=norm))
    settings = replace(AUGMENTED, epochs=2)
    trained = [
        run(
            tmp_path / str(fused),
            replace(settings, compile=fused),
            network(family, norm=norm),
            epochs=(2,),
            device=device,
        )
        for fused in (False, True)
    ]
    plain, compiled = (flat(model).cpu() for model in trained)
    assert (plain - compiled).norm() < 1e-4 * (plain - initial).norm()
    for key, value in trained[0].state_dict().items():
        assert torch.allclose(value, trained[1].state_dict()[key], rtol=1e-3, atol=1e-4)


@needs_compiler
def test_kernels_compiled_for_another_number_of_threads_are_not_used(tmp_path):
    from torch._dynamo.utils import counters
    from torch._inductor.utils import fresh_cache

    found = []
    with fresh_cache():
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            torch.compiler.reset()
            counters.clear()
            run(tmp_path, replace(SMALL, epochs=1, compile=True), epochs=(1,))
            found.append([counters["inductor"][f"fxgraph_cache_{what}"] for what in ("miss", "hit")])
    (new, _), again, kept = found
    assert new > 0
    assert again == [new, 0]
    assert kept == [0, new]


@needs_compiler
def test_networks_compiled_before_in_the_same_process_do_not_count(tmp_path):
    import torch._dynamo

    settings = replace(SMALL, epochs=1, compile=True)
    with torch._dynamo.config.patch(recompile_limit=1, fail_on_recompile_limit_hit=True):
        run(tmp_path / "first", settings, epochs=(1,))
        for width in (4, 5):
            run(tmp_path / "between", settings, network(width=width), epochs=(1,))
        run(tmp_path / "last", settings, epochs=(1,))
    assert results(tmp_path / "first") == results(tmp_path / "last")


def test_a_missing_compiler_is_told(tmp_path):
    program = """
        import sys
        from pathlib import Path
        from test_train import *
        run(Path(sys.argv[1]), replace(SMALL, compile=True))
    """
    environment = os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "run")],
        env=environment | {"PYTHONPATH": os.path.dirname(__file__)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "onebasin.train.settings.TrainingError: torch.compile fails, so that compile must be false here: "
    )
    assert "no-such-compiler" in last
    assert not (tmp_path / "run" / "training.csv").exists()


class Own(nn.Module):
    """Dropout, which draws from the global generator, and a layer that is not used."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
        self.unused = nn.Linear(3, 3)
        models.initialise(self, seeding.generator("own"))

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("settings", [SMALL, replace(SMALL, optimizer="sgd", momentum=0.9)])
def test_layers_that_draw_are_seeded_and_unused_ones_left_alone(tmp_path, settings):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    model = run(whole, settings, Own())
    with stopped_in(3):
        run(parts, settings, Own())
    torch.manual_seed(99)
    run(parts, settings, Own())
    assert results(parts) == results(whole)
    assert torch.equal(model.unused.weight, Own().unused.weight)
    assert not torch.equal(model.layers[1].weight, Own().layers[1].weight)


def half_of(model, seed=0):
    """A random mask of all weights, half of them pruned."""
    generator = seeding.generator("half", seed)
    return {n: torch.rand(p.shape, generator=generator) < 0.5 for n, p in model.named_parameters() if p.dim() > 1}


MASKED = {
    "adam": replace(SMALL, weight_decay=0.1),
    "momentum": replace(SMALL, optimizer="sgd", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "channels last": replace(AUGMENTED, channels_last=True),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_pruned_weight_is_0_in_every_checkpoint_and_the_others_are_trained(tmp_path, name):
    model = network("cnn", norm="layer")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    mask = half_of(model)
    run(tmp_path, MASKED[name], model, epochs=range(5), mask=mask)
    for epoch in range(5):
        state, _ = checkpoint.load(tmp_path / f"epoch{epoch}.safetensors")
        for key, kept in mask.items():
            assert not state[key][~kept].any()
            assert bool(epoch) == bool((state[key][kept] != before[key][kept]).all())


def test_masked_steps_are_those_of_the_smaller_network(tmp_path):
    """A unit without weights in and out trains the others as if it were not there."""
    settings = replace(SMALL, optimizer="sgd", lr=0.1, momentum=0.9, weight_decay=0.01)
    whole, part = network(hidden=[1]), network(hidden=[1], width=5)
    mask = {"hidden.0.weight": torch.ones(6, 64), "head.weight": torch.ones(3, 6)}
    mask["hidden.0.weight"][5], mask["head.weight"][:, 5] = 0, 0
    state = whole.state_dict()
    part.load_state_dict(
        {
            "hidden.0.weight": state["hidden.0.weight"][:5],
            "hidden.0.bias": state["hidden.0.bias"][:5],
            "head.weight": state["head.weight"][:, :5],
            "head.bias": state["head.bias"],
        }
    )
    run(tmp_path / "whole", settings, whole, mask={key: kept.bool() for key, kept in mask.items()})
    run(tmp_path / "part", settings, part)
    assert torch.allclose(whole.head.weight[:, :5], part.head.weight, rtol=1e-4, atol=1e-6)


FAMILIES = {"mlp": {}, "cnn": {"norm": "batch"}, "resnet20": {"norm": "layer", "width": 2}}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", ["adam", "momentum"])
def test_fixed_entries_are_the_same_whatever_the_seed_and_the_others_are_trained(tmp_path, family, settings):
    states, starts = [], []
    for seed in (0, 1):
        model = network(family, seed=seed, **FAMILIES[family])
        asymmetric.declare(model, share=0.4, spread=2)
        starts.append({key: value.clone() for key, value in model.state_dict().items()})
        run(tmp_path / str(seed), MASKED[settings], model, epochs=(0, 4), seed_address=(seed, "net"))
        states.append([checkpoint.load(tmp_path / f"{seed}/epoch{epoch}.safetensors")[0] for epoch in (0, 4)])
    fixed = asymmetric.fixed(model)
    assert set(fixed) == {key for key, value in model.named_parameters() if value.dim() > 1}
    for key, (places, values) in fixed.items():
        assert int(places.sum()) == round(0.4 * places.numel())
        for start, (before, after) in zip(starts, states, strict=True):
            assert torch.equal(before[key][places], values[places]) and torch.equal(after[key][places], values[places])
            assert torch.equal(before[key][~places], start[key][~places])
            assert (after[key] != before[key])[~places].float().mean() > 0.5
        assert not torch.equal(states[0][0][key][~places], states[1][0][key][~places])
    spread = torch.cat([values.flatten() / (values[0].numel()) ** -0.5 for _, values in fixed.values()]).std()
    assert spread == pytest.approx(2 * 2**0.5, rel=0.1)


def test_a_fixed_entry_that_is_pruned_is_0(tmp_path):
    model = network()
    asymmetric.declare(model, share=0.5)
    mask = half_of(model)
    run(tmp_path, MASKED["adam"], model, mask=mask)
    for key, (places, values) in asymmetric.fixed(model).items():
        weight = model.get_parameter(key)
        assert not weight[~mask[key]].any()
        assert torch.equal(weight[mask[key] & places], values[mask[key] & places])


def test_a_network_rewound_goes_on_with_the_same_rates_and_order(tmp_path):
    """Without momentum an optimiser has nothing to forget: the last epochs alone give the same network."""
    settings = replace(SMALL, optimizer="sgd", lr=0.1, schedule="step", milestones=(3,), augment="flip")
    expected = flat(run(tmp_path / "whole", settings))
    model = network()
    model.load_state_dict(checkpoint.load(tmp_path / "whole/epoch2.safetensors")[0])
    run(tmp_path / "rest", settings, model, epochs=(2, 4), start=2)
    assert torch.equal(flat(model), expected)
    assert [int(row["epoch"]) for row in table(tmp_path / "rest")] == [3, 4]
    two, _ = checkpoint.load(tmp_path / "rest/epoch2.safetensors")
    expected, _ = checkpoint.load(tmp_path / "whole/epoch2.safetensors")
    assert all(torch.equal(two[key], expected[key]) for key in expected)


def test_the_warmup_returns_after_rewinding_where_asked():
    settings = replace(SMALL, optimizer="sgd", lr=1.0, warmup=2.0, schedule="step", milestones=(3,))
    assert [rate(settings, step, 2) for step in range(2, 8)] == pytest.approx([0.75, 1, 1, 1, 0.1, 0.1])
    again = [rate(settings, step, 2, warmup_after=1) for step in range(2, 8)]
    assert again == pytest.approx([0.25, 0.5, 0.75, 1, 0.1, 0.1])


def test_a_masked_training_in_parts_equals_training_in_one(tmp_path, caplog):
    settings = replace(AUGMENTED, warmup=2)
    options = {"mask": half_of(network()), "start": 1, "warmup_again": True, "epochs": (1, 4)}
    run(tmp_path / "whole", settings, **options)
    for epoch in (2, 4):
        with stopped_in(epoch):
            run(tmp_path / "parts", settings, **options)
    caplog.set_level(logging.INFO)
    run(tmp_path / "parts", settings, **options)
    assert "continues at epoch 4" in caplog.text
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


def test_a_mask_of_another_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'head.weight' has another shape"):
        run(tmp_path, mask={"head.weight": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(ValueError, match="start 4 does not lie in 0..3"):
        run(tmp_path, start=4)
    with pytest.raises(ValueError, match="checkpoint epoch 0 does not lie in 2..4"):
        run(tmp_path, start=2)
    assert not list(tmp_path.iterdir())


def test_seconds_of_epochs_before_the_stop_are_kept(tmp_path, monkeypatch):
    with stopped_in(4):
        run(tmp_path)
    clock = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(clock)))
    run(tmp_path)
    seconds = [float(row["seconds"]) for row in table(tmp_path)]
    assert max(seconds[:3]) < 1000
    assert seconds[3] == 1000


CHANGES = {
    "setting lr": {"settings": replace(SMALL, lr=1e-3)},
    "setting epochs": {"settings": replace(SMALL, epochs=5)},
    "seed address": {"seed_address": (8, "net")},
    "branch": {"branch": train.Branch(1, "child")},
    "start": {"start": 1, "epochs": (2, 4)},
    "mask": {"mask": {"head.weight": torch.eye(3, 6).bool()}},
    "warmup again": {"warmup_again": True},
    "data set": {"dataset": blobs(seed=1)},
    "initial network": {"model": {"seed": 1}},
    "architecture": {"model": {"width": 7}},
    "metadata": {"metadata": {"model": "other"}},
    "threads": {"threads": 2},
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_run_starts_afresh_and_says_so(tmp_path, caplog, change):
    options = dict(CHANGES[change])
    threads = options.pop("threads", 1)
    built = options.pop("model", {})
    with stopped_in(3):
        run(tmp_path / "x")
    torch.set_num_threads(threads)
    run(tmp_path / "x", model=network(**built), **options)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("starting afresh") and change in warnings[0]
    run(tmp_path / "y", model=network(**built), **options)
    assert results(tmp_path / "x") == results(tmp_path / "y")


@needs_compiler
def test_kernels_made_otherwise_start_afresh(tmp_path, caplog, monkeypatch):
    settings = replace(SMALL, compile=True)
    with stopped_in(3):
        run(tmp_path, settings)
    asked = compilation.options(torch.device("cpu"))
    monkeypatch.setattr(
        compilation, "options", lambda device: asked | {"cpp.enable_floating_point_contract_flag": "off"}
    )
    run(tmp_path, settings)
    assert "starting afresh" in caplog.text and "compilation" in caplog.text


def test_new_commit_alone_continues(tmp_path, caplog):
    with stopped_in(3):
        run(tmp_path, metadata={"commit": "a"})
    caplog.set_level(logging.INFO)
    run(tmp_path, metadata={"commit": "b"})
    assert "continues at epoch 3" in caplog.text


@pytest.mark.parametrize("damage", ["truncated", "foreign", "checkpoint missing", "checkpoint truncated"])
def test_damaged_work_starts_afresh_and_says_so(tmp_path, caplog, damage):
    work = tmp_path / "x" / ".work"
    with stopped_in(4):
        run(tmp_path / "x")
    resume, kept = work / "resume.safetensors", work / "epoch2.safetensors"
    if damage == "foreign":
        resume.write_text("hello")
    elif damage == "checkpoint missing":
        kept.unlink()
    else:
        path = resume if damage == "truncated" else kept
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[: len(content) // 2])
    run(tmp_path / "x")
    assert "starting afresh, for the earlier run cannot be continued" in caplog.text
    run(tmp_path / "y")
    assert results(tmp_path / "x") == results(tmp_path / "y")


def test_checkpoint_asked_for_later_starts_afresh(tmp_path, caplog):
    with stopped_in(4):
        run(tmp_path, epochs=(4,))
    run(tmp_path, epochs=(1, 4))
    assert "epoch1.safetensors does not exist" in caplog.text
    assert sorted(os.listdir(tmp_path)) == ["epoch1.safetensors", "epoch4.safetensors", "training.csv"]


# One process imports torch and forks a child for each point at which a file system call is about to happen; the child
# kills itself there, in the case of a write after half of it. Another child then does the same training again.
KILLER = """
    import os, pathlib, shutil, signal, sys
    sys.path[:0] = {paths!r}
    import torch
    torch.set_num_threads(1)
    import test_train as t

    base = pathlib.Path(sys.argv[1])
    calls = 0

    def counted(function, kill_at, half=None):
        def call(*arguments, **options):
            global calls
            if calls == kill_at:
                if half:
                    half(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1
            return function(*arguments, **options)
        return call

    def child(folder, kill_at):
        pid = os.fork()
        if pid:
            return os.waitpid(pid, 0)[1]
        os.fsync, os.replace, os.link = (counted(f, kill_at) for f in (os.fsync, os.replace, os.link))
        pathlib.Path.unlink = counted(pathlib.Path.unlink, kill_at)
        pathlib.Path.write_bytes = counted(
            pathlib.Path.write_bytes, kill_at, lambda path, data: open(path, "wb").write(data[: len(data) // 2])
        )
        try:
            training(folder)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def training(folder):
        t.run(folder, t.AUGMENTED, t.network(norm="batch"))

    training(base / "whole")
    expected = t.results(base / "whole")
    kills = 0
    while True:
        folder = base / str(kills)
        status = child(folder, kills)
        if status == 0:
            break
        assert status == signal.SIGKILL, status
        for path in folder.glob("*"):
            if path.is_file():
                # A promised name is never given to a part; Snakemake deletes what an unfinished job wrote.
                assert t.results(folder)[path.name] == expected[path.name], path
                path.unlink()
        assert child(folder, None) == 0
        assert t.results(folder) == expected, kills
        shutil.rmtree(folder)
        kills += 1
    print("kills", kills)
"""


def test_killed_at_any_moment_it_gives_the_same_bytes(tmp_path):
    paths = [os.path.dirname(__file__), *sys.path]
    code = textwrap.dedent(KILLER).format(paths=paths)
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Three checkpoints and three savings of three calls each, and what gives the names and clears up.
    assert int(done.stdout.split()[1]) > 30


@pytest.mark.parametrize("already", [False, True])
def test_diverged_loss_names_epoch_and_step_and_leaves_nothing(tmp_path, already):
    model = network()
    settings = replace(SMALL, optimizer="sgd", lr=1e30)
    if already:
        settings = SMALL
        with torch.no_grad():
            model.head.bias[0] = math.nan
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1, step (1|2|3) of 3") as caught:
        run(tmp_path / "x", settings, model)
    assert "\n" not in str(caught.value)
    assert ("step 1 " in str(caught.value)) == already
    assert os.listdir(tmp_path / "x") == []


def test_loss_that_diverges_in_the_last_step_is_seen(tmp_path):
    settings = replace(SMALL, epochs=1, batch_size=64, optimizer="sgd", lr=1e38)
    with pytest.raises(TrainingError, match="after the last step of epoch 1"):
        run(tmp_path / "x", settings, epochs=(1,))
    assert not (tmp_path / "x").exists()


def test_unwritable_work_folder_is_named(tmp_path):
    (tmp_path / ".work").write_text("")
    with pytest.raises(FileError, match="a file lies where a folder is needed"):
        run(tmp_path)
    assert os.listdir(tmp_path) == [".work"]


def test_full_disk_in_the_middle_keeps_promised_names_free(tmp_path, monkeypatch):
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 4:
            raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FileError, match="No space left on device; free some space and run again"):
            run(tmp_path / "x")
    assert os.listdir(tmp_path / "x") == [".work"]
    run(tmp_path / "x")
    run(tmp_path / "y")
    assert results(tmp_path / "x") == results(tmp_path / "y")


def test_names_are_given_without_links_too(tmp_path, monkeypatch):
    run(tmp_path / "x")

    def refuse(source, target):
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(os, "link", refuse)
    run(tmp_path / "y")
    assert results(tmp_path / "x") == results(tmp_path / "y")


def test_foreign_files_in_the_work_folder_are_spared(tmp_path):
    (tmp_path / ".work").mkdir()
    (tmp_path / ".work" / "notes.txt").write_text("mine")
    run(tmp_path)
    assert os.listdir(tmp_path / ".work") == ["notes.txt"]


def test_saving_by_time_does_not_change_the_result(tmp_path):
    run(tmp_path / "x", save_every_s=0.0)
    run(tmp_path / "y", save_every_s=1e9)
    assert results(tmp_path / "x") == results(tmp_path / "y")


def test_bytes_and_floats_on_the_device_train_alike(tmp_path, monkeypatch):
    dataset = blobs(shape=(3, 8, 8))
    run(tmp_path / "x", model=network("cnn", dataset=dataset), dataset=dataset)
    monkeypatch.setattr(images_of, "_FLOAT_LIMIT_BYTES", 0)
    run(tmp_path / "y", model=network("cnn", dataset=dataset), dataset=dataset)
    assert results(tmp_path / "x") == results(tmp_path / "y")


def test_a_terminal_shows_how_far_an_epoch_is_and_a_file_does_not(tmp_path, monkeypatch, capsys):
    run(tmp_path / "x")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(tmp_path / "y")
    shown = capsys.readouterr().err
    assert [f"epoch {epoch}/4" in shown for epoch in range(6)] == [False, True, True, True, True, False]
    assert results(tmp_path / "x") == results(tmp_path / "y")


def test_branches_share_their_first_epochs(tmp_path):
    epochs = (1, 2, 3, 4)
    run(tmp_path / "trunk", epochs=epochs)
    for name in ("a", "b"):
        run(tmp_path / name, epochs=epochs, branch=train.Branch(2, name))

    def states(name):
        loaded = [checkpoint.load(tmp_path / name / f"epoch{epoch}.safetensors")[0] for epoch in epochs]
        return [torch.cat([tensor.flatten() for tensor in state.values()]) for state in loaded]

    for trunk, a, b, epoch in zip(states("trunk"), states("a"), states("b"), epochs, strict=True):
        assert (torch.equal(trunk, a), torch.equal(a, b), torch.equal(trunk, b)) == (epoch <= 2,) * 3


def augmented(augment, padding=2, shape=(2, 5, 6), n=60):
    generator = seeding.generator("images")
    images = torch.randint(1, 256, (n, *shape), generator=generator).to(torch.uint8)
    labels = torch.arange(n) % 2
    dataset = Dataset("random", images, labels, images[:2], labels[:2], 2)
    settings = replace(SMALL, augment=augment, crop_padding=padding)
    held = images_of.Images(dataset, "train", settings, torch.device("cpu"))
    order = torch.randperm(n, generator=generator)
    batches = list(held.shuffled(order, 16, seeding.generator("augment")))
    assert [len(batch) for batch in batches] == [16, 16, 16, 12]
    return dataset, images[order], torch.cat(batches)


@pytest.mark.parametrize("augment", ["none", "flip", "crop", "flip_crop"])
def test_each_image_is_flipped_and_cropped_on_its_own(augment):
    dataset, images, found = augmented(augment)
    padded = F.pad(images, (2, 2, 2, 2))
    shifts = range(5) if "crop" in augment else [2]
    flips = (False, True) if "flip" in augment else (False,)
    seen = []
    for original, result in zip(padded, found, strict=True):
        matches = []
        for flip in flips:
            for down in shifts:
                for right in shifts:
                    window = original[:, down : down + 5, right : right + 6]
                    window = window.flip(2) if flip else window
                    if torch.equal(dataset.normaliser("cpu")(window[None])[0], result):
                        matches.append((flip, down, right))
        assert len(matches) == 1
        seen.append(matches[0])
    assert {flip for flip, _, _ in seen} == set(flips)
    assert {down for _, down, _ in seen} == {right for _, _, right in seen} == set(shifts)
    if augment == "flip_crop":
        assert len(set(seen)) > 20


def test_test_images_are_never_augmented():
    dataset = blobs()
    settings = replace(SMALL, augment="flip_crop")
    held = images_of.Images(dataset, "test", settings, torch.device("cpu"))
    assert torch.equal(torch.cat(list(held.in_order(4))), dataset.tensors("test")[0])


def test_rates_follow_schedule_and_warmup():
    constant = Settings(epochs=10, lr=0.5)
    assert [rate(constant, step, 4) for step in (0, 17, 39)] == [0.5] * 3
    steps = replace(constant, schedule="step", milestones=(2, 5), gamma=0.1)
    rates = [rate(steps, step, 4) for step in (0, 7, 8, 19, 20, 39)]
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005, 0.005])
    cosine = replace(constant, schedule="cosine")
    assert [rate(cosine, step, 4) for step in (0, 20, 40)] == pytest.approx([0.5, 0.25, 0.0])
    for warm in (replace(constant, warmup=2), replace(constant, warmup=8, warmup_unit="steps")):
        assert [rate(warm, step, 4) for step in (0, 3, 7, 8, 30)] == pytest.approx([0.0625, 0.25, 0.5, 0.5, 0.5])
    assert rate(replace(steps, warmup=3), 9, 4) == pytest.approx(0.05 * 10 / 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"epochs": 1.5}, "epochs must be an integer, not 1.5"),
        ({"batch_size": True}, "batch_size must be an integer, not True"),
        ({"optimizer": "sdg"}, "optimizer must be one of sgd, adam, not 'sdg'"),
        ({"lr": "1e-3"}, "lr must be a number, not '1e-3'"),
        ({"lr": -1}, "lr must be above 0, not -1.0"),
        ({"lr": math.nan}, "lr must be finite"),
        ({"optimizer": "sgd", "momentum": 1.0}, r"momentum must be in [0, 1), not 1.0"),
        ({"momentum": 0.9}, "momentum must be 0 with adam, not 0.9"),
        ({"nesterov": True}, "nesterov must be false without momentum"),
        ({"schedule": "steps"}, "schedule must be one of constant, step, cosine"),
        ({"milestones": 80}, "milestones must be a list of integers, not 80"),
        ({"milestones": [80.5]}, "milestones must be integers"),
        ({"milestones": [120, 80]}, "milestones must be increasing"),
        ({"milestones": [0]}, "milestones must be epochs of at least 1"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"warmup_unit": "days"}, "warmup_unit must be one of epochs, steps"),
        ({"label_smoothing": 1}, "label_smoothing must be in [0, 1)"),
        ({"augment": "rotate"}, "augment must be one of none, flip, crop, flip_crop"),
        ({"precision": "float16"}, "precision must be one of float32, bfloat16"),
        ({"channels_last": "yes"}, "channels_last must be true or false"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
        ({"gamma": 0}, "gamma must be above 0"),
        ({"crop_padding": -1}, "crop_padding must be at least 0"),
    ],
)
def test_bad_settings_are_one_readable_line(change, message):
    with pytest.raises(ValueError) as caught:
        Settings(**change)
    assert str(caught.value).startswith(f"training setting {message}")
    assert "\n" not in str(caught.value)


def test_epochs_that_are_never_reached_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"checkpoint epoch 5 does not lie in 0\.\.4"):
        run(tmp_path, epochs=(5,))
    with pytest.raises(ValueError, match=r"branch epoch 5 does not lie in 0\.\.4"):
        run(tmp_path, branch=train.Branch(5, "a"))
    assert os.listdir(tmp_path) == []


def test_training_imports_no_heavy_package(tmp_path):
    code = textwrap.dedent(
        """
        import pathlib, sys
        import torch
        from onebasin import data, models, seeding, train
        images = torch.zeros(8, 1, 4, 4, dtype=torch.uint8)
        labels = torch.arange(8) % 2
        model = models.build("mlp", width=2, image_shape=(1, 4, 4), classes=2)
        models.initialise(model, seeding.generator(0))
        folder = pathlib.Path(sys.argv[1])
        train.train(
            model, data.Dataset("zeros", images, labels, images, labels, 2), train.Settings(epochs=1),
            seed_address=(0,), checkpoints={1: folder / "1"}, table=folder / "t", work=folder / "w", metadata={},
        )
        heavy = ["torch._dynamo", "torchvision", "sklearn", "scipy", "pandas", "matplotlib"]
        print([name for name in heavy if name in sys.modules])
        """
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("settings", [SMALL, replace(SMALL, augment="crop", crop_padding=1)])
def test_a_part_that_is_the_whole_makes_the_same_network(tmp_path, settings):
    whole = run(tmp_path / "whole", settings)
    part = run(tmp_path / "part", settings, part=torch.arange(35))
    assert (flat(whole) == flat(part)).all()
    assert results(tmp_path / "whole")["training.csv"] == results(tmp_path / "part")["training.csv"]
    states = [checkpoint.load(tmp_path / f"{name}/epoch4.safetensors")[0] for name in ("whole", "part")]
    assert checkpoint.digest(states[0]) == checkpoint.digest(states[1])


def test_a_network_sees_its_part_alone_as_the_whole_data_set_normalises_it(tmp_path):
    dataset, part = blobs(), torch.tensor([0, 3, 4, 7, 8, 30])
    seen = images_of.Images(dataset, "train", SMALL, torch.device("cpu"), part)
    images, labels = dataset.tensors("train")
    assert (seen.images == images[part]).all() and (seen.labels == labels[part]).all()

    # What lies outside of the part is never looked at, but for its mean and deviation.
    changed = replace(
        dataset,
        train_labels=torch.where(torch.isin(torch.arange(35), part), dataset.train_labels, 0),
        normalisation={"mean": 0.2, "std": 0.3},
    )
    same = replace(dataset, normalisation={"mean": 0.2, "std": 0.3})
    networks = [run(tmp_path / str(i), dataset=each, part=part) for i, each in enumerate((same, changed))]
    assert (flat(networks[0]) == flat(networks[1])).all()
    other = run(tmp_path / "other", dataset=same, part=part[1:])
    assert not (flat(networks[0]) == flat(other)).all()


def test_an_interrupted_training_on_a_part_goes_on_and_one_on_another_part_begins_anew(tmp_path):
    part = torch.arange(0, 35, 2)
    run(tmp_path / "a", part=part)
    with stopped_in(3):
        run(tmp_path / "b", part=part)
    run(tmp_path / "b", part=part)
    assert results(tmp_path / "a") == results(tmp_path / "b")
    with stopped_in(3):
        run(tmp_path / "c", part=torch.arange(1, 35, 2))
    run(tmp_path / "c", part=part)
    assert results(tmp_path / "a") == results(tmp_path / "c")
