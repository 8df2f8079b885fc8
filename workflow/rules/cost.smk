"""What the study costs, from the plan alone.

Needs: nothing, and no job of the study runs.
Makes: a table on the terminal, and in its log: jobs, CPU time and GPU time of each rule.
"""

from workflow.plan import planned_jobs, print_cost


rule cost:
    """Print what the study takes."""
    log:
        log_of("cost"),
    localrule: True
    run:
        print_cost(planned_jobs(ROOT, config, SHARES), WORK, config["resources"]["threads"], log[0])
