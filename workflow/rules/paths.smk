"""Every path of a study, once.

A network has an address, as keywords: its seed and, where it is not the trained network itself, the `epoch` of an
earlier checkpoint, the `level` of pruning and the epoch to `rewind` to where it is not that of all, the epochs `shared`
with its parent or another kind of `child`, the `mask` of another network under which it was trained (`source`, and the
`method` by which it was permuted), how many networks it is a `star` of, or which kind of network beside one, a `split`
of the data on a part of which it was trained, the epoch of the `mean` of two networks from which it goes on (a network
and its child, or the `source` too, permuted by the `method`), another `data` set, the epoch of the network from which
an expert of a task has its `start`, another `width`. A stage at which networks are matched is an address without a
seed. The address makes the path; nothing takes a path apart. Values may be wildcards.
"""

# Sets of networks, and stages, by the names that experiments have for them; the rules that make them add theirs.
NETWORKS_OF = {"last": [{"seed": seed} for seed in SEEDS]}
STAGES = {"last": [{}]}

# What the networks of a study are called that were not trained in it.
LAST = "imported" if config["networks"] else f"epoch{LAST_EPOCH}"

DATA = {
    "first": "<results>/data.safetensors",
    "second": "<results>/second/data.safetensors",
    "butterfly": "<results>/butterfly/data.safetensors",
    "transience": "<results>/transience/data.safetensors",
    **{name: f"<results>/{name}/data.safetensors" for name in TASKS},
}
PERMUTATIONS = "<results>/permutations/{model}/width{width}/{method}"
FRAMES_OF = "<results>/frames/{model}/width{width}/{frame}"
MEASUREMENT = "<results>/measurements/{table}/{model}/width{width}/{part}.csv"
TABLE = "<results>/tables/{table}.csv"
FIGURE = "<results>/figures/{experiment}.{format}"
SUMMARY = "<results>/summary/{experiment}.{format}"
FINDINGS = "<results>/findings.md"
REPORT = "<results>/report.html"


def at(epoch):
    """The address of an epoch; the last one goes without saying."""
    return {} if epoch == LAST_EPOCH else {"epoch": epoch}


def folder(
    seed,
    width="{width}",
    data="first",
    start=None,
    shared=None,
    star=None,
    child=None,
    mean=None,
    rewind=None,
    split=None,
    level=None,
    mask=None,
    method=None,
    source=None,
    epoch=None,
):
    """Where the training of a network puts its files."""
    parts = [f"<results>/networks/{{model}}/width{width}/seed{seed}"]
    parts += [data] if data != "first" else []
    parts += [f"start{start}"] if start is not None else []
    parts += [f"shared{shared}"] if shared is not None else []
    parts += [f"star/{star}"] if star else []
    parts += [f"split/{split}"] if split else []
    parts += ["-".join([child["kind"], *(f"{key}{child[key]}" for key in child if key != "kind")])] if child else []
    parts += [f"mean{mean}"] if mean is not None else []
    parts += [f"with{source}", method] if mean is not None and source is not None else []
    parts += [f"rewind{rewind}"] if rewind is not None and level else []
    parts += [f"level{level}"] if level else []
    parts += [method if mask == "permuted" else mask] if mask else []
    parts += [f"from{source}"] if mask and source is not None else []
    return "/".join(parts)


def network(**address):
    """The checkpoint of a network."""
    return f"{folder(**address)}/{epoch_name(address.get('epoch'))}.safetensors"


def epoch_name(epoch):
    """What a checkpoint, or the permutations of an epoch, are called; the last epoch goes without saying."""
    return LAST if epoch is None else f"epoch{epoch}"


def training_table(**address):
    """Loss and error of every epoch of a training."""
    return f"{folder(**address)}/training.csv"


def mask_file(**address):
    """What a level of pruning leaves of a network."""
    return f"{folder(**address)}/mask.safetensors"


def permutations(method="{method}", epoch=None, level=None, data=None, share="", kind="safetensors"):
    """The permutations of all pairs at a stage, or of a share of them; with the kind csv, what their matching reached."""
    stage = data or (f"level{level}" if level else epoch_name(epoch))
    return f"{PERMUTATIONS.replace('{method}', method)}/{stage}{share}.{kind}"


def memory_file(epoch, **address):
    """What the optimiser of a network remembers at an epoch."""
    return f"{folder(**address)}/memory{epoch}.safetensors"


def frame_file(frame="{frame}", kind="safetensors"):
    """The permutations of a common frame; with the kind csv, what its method reached."""
    return f"{FRAMES_OF.replace('{frame}', frame)}.{kind}"


def results_of(names):
    """The tables, summaries and figures of experiments."""
    files = [(SUMMARY, ["csv", "md"]), (FIGURE, ["png", "pdf"])]
    return expand(TABLE, table=names) + [
        path for pattern, formats in files for path in expand(pattern, experiment=names, format=formats)
    ]


def log_of(rule, batch=""):
    """The log of the jobs of a rule, named by what they have in hand."""
    return f"<logs>/{rule}/{batch}.log" if batch else f"<logs>/{rule}.log"


def benchmark_of(rule, batch=""):
    """What the jobs of a rule took."""
    return f"<benchmarks>/{rule}/{batch}.txt" if batch else f"<benchmarks>/{rule}.txt"
