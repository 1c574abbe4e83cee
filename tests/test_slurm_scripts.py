"""The job scripts, run as slurm would run them: in the repository's root, with slurm's variables and a stand-in for it.

A copy of the scripts works on stand-ins of the Python steps that write down how they were called.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from facts import says
from slurm_stand_ins import (
    JOBS,
    RECORD,
    SCRIPTS,
    WAIT_FOR_SIGNAL,
    call,
    calls,
    option,
    run_array,
    start,
    wait_until_ready,
)

from lab.small.helpers import STEPS
from runtime.layout import ROOT

BOTH_ARE_READY = """\
import os, pathlib
pathlib.Path("rank" + os.environ["RANK"]).touch()
if len(list(pathlib.Path().glob("rank*"))) == 2:
    open("ready", "w").close()
"""
FORWARDED = "--signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 --shutdown-timeout 240"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_valid_bash_and_names_scripts_that_exist(script):
    subprocess.run(["bash", "-n", script], check=True)
    for name in re.findall(r"(?<![\w./$])[a-z]\w*(?:/\w+)*\.(?:py|sh)\b", script.read_text()):
        assert (ROOT / name).is_file() or (ROOT / "slurm_scripts" / name).is_file(), name


def test_jobs_run_every_step_in_order():
    text = "".join(job.read_text() for job in JOBS)
    assert list(dict.fromkeys(re.findall(r"^run\w* (\S+\.py)", text, flags=re.MULTILINE))) == STEPS


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
def test_job_has_its_own_name_a_log_and_limits(job):
    header = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", job.read_text(), flags=re.MULTILINE)
    given = dict(header)
    assert len(given) == len(header) == job.read_text().count("#SBATCH")
    assert given["job-name"] == job.stem
    assert {"time", "mem", "cpus-per-task"} <= given.keys()  # a job without --mem may get a whole node
    assert given["output"].startswith("slurm_scripts/logs/%x_")
    assert ("gres" in given) == (job.stem[0] in "346")
    if "signal" in given:
        assert {"requeue", "open-mode"} <= given.keys() and given["open-mode"] == "append"


def test_log_folder_comes_with_the_repository():
    """Slurm does not make it: a job whose log cannot be opened fails without a word."""
    tracked = subprocess.run(["git", "ls-files", "slurm_scripts"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    assert "slurm_scripts/logs/.gitignore" in tracked.stdout


@pytest.mark.parametrize("ids", [[0], [0, 1, 2, 3, 4], [1, 2, 3]], ids=str)
def test_array_tasks_do_every_chunk_once(repository, ids):
    results = run_array(repository, ids)
    assert [status for status, _, _ in results] == [0] * len(ids), results
    done = calls(repository)
    assert {option(call, "--num_chunks") for call in done} == {str(len(ids))}
    assert [int(option(call, "--current_chunk")) for call in done] == list(range(len(ids)))
    assert all(option(call, "--num_cpus") == "3" and option(call, "--config") == "configs/cars.txt" for call in done)


def test_array_with_gaps_is_refused(repository):
    for status, _, err in run_array(repository, [0, 2]):
        assert status == 2 and says(err, "error: array gaps") and err.count("\n") == 1
    assert calls(repository) == []


def test_status_of_a_failing_step_is_the_status_of_its_job(repository):
    (repository / "dataprocessing" / "preprocess.py").write_text("raise SystemExit(3)")
    assert run_array(repository, [0])[0][0] == 3
    (repository / "generate.py").write_text(RECORD + "raise SystemExit(4 if 'reconstruct' in sys.argv else 0)")
    assert call(repository, "slurm_scripts/6_generate.sh", "configs/cars.txt")[0] == 4
    assert len(calls(repository)) == 1  # nothing is sampled after a failed reconstruction


def test_options_of_the_user_win_over_those_of_the_job(repository):
    run_array(repository, [0], "--num_cpus", "2", "--exp_name", "two words")
    (arguments,) = calls(repository)
    assert option(arguments, "--num_cpus") == "2" and option(arguments, "--exp_name") == "two words"


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
def test_job_without_config_says_so_in_one_line(repository, job):
    status, _, err = call(repository, f"slurm_scripts/{job.name}", SLURM_JOB_NAME=job.stem)
    assert status == 2 and says(err, "error: config", job.name) and err.count("\n") == 1


def run_trainer(
    repository: Path, job: str, body: str, number: signal.Signals | None, **variables: str
) -> tuple[int, str]:
    """Run a training job whose trainer is `body`; send the job's shell a signal when the trainer is ready for it."""
    for step in ("train_ndf.py", "train_rnvp.py"):
        (repository / step).write_text(RECORD + body)
    process = start(repository, f"slurm_scripts/{job}", "configs/cars.txt", SLURM_JOB_ID="77", **variables)
    if number is not None:
        wait_until_ready(repository, process)
        process.send_signal(number)
    process.communicate()
    requeued = repository / "requeued"
    return process.returncode, requeued.read_text() if requeued.exists() else ""


@pytest.mark.parametrize("job", ["3_train_ndf.sh", "4_train_rnvp.sh"])
def test_training_job_goes_back_to_the_queue_before_its_time_ends(repository, job):
    status, requeued = run_trainer(repository, job, WAIT_FOR_SIGNAL, signal.SIGUSR1)
    assert (status, requeued) == (85, "requeue 77\n")  # the trainer's status: it stopped, its end has status 0


def test_training_job_with_two_gpus_starts_two_trainers_and_stops_both(repository):
    """By torchrun itself, of the real Python: a link to it would not find torch."""
    python = repository / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    ready = WAIT_FOR_SIGNAL.replace('open("ready", "w").close()', BOTH_ARE_READY)
    status, requeued = run_trainer(
        repository, "3_train_ndf.sh", ready, signal.SIGUSR1, SLURM_GPUS_ON_NODE="2", OMP_NUM_THREADS="1"
    )
    assert (status, requeued) == (1, "requeue 77\n")
    assert sorted(path.name for path in repository.glob("rank*")) == ["rank0", "rank1"]
    assert [option(arguments, "--config") for arguments in calls(repository)] == ["configs/cars.txt"] * 2
    assert run_trainer(repository, "3_train_ndf.sh", "sys.exit(2)", None, SLURM_GPUS_ON_NODE="2")[0] == 1
    assert (repository / "requeued").read_text() == "requeue 77\n"  # a failure is not tried again


def test_training_job_on_two_nodes_starts_torchrun_on_each(repository):
    (repository / "bin" / "srun").write_text("#!/bin/bash\nprintf '%s\\n' \"$*\" > srun\nexit 85\n")
    (repository / "bin" / "srun").chmod(0o755)
    variables = {"SLURM_GPUS_ON_NODE": "4", "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "8"}
    assert run_trainer(repository, "4_train_rnvp.sh", "", None, **variables) == (85, "")
    line = (repository / "srun").read_text()
    assert line.startswith("--nodes 2 --ntasks-per-node 1 --cpus-per-task 8 ")
    assert f"--nproc_per_node 4 {FORWARDED} --nnodes 2 --rdzv_backend c10d --rdzv_id 77 --rdzv_endpoint " in line
    assert line.endswith(":20077 train_rnvp.py --config configs/cars.txt --num_cpus 8\n")


@pytest.mark.parametrize("status", [0, 1, 2, 85])
def test_training_job_that_ends_by_itself_is_not_queued_again(repository, status):
    assert run_trainer(repository, "3_train_ndf.sh", f"sys.exit({status})", None) == (status, "")


def test_trainer_that_finishes_in_spite_of_the_signal_is_done(repository):
    body = WAIT_FOR_SIGNAL.replace("sys.exit(85)", "sys.exit(0)")
    assert run_trainer(repository, "3_train_ndf.sh", body, signal.SIGUSR1) == (0, "")


def test_submit_all_chains_all_jobs(repository, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    command = ["configs/cars.txt", "--partition=gpu", "--mem=5G", "--", "--exp_name", "mine"]
    status, out, err = call(
        repository, f"{repository}/slurm_scripts/submit_all.sh", *command, cwd=elsewhere, CHUNKS="5"
    )
    assert (status, err) == (0, "")
    lines = (repository / "submitted").read_text().splitlines()
    assert len(lines) == len(JOBS)
    for index, (line, job) in enumerate(zip(lines, JOBS, strict=True)):
        assert f"--partition=gpu --mem=5G slurm_scripts/{job.name} configs/cars.txt --exp_name mine" in line
        assert f"--chdir={repository} " in line
        assert ("--array=0-4 " in line) == (index == 0)
        assert (f"--dependency=afterok:{100 + index} --kill-on-invalid-dep=yes " in line) == (index > 0)
        assert re.search(rf"^{job.stem} +job {101 + index}$", out, flags=re.MULTILINE)


def test_a_single_step_has_options_of_its_own_over_those_of_all(repository):
    path = repository / "slurm_scripts" / "settings.sh"
    text = path.read_text().replace("others=()", "others=(--mem=9G)")
    path.write_text(text.replace("single=()", 'single=([3]="--gres=gpu:4 --mem=128G")'))
    assert call(repository, "slurm_scripts/submit_all.sh", "configs/cars.txt")[0] == 0
    lines = {line.split("slurm_scripts/")[-1][0]: line for line in (repository / "submitted").read_text().splitlines()}
    assert lines["3"].index("--gres=gpu:1") < lines["3"].index("--mem=9G") < lines["3"].index("--gres=gpu:4 --mem=128G")
    assert "gpu:4" not in lines["4"] and "--mem=9G" in lines["4"] and "--mem=128G" not in lines["4"]


def test_submit_all_starts_at_a_later_step_with_a_config_of_the_callers_folder(repository, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "own.txt").touch()
    submit = f"{repository}/slurm_scripts/submit_all.sh"
    assert call(repository, submit, "own.txt", cwd=elsewhere, FIRST_STEP="4")[0] == 0
    lines = (repository / "submitted").read_text().splitlines()
    assert [re.search(r"slurm_scripts/(\d)_", line).group(1) for line in lines] == ["4", "6", "7"]
    assert "--dependency" not in lines[0] and all(line.endswith(f" {elsewhere}/own.txt") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "config"), (["--mem=1G"], "config"), (["configs/none.txt"], "configs/none.txt")]
)
def test_submit_all_refuses_a_missing_config(repository, arguments, message):
    status, _, err = call(repository, "slurm_scripts/submit_all.sh", *arguments)
    assert status == 2 and says(err, "error:", message) and err.count("\n") == 1
    assert not (repository / "submitted").exists()


def test_submit_all_stops_when_slurm_refuses_a_job(repository):
    (repository / "refuse").touch()
    assert call(repository, "slurm_scripts/submit_all.sh", "configs/cars.txt")[0] == 1
    assert len((repository / "submitted").read_text().splitlines()) == 1


def test_the_check_on_a_real_slurm_says_in_one_line_that_there_is_none(tmp_path):
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "lab.slurm.run"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (2, "")
    assert says(result.stdout, "no slurm") and result.stdout.count("\n") == 1


def slurm_answers() -> bool:
    if shutil.which("sbatch") is None or shutil.which("scontrol") is None:
        return False
    try:
        ping = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=5)
    except subprocess.TimeoutExpired:
        return False
    return " is UP" in ping.stdout


@pytest.mark.skipif(
    not slurm_answers(), reason="no slurm answers here; make slurm-check starts one where it is installed"
)
@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
def test_slurm_accepts_the_job(job):
    small = ["--cpus-per-task=1", "--mem=100M", "--gres=none"]
    command = ["sbatch", "--test-only", *small, str(job), "configs/demo_cars.txt"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
