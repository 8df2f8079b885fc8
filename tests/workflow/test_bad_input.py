"""Bad input ends in one readable line that names the key and what is allowed, before any job; nothing is touched."""

import copy
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from workflow import config_files, validation

ROOT = Path(__file__).parents[2]
MLP = {"name": "mlp", "family": "mlp", "widths": [4]}
OWN = {"name": "own", "factory": "own_net:build", "widths": [4]}
WEIGHTS = {"name": "weights", "algorithm": "weights"}
WIDTHS = "a whole number of at least 1"

# What Snakemake itself is given: something of each kind.
CASES = {
    "typo in a section": ({"trainig": {}}, "trainig", "did you mean 'training'?"),
    "nothing for a section": ("training:", "training", "a section"),
    "seed given twice": ({"seeds": [0, 1, 2, 3, 1]}, "seeds", "1 is given twice"),
    "too few networks for a triangle": ({"seeds": [0, 1, 2]}, "seeds", "at least 4, for a triangle"),
    "module of a factory that is not there": (
        {"models": [{"name": "own", "factory": "no_such_module:build", "widths": [4]}], "experiments": ["pairs"]},
        "models[0].factory",
        "there is no module of 'no_such_module:build' in",
    ),
    "missing data folder": ({"data": {"name": "mnist", "data_dir": "no/such/folder"}}, "data.data_dir", "not exist"),
}

# What the function is given that checks a config, merged with the default one as Snakemake does.
CHECKED = {
    "typo in a key": ({"training": {"learning_rat": 0.1}}, "training.learning_rat", "Allowed: epochs, "),
    "text for a number": ({"training": {"lr": "fast"}}, "training.lr", "a number above 0"),
    "path for a name": ({"study": "../elsewhere"}, "study", "letters, digits"),
    "list for a section": ({"training": [1]}, "training", "a section"),
    "empty seeds": ({"seeds": []}, "seeds", "a list of at least 2 items"),
    "model name given twice": ({"models": [MLP, {**MLP, "widths": [8]}]}, "models[1].name", "'mlp' is given twice"),
    "method name given twice": ({"matching": [WEIGHTS, WEIGHTS]}, "matching[1].name", "'weights' is given twice"),
    "method named none": ({"matching": [{**WEIGHTS, "name": "none"}]}, "matching[0].name", "any other name"),
    "negative width": ({"models": [{**MLP, "widths": [-4]}]}, "models[0].widths[0]", WIDTHS),
    "widths as text": ({"models": [{**MLP, "widths": ["4"]}]}, "models[0].widths[0]", WIDTHS),
    "unknown family": ({"models": [{**MLP, "family": "mpl"}]}, "models[0].family", "did you mean 'mlp'?"),
    "unknown norm": ({"models": [{**MLP, "norm": "group"}]}, "models[0].norm", "none, layer, batch"),
    "unknown data set": ({"data": {"name": "minst"}}, "data.name", "did you mean 'mnist'?"),
    "unknown method": ({"matching": [{"name": "w", "algorithm": "weight"}]}, "matching[0].algorithm", "'weights'?"),
    "momentum of adam": ({"training": {"momentum": 0.9}}, "training.momentum", "No momentum with adam. Allowed: 0"),
    "Nesterov momentum without momentum": ({"training": {"nesterov": True}}, "training.nesterov", "Allowed: false"),
    "momentum of one model": (
        {"models": [{**MLP, "training": {"momentum": 0.9}}]},
        "models[0].training.momentum",
        "Allowed: 0",
    ),
    "checkpoint after the end": ({"training": {"checkpoints": [31]}}, "training.checkpoints", "up to training.epochs"),
    "milestones in disorder": ({"training": {"milestones": [9, 5]}}, "training.milestones", "increasing epochs"),
    "a single alpha": ({"barrier": {"points": 1}}, "barrier.points", "at least 3"),
    "too few networks for a frame": (
        {"seeds": [0, 1], "experiments": ["consensus"]},
        "seeds",
        "at least 3, for a frame of more than a pair",
    ),
    "children at a width of no model": (
        {"instability": {"widths": [17]}, "experiments": ["instability"]},
        "instability.widths[0]",
        "16, 32, 64",
    ),
    "children that share all epochs": (
        {"training": {"epochs": 10}, "experiments": ["instability"]},
        "instability.epochs",
        "epochs below training.epochs, 10",
    ),
    "a star that leaves one network held out": (
        {"star": {"sources": [1, 3]}, "experiments": ["star"]},
        "star.sources",
        "3 of 4 networks leave no two held out. Allowed: numbers up to 2",
    ),
    "a star of the seed of a network": (
        {"star": {"seeds": [9, 3]}, "experiments": ["star"]},
        "star.seeds",
        "3 is a seed of the study",
    ),
    "sources matched by no method": (
        {"star": {"align": "weight"}, "experiments": ["star"]},
        "star.align",
        "'weight' is no matching method. Allowed: weights, activations",
    ),
    "corrections at a width of no model": (
        {"correction": {"widths": [17]}, "experiments": ["correction"]},
        "correction.widths[0]",
        "16, 32, 64",
    ),
    "history of a width of no model": ({"history": {"widths": [17]}}, "history.widths[0]", "16, 32, 64"),
    "history after the end": ({"history": {"epochs": [0, 21]}}, "history.epochs", "up to training.epochs, 20"),
    "history without an earlier epoch": ({"history": {"epochs": [20]}}, "history.epochs", "one below 20"),
    "layers rewound to an epoch that is not kept": (
        {"layers": {"epochs": [0, 3]}},
        "layers.epochs",
        "3 is no epoch of history.epochs. Allowed: 0, 1, 2, 5, 10, 15",
    ),
    "layers rewound to the last epoch": ({"layers": {"epochs": [20]}}, "layers.epochs", "20 is no epoch"),
    "checkpoints matched at once that are not kept": (
        {"superposition": {"sets": [[20], [1, 3]]}},
        "superposition.sets[1]",
        "Allowed: 0, 1, 2, 5, 10, 15, 20",
    ),
    "pruning at a width of no model": (
        {"pruning": {"widths": [17]}, "experiments": ["sparsity"]},
        "pruning.widths[0]",
        "16, 32, 64",
    ),
    "rewinding to the end": (
        {"training": {"epochs": 10}, "pruning": {"rewind": 10}, "experiments": ["pruning"]},
        "pruning.rewind",
        "epochs below training.epochs, 10",
    ),
    "points beside those of the barrier": (
        {"pruning": {"points": 10}, "experiments": ["sparsity"]},
        "pruning.points",
        "Allowed with 25 barrier.points: 3, 4, 5, 7, 9, 13, 25",
    ),
    "tickets of a level that is not reached": (
        {"pruning": {"levels": 3}, "experiments": ["tickets"]},
        "tickets.levels",
        "levels up to pruning.levels, 3",
    ),
    "tickets rewound to the end": (
        {"training": {"epochs": 10}, "tickets": {"rewind": [0, 10]}, "experiments": ["tickets"]},
        "tickets.rewind[1]",
        "epochs below training.epochs, 10",
    ),
    "means after the last epoch": (
        {"transience": {"widths": [64], "epochs": [20]}, "experiments": ["transience"]},
        "transience.epochs[0]",
        "epochs below those of its training, 20",
    ),
    "children that leave after every mean": (
        {"transience": {"widths": [64], "shared": [1, 11], "epochs": [10]}, "experiments": ["transience"]},
        "transience.shared[1]",
        "up to the last mean, 10",
    ),
    "method named like a mask": ({"matching": [{**WEIGHTS, "name": "random"}]}, "matching[0].name", "any other name"),
    "cycles at a width of no model": (
        {"cycles": {"widths": [17]}, "experiments": ["cycles"]},
        "cycles.widths[0]",
        "16, 32, 64",
    ),
    "too few networks for a cycle": (
        {"seeds": [0, 1], "experiments": ["cycles"]},
        "seeds",
        "at least 3, for a cycle",
    ),
    "padded to a width of no model": (
        {"embedding": {"wide": 17}, "experiments": ["embedding"]},
        "embedding.wide",
        "16, 32, 64",
    ),
    "padded networks that are not narrower": (
        {"embedding": {"wide": 64, "narrow": [16, 64]}, "experiments": ["embedding"]},
        "embedding.narrow[1]",
        "Allowed: 16, 32",
    ),
    "a second data set at a width of no model": (
        {"transfer": {"widths": [17]}, "experiments": ["transfer"]},
        "transfer.widths[0]",
        "16, 32, 64",
    ),
    "a second data set of another shape": (
        {"transfer": {"data": {"name": "mnist"}}, "experiments": ["transfer"]},
        "transfer.data.name",
        "Allowed: digits",
    ),
    "a task of another shape": (
        {
            "nonlocal": {"tasks": [{"name": "same", "variant": "none"}, {"name": "mnist", "variant": "none"}]},
            "experiments": ["nonlocal"],
        },
        "nonlocal.tasks[1].name",
        "Allowed: digits",
    ),
    "a task given twice in other words": (
        {
            "nonlocal": {"tasks": [{"name": "same", "variant": "none"}, {"name": "digits", "variant": "none"}]},
            "experiments": ["nonlocal"],
        },
        "nonlocal.tasks[1]",
        "Allowed: each once",
    ),
    "a task without its variant": (
        {"nonlocal": {"tasks": [{"name": "same"}, {"name": "digits", "variant": "none"}]}},
        "nonlocal.tasks[0]",
        "'variant'",
    ),
    "more tasks than independent starts": (
        {"seeds": [0, 1, 2], "experiments": ["nonlocal"]},
        "nonlocal.tasks",
        "Allowed: at most 3, the number of seeds (config.yaml says so",
    ),
    "experts that start after the end": (
        {"nonlocal": {"starts": [0, 21]}, "experiments": ["nonlocal"]},
        "nonlocal.starts[1]",
        "up to training.epochs, 20",
    ),
    "statistics of an expert for networks of one task": (
        {"barrier": {"correction": "task"}},
        "barrier.correction",
        "none, reset, repair",
    ),
    "a frame that learns from the labels of one task": (
        {"frames": [{"name": "learned", "algorithm": "sinkhorn"}], "experiments": ["nonlocal"]},
        "frames[0].algorithm",
        "Allowed: frames by weights or activations",
    ),
    "masks for a second data set of a level that is not reached": (
        {"pruning": {"levels": 3}, "transfer": {"level": 4}, "experiments": ["transfer_masks"]},
        "transfer.level",
        "levels up to pruning.levels, 3",
    ),
    "the first data set again": (
        {"transfer": {"data": {"variant": "none"}}, "experiments": ["transfer"]},
        "transfer.data.variant",
        "another variant",
    ),
    "a fall of barriers at one width": (
        {"mechanism": {"widths": [16]}, "experiments": ["mechanism_share"]},
        "mechanism.widths",
        "no model has two of [16]",
    ),
    "networks mixed at a width of no model": ({"consensus": {"widths": [17]}}, "consensus.widths[0]", "16, 32, 64"),
    "frame named as a method": (
        {"frames": [{"name": "weights", "algorithm": "merge_many"}]},
        "frames[0].name",
        "any other name",
    ),
    "option of another frame": (
        {"frames": [{"name": "r", "algorithm": "reference", "options": {"max_rounds": 3}}]},
        "frames[0].options.max_rounds",
        "Allowed: to, biases",
    ),
    "rounds of a frame that revises nothing": (
        {"frames": [{"name": "tree", "algorithm": "hierarchical", "options": {"max_rounds": 3}}]},
        "frames[0].options.max_rounds",
        "Allowed: biases",
    ),
    "every entry of the weights fixed": (
        {"models": [{**MLP, "asymmetric": {"share": 1}}]},
        "models[0].asymmetric.share",
        "Allowed: a number of at least 0 and below 1",
    ),
    "fixed entries without their share": ({"models": [{**MLP, "asymmetric": {}}]}, "models[0].asymmetric", "'share'"),
    "networks from elsewhere with fixed entries": (
        {
            "models": [{**MLP, "asymmetric": {"share": 0.5}}],
            "networks": ["config.yaml", "Snakefile"],
            "experiments": ["pairs"],
        },
        "models[0].asymmetric",
        "not with networks from elsewhere",
    ),
    "more networks merged than there are": (
        {"linear": {"counts": [2, 9]}, "experiments": ["linear"]},
        "linear.counts",
        "9 is more than the 4 networks. Allowed: numbers from 2 to 4",
    ),
    "a ridge of nothing": ({"linear": {"gammas": [0]}}, "linear.gammas[0]", "above 0"),
    "a way of layers without a middle": (
        {"layerwise": {"points": 4}, "experiments": ["layerwise"]},
        "layerwise.points",
        "Allowed: odd numbers",
    ),
    "reference that is no seed": (
        {"frames": [{"name": "r", "algorithm": "reference", "options": {"to": 7}}]},
        "frames[0].options.to",
        "one of [0, 1, 2, 3]",
    ),
    "simplex at a width of no model": ({"simplex": {"widths": [17]}}, "simplex.widths[0]", "16, 32, 64"),
    "file of a network that is not there": ({"networks": ["a.pt", "b.pt"]}, "networks[0]", "'a.pt' is no file"),
    "one file for several networks": (
        {"networks": ["config.yaml", "Snakefile"], "experiments": ["pairs"]},
        "networks[0]",
        "a file for each, by {model} and {width}",
    ),
    "training of networks from elsewhere": (
        {"networks": ["config.yaml", "Snakefile"], "models": [MLP], "experiments": ["pairs", "instability"]},
        "experiments[1]",
        "'instability' trains networks",
    ),
    "too few networks from elsewhere": (
        {"networks": ["config.yaml", "Snakefile"], "models": [MLP], "experiments": ["cycles"]},
        "networks",
        "at least 3, for a cycle",
    ),
    "missing folder of images": (
        {"data": {"name": "image_folder", "data_dir": "new"}},
        "data.data_dir",
        "a folder for each class",
    ),
    "missing folder of text": (
        {"data": {"name": "text_folder", "data_dir": "new"}, "models": [OWN], "experiments": ["pairs"]},
        "data.data_dir",
        "as .txt files",
    ),
    "model of images for text": (
        {"data": {"name": "pydoc"}, "models": [OWN, MLP], "experiments": ["pairs"]},
        "models[1].family",
        "'mlp' is for images, and 'pydoc' is text. Allowed: a factory",
    ),
    "augmentation of text": (
        {"data": {"name": "pydoc"}, "models": [OWN], "training": {"augment": "flip"}, "experiments": ["pairs"]},
        "training.augment",
        "flip is for images, and 'pydoc' is text. Allowed: none",
    ),
    "memory order of images for text": (
        {"data": {"name": "pydoc"}, "models": [{**OWN, "training": {"channels_last": True}}], "experiments": ["pairs"]},
        "models[0].training.channels_last",
        "true is for images, and 'pydoc' is text. Allowed: false",
    ),
    "a second data set of text": (
        {"data": {"name": "pydoc"}, "models": [OWN], "experiments": ["transfer"], "transfer": {"widths": [4]}},
        "data.name",
        "'pydoc' is text, which makes no second data set",
    ),
    "no file of data": (
        {"data": {"name": "file", "path": "gone.npz"}},
        "data.path",
        "'gone.npz' is no file in",
    ),
    "unknown normalisation": (
        {"data": {"normalise": "chanels"}},
        "data.normalise",
        "Allowed: auto, channels, none or a section with mean and std",
    ),
    "a mean alone": ({"data": {"normalise": {"mean": 0.5}}}, "data.normalise", "mean and std"),
    "numbers for text": (
        {"data": {"name": "pydoc", "normalise": {"mean": 0, "std": 1}}, "models": [OWN], "experiments": ["pairs"]},
        "data.normalise",
        "mean and std are of images, and 'pydoc' is text. Allowed: none",
    ),
    "wrong labels of text": (
        {"data": {"name": "pydoc", "label_noise": 0.1}, "models": [OWN], "experiments": ["pairs"]},
        "data.label_noise",
        "wrong labels are of images, and 'pydoc' is text. Allowed: 0",
    ),
    "classes of text": (
        {
            "data": {"name": "pydoc", "parts": {"by": "dirichlet", "number": 2, "concentration": 1}},
            "models": [OWN],
            "experiments": ["pairs"],
        },
        "data.parts.by",
        "'dirichlet' divides classes, and 'pydoc' is text. Allowed: none, equal",
    ),
    "parts of what was trained elsewhere": (
        {"data": {"parts": {"by": "equal", "number": 2}}, "networks": ["a.pt", "b.pt"], "experiments": ["pairs"]},
        "data.parts.by",
        "is of training, not with networks from elsewhere. Allowed: none",
    ),
    "file for the data folder": ({"data": {"name": "mnist", "data_dir": "Snakefile"}}, "data.data_dir", "is a file"),
}

# More ways to be wrong, which the schema alone tells.
DETAILS = {
    "typo in a model": ({"models": [{**MLP, "hiden": [1]}]}, "models[0].hiden", "did you mean 'hidden'?"),
    "typo in a needed key": (
        {"models": [{"name": "mlp", "famly": "mlp", "widths": [4]}]},
        "models[0].famly",
        "did you mean 'family'?",
    ),
    "both family and factory": (
        {"models": [{**MLP, "factory": "own_net:build"}]},
        "models[0].family",
        "Allowed: name, factory, widths",
    ),
    "neither family nor factory": ({"models": [{"name": "mlp", "widths": [4]}]}, "models[0]", "'family' is missing"),
    "file for a factory": (
        {"models": [{"name": "own", "factory": "own_net.py", "widths": [4]}]},
        "models[0].factory",
        "text such as package.module:function",
    ),
    "file of a network given twice": ({"networks": ["a.pt", "a.pt"]}, "networks", "'a.pt' is given twice"),
    "missing key": ({"models": [{"name": "mlp", "family": "mlp"}]}, "models[0]", "'widths' is missing"),
    "option of another family": ({"models": [{**MLP, "channels": [1]}]}, "models[0].channels", "unknown key"),
    "option of another method": ({"matching": [{**WEIGHTS, "n_images": 9}]}, "matching[0].n_images", "unknown key"),
    "number without a point": ("training: {lr: 1e-3}", "training.lr", "write 0.001 without quotes"),
    "fraction for a whole number": ({"training": {"epochs": 2.5}}, "training.epochs", WIDTHS),
    "whole number with a point": ({"training": {"epochs": 2.0}}, "training.epochs", WIDTHS),
    "true for a number": ({"training": {"epochs": True}}, "training.epochs", WIDTHS),
    "infinite number": ("training: {lr: .inf}", "training.lr", "a number above 0"),
    "not a number": ("training: {lr: .nan}", "training.lr", "a number above 0"),
    "number for text": ({"study": 3}, "study", "text"),
    "no for text": (
        "study: no",
        "study",
        "False is not allowed, as YAML reads yes, no, on and off, too; for text, write it in",
    ),
    "a number for a list": ({"seeds": 3}, "seeds", "3 is not allowed; for a list of one, write [3]. Allowed: a list"),
    "text for a list": ({"seeds": "3"}, "seeds", "'3' is not allowed; for a list of one, write [3]. Allowed: a list"),
    "a name for a list": ({"experiments": "width"}, "experiments", "for a list of one, write [width]."),
    "section for a list": ({"models": MLP}, "models", "a list"),
    "empty models": ({"models": []}, "models", "a list of at least 1 items"),
    "empty widths": ({"models": [{**MLP, "widths": []}]}, "models[0].widths", WIDTHS),
    "empty matching": ({"matching": []}, "matching", "a list of at least 1 items"),
    "empty experiments": (
        {"experiments": []},
        "experiments",
        "errors, pairs, width, ",
    ),
    "width given twice": ({"models": [{**MLP, "widths": [4, 8, 4]}]}, "models[0].widths", "4 is given twice"),
    "negative seed": ({"seeds": [0, 1, 2, -3]}, "seeds[3]", "at least 0"),
    "unknown kernel": ({"matching": [{**WEIGHTS, "kernel": "loglinear"}]}, "matching[0].kernel", "linear, cosine"),
    "unknown optimiser": ({"training": {"optimizer": "adamw"}}, "training.optimizer", "did you mean 'adam'?"),
    "unknown schedule": ({"training": {"schedule": "linear"}}, "training.schedule", "constant, step, cosine"),
    "unknown experiment": ({"experiments": ["pair"]}, "experiments[0]", "did you mean 'pairs'?"),
    "epochs of one model": ({"models": [{**MLP, "training": {"epochs": 3}}]}, "models[0].training.epochs", "unknown"),
    "unknown correction": ({"barrier": {"correction": "rest"}}, "barrier.correction", "did you mean 'reset'?"),
    "one image to fit on": ({"barrier": {"fit_images": 1}}, "barrier.fit_images", "at least 2"),
    "most images held out": ({"data": {"held_out": 0.9}}, "data.held_out", "at least 0 and of at most 0.5"),
    "more wrong labels than labels": (
        {"data": {"label_noise": 1.1}},
        "data.label_noise",
        "at least 0 and of at most 1",
    ),
    "unknown parts": (
        {"data": {"parts": {"by": "dirichlt", "number": 2}}},
        "data.parts.by",
        "did you mean 'dirichlet'?",
    ),
    "parts in a word": ({"data": {"parts": "halves"}}, "data.parts", "Allowed: a section with keys of its own"),
    "no parts": ({"data": {"parts": {"by": "equal", "number": 0}}}, "data.parts.number", "at least 1"),
    "more than the whole class": ({"data": {"parts": {"share": 1.1}}}, "data.parts.share", "of at most 1"),
    "no concentration": (
        {"data": {"parts": {"by": "dirichlet", "number": 2, "concentration": 0}}},
        "data.parts.concentration",
        "at least 0.01",
    ),
    "unknown pairs": ({"history": {"pairs": "disjiont"}}, "history.pairs", "did you mean 'disjoint'?"),
    "two points of a history": ({"history": {"points": 2}}, "history.points", "at least 3"),
    "an empty set of checkpoints": ({"superposition": {"sets": [[]]}}, "superposition.sets[0]", "at least 1 items"),
    "everything pruned": ({"pruning": {"fraction": 1}}, "pruning.fraction", "above 0 and below 1"),
    "unknown strategy": ({"pruning": {"strategy": "globl"}}, "pruning.strategy", "did you mean 'global'?"),
    "level 0": ({"tickets": {"levels": [0]}}, "tickets.levels[0]", "at least 1"),
    "unknown frame": ({"frames": [{"name": "u", "algorithm": "univers"}]}, "frames[0].algorithm", "'universe'?"),
    "unknown option of a frame": (
        {"frames": [{"name": "u", "algorithm": "universe", "options": {"max_stps": 1}}]},
        "frames[0].options.max_stps",
        "did you mean 'max_steps'?",
    ),
    "moments in a frame": (
        {"frames": [{"name": "u", "algorithm": "universe", "options": {"kernel": "moments"}}]},
        "frames[0].options.kernel",
        "not allowed with the other keys",
    ),
    "no reach": ({"scaling": {"reach": 0.5}}, "scaling.reach", "at least 1"),
    "two gpus": ({"resources": {"gpu": 2}}, "resources.gpu", "0, 1"),
}


# Files of which something is lost, or read otherwise than it looks: the line in which it stands, and what is said.
WRITTEN = {
    "section given twice": (
        b"study: a\ntraining: {epochs: 2}\ntraining: {lr: 0.1}",
        3,
        "'training' is given twice, first in line 2",
    ),
    "key given twice": (
        b"training:\n  lr: 1\n  epochs: 2\n  lr: 2",
        4,
        "'lr' is given twice, first in line 2. Allowed: once",
    ),
    "key given twice in an item": (b"models:\n- {name: a}\n- {name: b, name: c}", 3, "'name' is given twice"),
    "key given twice in JSON": (b'{\n\t"study": "a",\n\t"study": "b"\n}', 3, "'study' is given twice, first in line 2"),
    "text of Latin-1": (b"study: a\n# caf\xe9\n", 2, "a byte 0xe9 is no UTF-8"),
    "text of UTF-16": ("study: a\n".encode("utf-16"), 1, "a byte 0xff is no UTF-8"),
    "no blank in braces": (
        b"study: a\ntraining: {epochs:5}",
        2,
        "a blank is missing after 'epochs:'. Allowed: epochs: 5",
    ),
    "no blank in a section": (b"training:\n  epochs:5\n", 2, "a blank is missing after 'epochs:'"),
    "no blank in an item": (b"models:\n- name:mlp\n", 2, "a blank is missing after 'name:'. Allowed: name: mlp"),
    "no blank before a list": (b"study: a\nseeds:[0, 1]\nfoo: b\n", 2, "a blank is missing after 'seeds:'"),
    "no blank before others": (b"training:\n  epochs:5\n  lr: 1\n", 2, "a blank is missing after 'epochs:'"),
    "octal number": (b"study: a\nseeds: [1,\n  010]", 3, "010 is read as 8, in eights. Allowed: 10, if this is meant"),
    "number in sixties": (
        b"study: a\npaths: {weak: 1:30}",
        2,
        "1:30 is read as 90, in sixties. Allowed: 90, or '1:30' in",
    ),
    "fraction in sixties": (b"a: 1:30.5", 1, "1:30.5 is read as 90.5, in sixties"),
    "date": (b"study: 2024-01-31", 1, "2024-01-31 is read as a date. Allowed: '2024-01-31' in quotes"),
    "tab": (b"training:\n\tepochs: 1", 2, "it is no YAML here, found character"),
    "open brace": (b"a: {b: 1\nc: [0, 1]\n", 2, "it is no YAML here, did not find expected ',' or '}'"),
    "control character": (b"a: 1\nb: \x01\n", 2, "it is no YAML here"),
    "tag": (b"a: 1\nb: !!python/name:os.system", 2, "the tag 'tag:yaml.org,2002:python/name:os.system' is unknown"),
}


def only_line(output):
    """What is said besides Snakemake's own notes on profile and config files."""
    lines = [line for line in output.splitlines() if line and not line.startswith(("Using workflow", "Config file"))]
    assert len(lines) == 1, output
    return lines[0]


@pytest.fixture(scope="session")
def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused(plain, case):
    config, key, allowed = CASES[case]
    line = only_line(plain.snakemake(*plain.configure(config), fails=True))
    assert line.startswith(f"config error: {key}: ")
    assert allowed in line
    assert list((plain.folder / "results").iterdir()) == []


@pytest.mark.parametrize("case", CHECKED)
def test_the_check_refuses_it(default, plain, monkeypatch, case):
    changes, key, allowed = CHECKED[case]
    config = copy.deepcopy(default)
    update_config(config, changes)
    monkeypatch.chdir(plain.folder)
    with pytest.raises(SystemExit) as ended:
        validation.check(config, ROOT)
    line = str(ended.value)
    assert line.startswith(f"config error: {key}: ")
    assert allowed in line and "\n" not in line


@pytest.mark.parametrize("case", WRITTEN)
def test_what_is_not_read_as_it_looks_is_refused(tmp_path, case):
    content, number, problem = WRITTEN[case]
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        config_files.check(tmp_path / "mine.yaml")
    line = str(ended.value)
    assert line.startswith(f"config error: {tmp_path}/mine.yaml:{number}: {problem}") and "\n" not in line


@pytest.mark.parametrize("content", [b"", b"- a", b"a"])
def test_a_file_without_keys_is_refused(tmp_path, content):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(SystemExit, match=r"mine.yaml: it has no keys. Allowed: lines such as study: mine$"):
        config_files.check(tmp_path / "mine.yaml")


def test_what_yaml_reads_as_it_looks_is_allowed(tmp_path):
    content = """
        study: a
        models: [{name: own, factory: own_net:build, widths: [0x10, 1_000, 0, -5]}]
        networks: [C:\\a.pt, "a:b.pt", s3://bucket/a.pt, 010.pt]
        training: &same {lr: 1e-3, gamma: 0.1, nesterov: no}
        transfer: {<<: *same, lr: 2}
        """
    (tmp_path / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + content.encode())
    config_files.check(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    "path", ["config.yaml", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("studies/**/*.yaml"))]
)
def test_our_own_config_files_are_allowed(path):
    config_files.check(ROOT / path)


def test_a_file_that_is_no_yaml_or_not_there_is_refused_before_snakemake_reads_it(plain):
    line = only_line(plain.snakemake("--config", "seeds=[0]", *plain.configure("a: {b: 1\nc: [0, 1]\n"), fails=True))
    assert line.startswith("config error: ") and ".yaml:2: it is no YAML here" in line
    line = only_line(plain.snakemake("--configfile=missing.yaml", fails=True))
    assert line == "config error: missing.yaml: No such file or directory. Allowed: a file that can be read"


def test_an_unknown_target_is_refused_with_what_it_is_close_to(plain):
    line = only_line(plain.snakemake("widht", fails=True))
    assert line == "widht is no experiment and no file of the study; did you mean width?"


def test_a_key_given_twice_is_refused_before_it_is_lost(plain):
    line = only_line(plain.snakemake(*plain.configure("training: {epochs: 2}\ntraining: {lr: 0.01}\n"), fails=True))
    assert line.startswith("config error: ") and ".yaml:2: 'training' is given twice, first in line 1" in line


@pytest.mark.parametrize("case", DETAILS)
def test_the_line_says_what_is_wrong(case):
    config, key, allowed = DETAILS[case]
    with pytest.raises(SystemExit) as ended:
        validation.check_schema(yaml.safe_load(config) if isinstance(config, str) else config, validation.schema(ROOT))
    line = str(ended.value)
    assert line.startswith(f"config error: {key}: ")
    assert allowed in line and "\n" not in line


def others(config):
    """The data sets besides that of the study, which are the same where a key says so."""
    return [config[name]["data"] for name in ("transfer", "butterfly", "transience")] + config["nonlocal"]["tasks"]


def test_the_default_study_is_allowed_and_nothing_is_filled_in(default, plain, monkeypatch):
    monkeypatch.chdir(plain.folder)
    config = copy.deepcopy(default)
    validation.check(config, ROOT)
    for given, named in zip(others(config), others(default), strict=True):
        given |= {key: "same" for key, value in named.items() if value == "same"}
    for models in (config["models"], default["models"]):
        for model in models:
            model.setdefault("training", {})
            model.setdefault("asymmetric", {"share": 0, "spread": 1})
    assert config == default


def test_what_a_config_leaves_out_is_that_of_the_default_study(default, plain, monkeypatch):
    monkeypatch.chdir(plain.folder)
    config = {"study": "mine", "seeds": [0, 1, 2], "experiments": ["width"], "training": {"lr": 0.1}}
    config["models"] = [{"name": "mlp", "family": "mlp", "widths": [8]}]
    validation.check(config, ROOT)
    assert config["training"] == {**default["training"], "lr": 0.1}
    filled = {"norm": "none", "hidden": [1, 1, 1], "training": {}, "asymmetric": {"share": 0, "spread": 1}}
    assert config["models"][0] == {**MLP, "widths": [8], **filled}
    assert config["cycles"] == default["cycles"] and config["seeds"] == [0, 1, 2]


@pytest.mark.parametrize("name", ["layers", "instability"])
def test_an_experiment_that_is_asked_for_by_its_name_is_checked_too(plain, name):
    configfile = plain.configure({name: {"epochs": [40]}, "experiments": ["pairs"]})
    assert plain.plan(*configfile)
    assert f"\nconfig error: {name}.epochs: " in plain.snakemake("--dry-run", name, *configfile, fails=True)


def test_a_file_in_place_of_the_results_is_refused(workplace):
    (workplace.folder / "results/digits").write_text("mine")
    line = only_line(workplace.snakemake(fails=True))
    assert line.startswith("config error: study: ") and "results/digits" in line
    assert (workplace.folder / "results/digits").read_text() == "mine"


def test_a_file_in_place_of_the_networks_is_refused(workplace):
    (workplace.folder / "results/digits").mkdir()
    (workplace.folder / "results/digits/networks").write_text("mine")
    line = only_line(workplace.snakemake(fails=True))
    assert line.startswith("config error: study: ") and "results/digits/networks" in line
    assert [path.name for path in (workplace.folder / "results/digits").iterdir()] == ["networks"]


def test_a_new_data_folder_is_allowed(plain):
    configfile = plain.configure({"data": {"name": "mnist", "data_dir": "new"}})
    assert plain.plan(*configfile)["data"] == 1


NARROW = {"models": [{"name": "mlp", "family": "mlp", "widths": [8]}], "training": {"epochs": 3}}


def test_defaults_that_do_not_fit_a_study_are_dropped(plain):
    """The default study looks at the history of widths 8 and 128, up to epoch 15."""
    plan = plain.plan(*plain.configure({**NARROW, "experiments": ["trajectory", "layers"]}))
    assert plan["train"] == plan["align_history"] == plan["layers_measure"] == 1


def test_where_no_default_fits_the_line_says_whose_it_is_and_what_to_write(plain):
    line = only_line(plain.snakemake(*plain.configure({**NARROW, "experiments": ["simplex"]}), fails=True))
    assert line == (
        "config error: simplex.widths[0]: 64 is a width of no model. Allowed: 8 "
        "(config.yaml says so; set simplex: {widths: ...})"
    )
    line = only_line(plain.snakemake(*plain.configure({**NARROW, "experiments": ["superposition"]}), fails=True))
    assert line.endswith("(config.yaml says so; set superposition: {sets: ...})")
