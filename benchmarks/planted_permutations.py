"""Planted permutations with noise: which of them does each way of matching find again?

    pip install timm transformers
    python benchmarks/planted_permutations.py

Each network has parameters and statistics as after training: every value within the range of its own tensor, no two
units alike. Its partner is a permuted copy, with noise on every parameter of so many times the tensor's own spread.
``units`` is the share of units that are found where they were put, over all groups, and ``groups`` that of the groups
in which every unit is.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torchvision
from torch import nn

from onebasin import match, models, seeding, symmetry
from onebasin.networks.planted import recovered, share, with_noise


def timm_model(name: str, **options: Any) -> Callable[[], tuple[nn.Module, Any]]:
    """Return what builds a model of timm and a batch of images."""

    def build() -> tuple[nn.Module, Any]:
        import timm

        size = options.get("img_size", 64)
        return timm.create_model(name, num_classes=10, **options), torch.randn(64, 3, size, size)

    return build


def torchvision_model(name: str) -> Callable[[], tuple[nn.Module, Any]]:
    """Return what builds a model of torchvision and a batch of images."""
    return lambda: (getattr(torchvision.models, name)(num_classes=10), torch.randn(64, 3, 64, 64))


def transformer(kind: str, head: str, **options: Any) -> Callable[[], tuple[nn.Module, Any]]:
    """Return what builds a model of transformers and a batch of tokens."""

    def build() -> tuple[nn.Module, Any]:
        import transformers

        config = transformers.AutoConfig.for_model(kind, use_cache=False, vocab_size=199, **options)
        tokens = torch.randint(3, 199, (4, 32))
        example = {"input_ids": tokens}
        if head == "AutoModelForSeq2SeqLM":
            example["decoder_input_ids"] = tokens.flip(1)
        return getattr(transformers, head).from_config(config), example

    return build


def own(family: str, width: int) -> Callable[[], tuple[nn.Module, Any]]:
    """Return what builds a model of this package and a batch of images."""
    shape = (1, 28, 28) if family == "mlp" else (3, 32, 32)
    return lambda: (models.build(family, width=width, image_shape=shape, classes=10), torch.randn(256, *shape))


NETWORKS: Mapping[str, Callable[[], tuple[nn.Module, Any]]] = {
    "mlp 64": own("mlp", 64),
    "mlp 512": own("mlp", 512),
    "vgg16 16": own("vgg16", 16),
    "resnet20 16": own("resnet20", 16),
    "timm/resnet18": timm_model("resnet18"),
    "torchvision/mobilenet_v3_small": torchvision_model("mobilenet_v3_small"),
    "timm/mobilenetv3_small_050": timm_model("mobilenetv3_small_050"),
    "timm/convnext_atto": timm_model("convnext_atto"),
    "timm/vit_tiny_patch16_224": timm_model("vit_tiny_patch16_224", img_size=64),
    "timm/swin_tiny_patch4_window7_224": timm_model("swin_tiny_patch4_window7_224", img_size=56),
    "transformers/gpt2": transformer("gpt2", "AutoModelForCausalLM", n_embd=128, n_layer=4, n_head=4, n_positions=64),
    "transformers/llama": transformer(
        "llama",
        "AutoModelForCausalLM",
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
    ),
    "transformers/t5": transformer(
        "t5", "AutoModelForSeq2SeqLM", d_model=128, d_kv=16, d_ff=256, num_layers=3, num_heads=8
    ),
}
METHODS: Mapping[str, dict[str, Any]] = {
    "weights": {},
    "weights, cosine": {"kernel": "cosine"},
    "weights, moments": {"kernel": "moments"},
    "activations": {},
    "learned": {},
}


def main() -> None:
    """Plant, match, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help=f"all by default: {', '.join(NETWORKS)}")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.25, 1, 2, 4, 8, 16])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--plot", help="file of a figure: the share of units against the noise, by each method")
    parser.add_argument("--groups", action="store_true", help="name the groups that were not found")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| network | noise | method | units | groups | seconds |\n| --- | --- | --- | --- | --- | --- |")
    shares: dict[tuple[str, str, float], list[float]] = {}
    for name in arguments.networks or NETWORKS:
        for noise in arguments.noise:
            for seed in range(arguments.seeds):
                generator = seeding.generator("planted", name, seed)
                torch.manual_seed(seed)
                model, example = NETWORKS[name]()
                model.eval()
                sym = symmetry.discover(model, example, verify=False)
                state = symmetry.random_state(model, generator)
                planted = sym.random(generator)
                partner = sym.apply(planted.inverse(), with_noise(state, noise, generator, sym.parameters))
                for method in arguments.methods:
                    start = time.perf_counter()
                    if method in ("weights", "weights, cosine"):
                        found = match.weights(sym, state, partner, **METHODS[method]).permutation
                    elif isinstance(example, dict):
                        continue  # what the others look at is one tensor
                    elif method == "weights, moments":
                        options = {"model": model, "images": example}
                        found = match.weights(sym, state, partner, **options, **METHODS[method]).permutation
                    elif method == "learned":
                        with torch.no_grad():
                            labels = torch.func.functional_call(model, state, (example,)).argmax(1)
                        found = match.sinkhorn_pair(
                            sym, state, partner, model=model, images=example, labels=labels
                        ).permutation
                    else:
                        found = match.activations(sym, state, partner, model=model, images=example).permutation
                    seconds = time.perf_counter() - start
                    of_groups = recovered(found, planted)
                    wrong = [group for group, found_there in of_groups.items() if found_there < 1]
                    units = share(of_groups, sym.sizes)
                    shares.setdefault((name, method, noise), []).append(units)
                    groups = f"{len(planted) - len(wrong)}/{len(planted)}"
                    print(f"| {name} | {noise:g} | {method} | {units:.4f} | {groups} | {seconds:.2f} |", flush=True)
                    if arguments.groups and wrong:
                        print("  ", ", ".join(f"{group} ({sym.groups[group].size})" for group in wrong))
    if arguments.plot:
        plot(shares, arguments.plot)


def plot(shares: Mapping[tuple[str, str, float], list[float]], path: str) -> None:
    """Draw the mean share of units that were found against the noise, a panel for each network.

    Args:
        shares: of all seeds, by network, method and noise.
        path: of the figure.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for name, _, _ in shares))
    figure = Figure(figsize=(2.4 * len(names), 2.4), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        for method in METHODS:
            points = [(noise, sum(s) / len(s)) for (n, m, noise), s in shares.items() if (n, m) == (name, method)]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1, label=method)
        axis.set_xscale("log", base=2)
        axis.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axis.set_title(name)
        axis.set_xlabel("noise / spread of the weights")
    axes[0].set_ylabel("share of units found")
    axes[0].legend(fontsize=6)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
