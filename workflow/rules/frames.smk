"""Common frames: one permutation for each network, found for all networks at once.

Needs: the trained networks of a model and width, and the data set.
Makes: results/<study>/frames/<model>/width<width>/<frame>/ with frame.csv and, for each seed, <seed>.safetensors, which
takes the network into the frame.
"""

# Without frames there would be no output.
if FRAMES:

    FRAMES_WORK = Work(
        pairs=len(PAIRS), methods=matchings_of_frames, evaluations=points_of_frames, networks=2 * len(SEEDS)
    )

    rule frames:
        """Bring all networks of one width into a common frame; every permutation must leave the function unchanged."""
        input:
            data="<results>/data.safetensors",
            networks=expand(
                "<results>/networks/{model}/width{width}/seed{seed}/epoch{epoch}.safetensors",
                seed=SEEDS,
                epoch=LAST_EPOCH,
                allow_missing=True,
            ),
        output:
            permutations=expand(
                "<results>/frames/{model}/width{width}/{frame}/{seed}.safetensors",
                frame=FRAMED,
                seed=SEEDS,
                allow_missing=True,
            ),
            tables=expand("<results>/frames/{model}/width{width}/{frame}/frame.csv", frame=FRAMED, allow_missing=True),
        log:
            f"<logs>/frames/{{model}}/width{{width}}/{FRAMES_OF_JOB}.log",
        benchmark:
            f"<benchmarks>/frames/{{model}}/width{{width}}/{FRAMES_OF_JOB}.txt"
        conda:
            "../../envs/onebasin.yaml"
        threads: config["resources"]["threads"]
        resources:
            runtime=FRAMES_WORK.runtime,
            mem_mb=FRAMES_WORK.mem_mb,
            gpu=FRAMES_WORK.gpu,
        params:
            architecture=architecture_of,
            frames=settings_of_frames,
            seeds=SEEDS,
        script:
            "../scripts/frames.py"
