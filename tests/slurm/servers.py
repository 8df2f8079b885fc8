"""A real Slurm on this machine: authentication, controller, and a node with four CPUs and two pretended GPUs."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
# Debian installs servers where only root looks.
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
GPUS = 2
PATIENCE_S = 60

CONFIG = """
ClusterName=onebasin
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
# What a requeued job waits at least before it starts again.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=3600
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:{gpus}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def end_with_parent():
    """Have the process that is about to start killed when the tests end, however they end."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wait_until(true, what, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < end, f"after {patience_s} s there is not yet {what}"
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """The servers, all in the foreground, so that each is a child of this process and ends with it."""

    def __init__(self, folder):
        self.folder = folder
        self.servers = {}
        for name in ("state", "spool"):
            (folder / name).mkdir()
        for number in range(GPUS):
            # What Slurm takes for a GPU is any device file; this one is /dev/null.
            os.mknod(folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-{GPUS - 1}]\n")
        ports = {"controller_port": free_port(), "node_port": free_port()}
        config = CONFIG.format(folder=folder, host=socket.gethostname(), gpus=GPUS, **ports)
        (folder / "slurm.conf").write_text(config)
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        # Inside a job, the plugin takes all variables of Slurm from srun, that of its config file too.
        (folder / "bin").mkdir()
        srun = folder / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        self.environment["PATH"] = f"{folder}/bin:{PATH}"

    def start(self):
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        arguments = [f"--{option}={self.folder}/munge.{name}" for option, name in files.items()]
        # It would refuse a folder that others may write to, as /tmp is.
        self._serve("munged", "--foreground", "--force", *arguments)
        wait_until((self.folder / "munge.socket").exists, "a munged")
        self.start_controller()
        self._serve("slurmd", "-D")
        wait_until(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%T", check=False), "an idle node")

    def start_controller(self):
        self._serve("slurmctld", "-D")
        wait_until(lambda: "UP" in self.run("scontrol", "ping", check=False), "a controller")

    def stop_controller(self):
        server = self.servers.pop("slurmctld")
        server.terminate()
        server.wait(PATIENCE_S)

    def _serve(self, name, *arguments):
        with open(self.folder / f"{name}.out", "a") as log:
            self.servers[name] = subprocess.Popen(
                [shutil.which(name, path=self.environment["PATH"]), *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent,
            )

    def run(self, *command, check=True):
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self):
        """State of every job, ended ones included, by its number."""
        lines = self.run("squeue", "--noheader", "--states=all", "--format=%i %T").splitlines()
        return {int(number): state for number, state in map(str.split, lines)}

    def stop(self):
        """End all jobs and servers, whatever state they are in."""
        if "slurmctld" in self.servers:
            self.run("scancel", "--signal=KILL", "--user=root", check=False)
            self.run("scancel", "--user=root", check=False)
        # A job is a child of a slurmstepd, which leaves the tree of slurmd.
        mine = f"SLURM_CONF={self.folder}/slurm.conf"
        for server in self.servers.values():
            server.send_signal(signal.SIGTERM)
        for server in self.servers.values():
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        for process in psutil.process_iter():
            try:
                if process.environ().get("SLURM_CONF") == mine.partition("=")[2] and process.pid != os.getpid():
                    process.kill()
            except psutil.Error:
                continue
