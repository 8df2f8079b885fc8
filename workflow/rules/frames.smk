"""Common frames: one permutation for each network, found for all networks at once.

Needs: the trained networks of a model and width, and the data set.
Makes: for each frame one file of permutations, and a table of what its method reached.
"""

# Without frames there would be no output.
if FRAMES:
    WORK["frames"] = Work(ESTIMATE, amount_of_frames)

    rule frames:
        """Bring all networks of one width into a common frame; every permutation must leave the function unchanged."""
        input:
            data=[DATA["first"]],
            networks=[network(seed=seed) for seed in SEEDS],
        output:
            permutations=update([frame_file(**item) for item in FRAMES_IN_HAND.patterns]),
            tables=update([frame_file(**item, kind="csv") for item in FRAMES_IN_HAND.patterns]),
        log:
            log_of("frames", f"{{model}}/width{{width}}/{FRAMES_IN_HAND.name}"),
        benchmark:
            benchmark_of("frames", f"{{model}}/width{{width}}/{FRAMES_IN_HAND.name}")
        conda:
            "../../envs/onebasin.yaml"
        threads: config["resources"]["threads"]
        resources:
            runtime=WORK["frames"].runtime,
            mem_mb=WORK["frames"].mem_mb,
            gpu=WORK["frames"].gpu,
        params:
            architecture=architecture_of,
            frames=lambda wildcards: [stable(FRAMES[name]) for name in frames_in_hand(wildcards)],
            versions=lambda wildcards: [versions.of(FRAMES[name]["algorithm"]) for name in frames_in_hand(wildcards)],
            networks=[{"seed": seed} for seed in SEEDS],
            data=["first"],
        script:
            "../scripts/frames.py"
