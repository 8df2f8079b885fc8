"""What the study costs, from the plan alone.

Needs: nothing, and no job of the study runs.
Makes: a table on the terminal, and in its log: jobs, CPU-hours and GPU-hours of each rule, as workflow/rules/estimate.smk
estimates them.
"""


include: "planned.smk"


rule cost:
    """Print what the study takes."""
    log:
        "<logs>/cost.log",
    localrule: True
    run:
        table = table_of_cost()
        Path(log[0]).write_text(f"{table}\n")
        print(table)
