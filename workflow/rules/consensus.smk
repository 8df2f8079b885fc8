"""Experiment `consensus`: how many networks share one frame?

Needs: the trained networks of a model and width, their permutations and common frames, and the data set.
Makes: results/<study>/tables/consensus.csv and results/<study>/figures/consensus.png and .pdf.
"""


rule consensus:
    """Barriers between and among the networks of one frame, against their number."""
    input:
        table="<results>/tables/consensus.csv",
        png="<results>/figures/consensus.png",
        pdf="<results>/figures/consensus.pdf",


# The numbers of networks that share a frame, and for each the pairs of them, which are on lines.
SIZES = range(2, len(SEEDS) + 1)
if config["consensus"]["subsets"] == "all":
    SIZES = [size for size in SIZES for _ in itertools.combinations(SEEDS, size)]
PAIRS_OF_SIZES = sum(math.comb(size, 2) for size in SIZES)

CONSENSUS_MEASURE_WORK = Work(
    pairs=PAIRS_OF_SIZES,
    methods=matchings_of_frames,
    evaluations=len(MEASURED)
    * len(config["consensus"]["corrections"])
    * (PAIRS_OF_SIZES * config["barrier"]["points"] + sum(SIZES) + len(SIZES) * (1 + config["consensus"]["mixtures"])),
    correction="repair" if "repair" in config["consensus"]["corrections"] else "reset",
    networks=2 * len(SEEDS),
)


rule consensus_measure:
    """Measure lines, means and simplices of two, three … all networks of one width in one frame."""
    input:
        data="<results>/data.safetensors",
        networks=expand(
            "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
            seed=SEEDS,
            epoch=LAST_EPOCH,
            allow_missing=True,
        ),
        permutations=permutations_of,
        frames=frame_files_of,
    output:
        tables=expand(
            "<results>/measurements/consensus/{model}/width{width}/{method}.csv", method=MEASURED, allow_missing=True
        ),
    log:
        f"<logs>/consensus_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.log",
    benchmark:
        f"<benchmarks>/consensus_measure/{{model}}/width{{width}}/{METHODS_OF_JOB}.txt"
    conda:
        "../../envs/onebasin.yaml"
    threads: config["resources"]["threads"]
    resources:
        runtime=CONSENSUS_MEASURE_WORK.runtime,
        mem_mb=CONSENSUS_MEASURE_WORK.mem_mb,
        gpu=config["resources"]["gpu"],
    params:
        architecture=architecture_of,
        consensus=stable({**config["barrier"], **config["consensus"]}, without=("correction", "widths")),
        frames=settings_of_frames,
        seeds=SEEDS,
    script:
        "../scripts/consensus_measure.py"


rule consensus_table:
    """Gather the barriers of all models, widths and methods."""
    input:
        measurements=expand(
            "<results>/measurements/consensus/{cell}/{method}.csv",
            cell=CONSENSUS_CELLS,
            method=["none", *METHODS, *FRAMES],
        ),
    output:
        report(
            "<results>/tables/consensus.csv",
            caption="../report/consensus.rst",
            category="Consensus",
            labels={"experiment": "consensus", "kind": "table"},
        ),
    log:
        "<logs>/consensus_table.log",
    benchmark:
        "<benchmarks>/consensus_table.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    script:
        "../scripts/consensus_table.py"


rule consensus_figure:
    """Draw barriers, and the accuracy of the mean, against the number of networks."""
    input:
        table="<results>/tables/consensus.csv",
    output:
        png=report(
            "<results>/figures/consensus.png",
            caption="../report/consensus.rst",
            category="Consensus",
            labels={"experiment": "consensus", "kind": "figure"},
        ),
        pdf="<results>/figures/consensus.pdf",
    log:
        "<logs>/consensus_figure.log",
    benchmark:
        "<benchmarks>/consensus_figure.txt"
    localrule: True
    conda:
        "../../envs/onebasin.yaml"
    threads: 1
    resources:
        runtime=10,
        mem_mb=1000,
        gpu=0,
    params:
        experiment="consensus",
    script:
        "../scripts/figure.py"
