"""Permutation groups of the models that people use: one of each architecture file of timm, small ones of transformers.

    pip install timm transformers
    python benchmarks/models.py --output docs/models.md

Models are built without weights. Those of timm are the smallest of the first models of their file, with images of the
size that they were made for; those of transformers have a configuration of two layers. Each model is followed in a
process of its own, on one CPU core. Memory is the peak of that process beyond what it needed before discovery, over the
size of the model's parameters and buffers in double precision.
"""

import argparse
import hashlib
import json
import logging
import os
import re
import resource
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

HEADER = (
    "model",
    "parameters",
    "groups",
    "share",
    "relative error",
    "precision",
    "seconds",
    "memory",
    "refused because",
)
LIMIT = 600  # seconds for one model
# Small values for what configurations of transformers call the same thing in many ways.
SMALL = {
    8: ("head_dim", "d_kv", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank", "rotary_dim"),
    2: (
        "num_hidden_layers",
        "n_layer",
        "num_layers",
        "encoder_layers",
        "decoder_layers",
        "n_layers",
        "depth",
        "num_decoder_layers",
        "num_encoder_layers",
        "num_key_value_heads",
        "num_kv_heads",
        "num_experts_per_tok",
    ),
    4: (
        "num_attention_heads",
        "n_head",
        "n_heads",
        "num_heads",
        "encoder_attention_heads",
        "decoder_attention_heads",
        "num_experts",
        "num_local_experts",
        "n_routed_experts",
        "moe_num_experts",
    ),
    32: ("hidden_size", "n_embd", "d_model", "dim", "embedding_size", "image_size", "word_embed_proj_dim"),
    16: ("q_lora_rank", "state_size", "moe_intermediate_size", "shared_expert_intermediate_size", "patch_size_"),
    64: (
        "intermediate_size",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "ffn_dim",
        "d_ff",
        "n_inner",
        "hidden_dim",
        "max_position_embeddings",
        "n_positions",
        "ffn_hidden_size",
    ),
    99: ("vocab_size",),
}
TEN = """
mobilenetv3_small_050 mobileone_s0 cait_xxs24_224 rdnet_tiny resnet50 beit_base_patch16_224 vgg16
convnext_large vit_large_patch16_224 vit_huge_patch14_224
"""
WHOLE = "swin convnext convnextv2"  # their sizes follow from each other
OWN = {"mamba2": {"num_heads": 8}, "deepseek_v2": {"num_experts_per_tok": 2}}
PAGE = """# Models

*You want to know whether a model of timm or of transformers is followed, and what that takes.*

Made by `python benchmarks/models.py --output docs/models.md` after `pip install timm transformers`: one model of each
architecture file of timm, the smallest among the first, with images of the size that it was made for, and small
configurations of transformers, without weights. `share` is that of the parameters that lie in permutation groups, and
`precision` the least precise dtype that the proof saw. Each model has a process of its own, on one CPU core. `memory`
is the peak of that process beyond what it needed before, in multiples of the model's size in double precision, for
models of at least 5 M parameters: about two for the parameters, a random state and its permuted copy, and what the
intermediates of one evaluation take, which is more than the parameters where the model is small and its images large.
Configurations of transformers that cannot be built here say why.

Units of a model's outputs stay in place: the encoders here return their last hidden values, so that those units stay.

"""
LANGUAGE = """
llama mistral mixtral qwen2 qwen2_moe qwen3 qwen3_moe gemma gemma2 gemma3_text phi phi3 gpt2 gpt_neo gpt_neox
gptj gpt_bigcode opt bloom falcon mpt codegen olmo olmo2 olmoe starcoder2 stablelm cohere granite granitemoe
persimmon mamba mamba2 rwkv deepseek_v2 deepseek_v3 glm smollm3 xglm openai-gpt ctrl biogpt helium
jamba gpt_oss
"""
ENCODERS = """
bert roberta distilbert albert electra deberta deberta-v2 mobilebert xlnet fnet mpnet convbert
squeezebert roformer nystromformer big_bird longformer camembert modernbert megatron-bert xlm-roberta ibert
layoutlm
"""
SEQUENCE = """
t5 mt5 bart mbart pegasus m2m_100 blenderbot marian led prophetnet switch_transformers longt5 umt5
"""
VISION = """
vit deit beit swin swinv2 convnext convnextv2 dinov2 data2vec-vision segformer poolformer regnet resnet
mobilenet_v1 mobilenet_v2 mobilevit levit cvt pvt bit vit_mae vit_msn hiera focalnet
clip_vision_model siglip_vision_model ijepa
"""


def timm_models() -> list[str]:
    """Name one model of each architecture file: the smallest among the first of them."""
    import timm
    import torch

    files: dict[str, list[str]] = {}
    for name in timm.list_models():
        files.setdefault(timm.models.model_entrypoint(name).__module__, []).append(name)
    chosen = []
    for names in files.values():
        sizes = {}
        for name in [*names[:4], *names[-2:]]:
            with torch.device("meta"):
                try:
                    sizes[name] = sum(value.numel() for value in timm.create_model(name).parameters())
                except Exception:  # some do not build on the meta device
                    sizes[name] = 10**9
        chosen.append(min(sizes, key=lambda name: (sizes[name], name)))
    return [f"timm/{name}" for name in sorted(chosen)]


def build(name: str) -> tuple[Any, Any]:
    """Build a model and an example input."""
    import torch

    from onebasin import seeding

    generator = seeding.generator("benchmark", name)
    library, kind = name.split("/")
    if library == "timm":
        import timm

        model = timm.create_model(kind, pretrained=False)
        channels, height, width = model.default_cfg["input_size"]
        if height > 400 and not model.default_cfg.get("fixed_input_size"):
            height = width = 224
        return model, torch.randn(2, channels, height, width, generator=generator)
    import transformers

    config = transformers.AutoConfig.for_model(kind)
    for part in [config, *(value for value in vars(config).values() if hasattr(value, "to_dict"))]:
        for value, keys in SMALL.items() if kind not in WHOLE.split() else ():
            for key in keys:
                if isinstance(getattr(part, key, None), int):
                    with suppress(AttributeError, NotImplementedError):  # computed from other values
                        setattr(part, key, value)
        for key in ("pad_token_id", "bos_token_id", "eos_token_id"):
            if isinstance(getattr(part, key, None), int):
                setattr(part, key, min(getattr(part, key), 2))
        for key, value in OWN.get(kind, {}).items():
            setattr(part, key, value)
        if hasattr(part, "kv_lora_rank"):
            part.num_key_value_heads = part.num_attention_heads
    config.use_cache = False
    tokens = torch.randint(3, 99, (2, 16), generator=generator)
    if kind in LANGUAGE.split():
        return transformers.AutoModelForCausalLM.from_config(config), {"input_ids": tokens}
    if kind in ENCODERS.split():
        return transformers.AutoModel.from_config(config), {"input_ids": tokens}
    if kind in SEQUENCE.split():
        return (
            transformers.AutoModelForSeq2SeqLM.from_config(config),
            {"input_ids": tokens, "decoder_input_ids": tokens[:, :5]},
        )
    size = getattr(config, "image_size", 64)
    side = size if isinstance(size, int) else size[0]
    images = torch.randn(2, 3, side, side, generator=generator)
    return transformers.AutoModel.from_config(config), {"pixel_values": images}


def measure(name: str, single: bool) -> dict[str, Any]:
    """Discover one model; return its row."""
    import torch

    from onebasin import symmetry
    from onebasin.symmetry.network import state_of

    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    try:
        model, example = build(name)
    except Exception as error:
        return {"model": name, "refused because": f"not built: {type(error).__name__}: {str(error).splitlines()[0]}"}
    tensors = list(state_of(model).values())
    row: dict[str, Any] = {"model": name, "parameters": sum(p.numel() for p in model.parameters())}
    before = digest(model)
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    try:
        found = symmetry.discover(model, example, precision=torch.float32 if single else torch.float64)
    except Exception as error:
        kind = "" if isinstance(error, symmetry.SymmetryError) else f"CRASH {type(error).__name__}: "
        return row | {"refused because": kind + short(error), "seconds": time.perf_counter() - start}
    row["seconds"] = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle
    row["memory"] = 1024 * used / (8 * sum({id(value): value.numel() for value in tensors}.values()))
    row["groups"] = len(found.groups)
    moved = {key for group in found.groups.values() for key, _ in group.axes}
    own = dict(model.named_parameters())
    row["share"] = sum(own[key].numel() for key in moved & own.keys()) / max(1, row["parameters"])
    if found.proof:
        row["relative error"], row["precision"] = found.proof.error, str(found.proof.precision).removeprefix("torch.")
    if digest(model) != before:
        row["refused because"] = "DAMAGED"
    return row


def short(error: Exception) -> str:
    """Write an error in one line, files from their package on."""
    return re.sub(r"\S*site-packages/", "", " ".join(str(error).split())).replace("](", "] (")  # no link


def digest(model: Any) -> str:
    """Hash all tensors of a model's state."""
    from onebasin.symmetry.network import state_of

    found = hashlib.blake2b()
    for key, value in state_of(model).items():
        found.update(key.encode())
        found.update(value.resolve_conj().contiguous().view(-1).numpy().tobytes())
    return found.hexdigest()


def line(row: dict[str, Any]) -> str:
    """Write a row of the table."""
    form = {
        "parameters": lambda n: f"{n / 1e6:.2f} M",
        "share": lambda x: f"{x:.0%}",
        "relative error": lambda x: f"{x:.0e}",
    }
    form |= {"seconds": lambda x: f"{x:.1f}", "memory": lambda x: f"{x:.1f}"}
    if row.get("parameters", 0) < 5e6:
        row.pop("memory", None)
    cells = [form.get(key, str)(row[key]) if key in row else "" for key in HEADER]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Measure all models, or those named, and write the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="as timm/NAME or transformers/TYPE; all by default")
    parser.add_argument("--output", type=Path, help="a Markdown file, in place of the terminal alone")
    parser.add_argument("--single", action="store_true", help="prove in single precision")
    parser.add_argument("--here", action="store_true", help="one model, in this process; prints JSON")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.models[0], arguments.single)))
        return
    sections = {"": arguments.models} if arguments.models else everything()
    text = PAGE
    for title, names in sections.items():
        text += f"## {title}\n\n" if title else ""
        text += "| " + " | ".join(HEADER) + " |\n|" + " --- |" * len(HEADER) + "\n"
        for name in names:
            text += line(in_a_process(name, arguments.single)) + "\n"
            print(text.splitlines()[-1], flush=True)
            if arguments.output:
                arguments.output.write_text(text)
        text += "\n"


def everything() -> dict[str, list[str]]:
    """Name all models, by the title of their table."""
    kinds = f"{LANGUAGE} {ENCODERS} {SEQUENCE} {VISION}".split()
    return {
        "Time and memory": [f"timm/{name}" for name in TEN.split()],
        "timm": timm_models(),
        "transformers": [f"transformers/{kind}" for kind in kinds],
    }


def in_a_process(name: str, single: bool) -> dict[str, Any]:
    """Measure a model in a process of its own."""
    command = [sys.executable, __file__, "--here", name, *(["--single"] if single else [])]
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"model": name, "refused because": f"takes more than {LIMIT} s"}
    if done.returncode < 0:
        return {"model": name, "refused because": "the process was ended, as a rule for want of memory"}
    if done.returncode:
        return {"model": name, "refused because": f"process died: {done.stderr.strip().splitlines()[-1:]}"}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
