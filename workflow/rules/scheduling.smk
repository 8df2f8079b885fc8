"""When Snakemake looks for jobs to start."""


onstart:
    # Its limit of jobs started per second makes Snakemake look at all waiting jobs once a second for each job that has
    # ended, from a thread for each of them: a large study keeps the login node busy, and may run out of threads (which
    # snakemake issue 3804 looks like). Jobs are looked at when one ends; a limit that somebody asked for stays.
    limiter = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
