"""What jobs say when they end, how failed parts are done again, and where a cluster's settings go; without slurm."""

import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from facts import says
from slurm_stand_ins import RECORD, call, calls, option, run_array, start, wait_until_ready

SUBMIT = "slurm_scripts/submit_all.sh"
READY = "open('ready', 'w').close()\n"
WAIT = RECORD + READY + "time.sleep(600)\n"


def last_line(out: str, err: str) -> str:
    """The last of the lines that a job says of itself."""
    return [line for line in (out + err).splitlines() if line.startswith("== ")][-1]


def generate(repository: Path, *options: str, **variables: str) -> tuple[int, str]:
    """Run the job of step 6; its status and its last line."""
    variables = {"SLURM_JOB_NAME": "6_generate", "SLURM_JOB_ID": "7"} | variables
    status, out, err = call(repository, "slurm_scripts/6_generate.sh", "configs/cars.txt", *options, **variables)
    return status, last_line(out, err)


def stopped(repository: Path, number: signal.Signals, to_step: bool = False) -> tuple[int, str]:
    """Run the job of step 6 and send it, or its Python, a signal; its status and its last line."""
    (repository / "generate.py").write_text(WAIT + "\n")
    process = start(
        repository, "slurm_scripts/6_generate.sh", "configs/cars.txt",
        SLURM_JOB_NAME="6_generate", SLURM_JOB_ID="7", SLURM_MEM_PER_NODE="900",
    )  # fmt: skip
    wait_until_ready(repository, process)
    if to_step:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        subprocess.run(["kill", f"-{number.value}", *children], check=True)
    else:
        process.send_signal(number)
    out, err = process.communicate()
    return process.returncode, last_line(out, err)


def test_a_job_that_is_done_says_so_last(repository):
    assert re.fullmatch(r"== 6_generate: done after \d:\d\d", generate(repository)[1])


@pytest.mark.parametrize("number", [1, 2, 85])
def test_a_job_that_fails_says_how_to_do_it_again(repository, number):
    (repository / "generate.py").write_text(f"raise SystemExit({number})")
    status, line = generate(repository, "--exp_name", "two words")
    assert status == number
    assert line.startswith(f"== 6_generate: FAILED with status {number} after 0:")
    assert ("checkpoint" in line) == (number == 85)
    again = shlex.split(line.partition("To do it again: ")[2])
    assert again == ["sbatch", "slurm_scripts/6_generate.sh", "configs/cars.txt", "--exp_name", "two words"]


def test_a_job_out_of_time_or_cancelled_says_which(repository):
    (repository / "job").write_text("JobId=7\n   JobState=COMPLETING Reason=TimeLimit Dependency=(null)\n")
    status, line = stopped(repository, signal.SIGTERM)
    assert status == 143 and says(line, "time limit --time")
    (repository / "ready").unlink()
    (repository / "job").write_text("JobId=7\n   JobState=COMPLETING Reason=None Dependency=(null)\n")
    assert says(stopped(repository, signal.SIGTERM)[1], "cancelled")


def test_a_step_that_the_kernel_kills_is_told_as_lack_of_memory(repository):
    status, line = stopped(repository, signal.SIGKILL, to_step=True)
    assert status == 137 and says(line, "killed memory 900 MB --mem")


def test_a_training_that_cannot_go_back_to_the_queue_says_so(repository):
    (repository / "bin" / "scontrol").write_text("#!/bin/bash\nexit 1\n")
    (repository / "train_ndf.py").write_text(
        RECORD + "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(85))\n" + READY + "time.sleep(600)\n"
    )
    process = start(repository, "slurm_scripts/3_train_ndf.sh", "configs/cars.txt", SLURM_JOB_ID="7")
    wait_until_ready(repository, process)
    process.send_signal(signal.SIGUSR1)
    line = last_line(*process.communicate())
    assert process.returncode == 85 and says(line, "FAILED checkpoint")


def test_a_failed_array_task_is_named_and_done_again_alone(repository):
    script = repository / "dataprocessing" / "preprocess.py"
    script.write_text(RECORD + "sys.exit('3' in sys.argv[-1:])")
    results = run_array(repository, [0, 1, 2, 3], name="1_preprocess")
    assert [status for status, _, _ in results] == [0, 0, 0, 1]
    line = last_line(*results[3][1:])
    assert says(line, "1_preprocess 3 4 FAILED status 1 meshes")
    again = shlex.split(line.partition("To do it again: ")[2])
    assert again == ["NUM_CHUNKS=4", "sbatch", "--array=3", "slurm_scripts/1_preprocess.sh", "configs/cars.txt"]
    before = calls(repository)[3]
    run_array(repository, [3], NUM_CHUNKS="4")
    assert calls(repository)[4] == before


def test_tasks_of_several_chunks_may_have_gaps_where_the_number_of_chunks_is_given(repository):
    run_array(repository, [2, 5], NUM_CHUNKS="8")
    assert [(option(one, "--num_chunks"), option(one, "--current_chunk")) for one in calls(repository)] == [
        ("8", "2"),
        ("8", "5"),
    ]


@pytest.mark.parametrize(("job", "count"), [("6_generate", 2), ("7_evaluate", 1)])
def test_steps_6_and_7_take_chunks_as_an_array_and_none_otherwise(repository, job, count):
    run_array(repository, [0, 1, 2], name=job)
    assert [option(one, "--current_chunk") for one in calls(repository)[::count]] == ["0", "1", "2"]
    call(repository, f"slurm_scripts/{job}.sh", "configs/cars.txt", NUM_CHUNKS="5")
    assert len(calls(repository)) == 4 * count and "--num_chunks" not in calls(repository)[-1]


def submitted(repository: Path, *words: str, **variables: str) -> list[str]:
    (repository / "submitted").unlink(missing_ok=True)
    assert call(repository, SUBMIT, "configs/cars.txt", *words, **variables)[0] == 0
    return (repository / "submitted").read_text().splitlines()


def steps(lines: list[str]) -> list[str]:
    return [re.search(r"slurm_scripts/(\d)_\w+\.sh", line).group(1) for line in lines]


def test_arrays_of_steps_6_and_7_come_before_the_jobs_that_gather(repository):
    lines = submitted(repository, GENERATE_CHUNKS="3", EVALUATE_CHUNKS="2")
    assert steps(lines) == ["1", "2", "3", "4", "6", "6", "7", "7"]
    arrays = [re.search(r"--array=(\S+)", line) for line in lines]
    assert [found and found.group(1) for found in arrays] == ["0-15", None, None, None, "0-2", None, "0-1", None]
    assert all(f"afterok:{100 + n} " in line for n, line in enumerate(lines) if n)


def test_only_some_tasks_and_some_steps(repository):
    lines = submitted(repository, TASKS="3,7", CHUNKS="9", LAST_STEP="3")
    assert steps(lines) == ["1", "2", "3"] and "--array=3,7 " in lines[0] and "--array" not in lines[1]
    lines = submitted(repository, TASKS="1", GENERATE_CHUNKS="4", FIRST_STEP="6", LAST_STEP="6")
    assert steps(lines) == ["6", "6"] and "--array=1 " in lines[0] and "--array" not in lines[1]


def test_a_failed_job_of_the_chain_tells_the_command_that_goes_on_from_there(repository):
    (repository / "bin" / "sbatch").write_text(
        '#!/bin/bash\nprintf "%s\\n" "$SUBMITTED" "$NUM_CHUNKS" >> told\necho 5\n'
    )
    options = ["--mem=5G", "--", "--exp_name", "two words"]
    assert call(repository, SUBMIT, "configs/cars.txt", *options, CHUNKS="9", LAST_STEP="2")[0] == 0
    told, chunks = (repository / "told").read_text().splitlines()[:2]
    (repository / "dataprocessing" / "preprocess.py").write_text("raise SystemExit(1)")
    ((_, out, err),) = run_array(repository, [3], name="1_preprocess", NUM_CHUNKS=chunks, SUBMITTED=told)
    again = shlex.split(last_line(out, err).partition("To do it again: ")[2])
    assert again[:3] == ["TASKS=3", "FIRST_STEP=1", "CHUNKS=9"]
    script = str(repository / SUBMIT)
    assert again[again.index("bash") :] == ["bash", script, str(repository / "configs/cars.txt"), *options]


@pytest.mark.parametrize(("name", "value"), [("CHUNKS", "0"), ("FIRST_STEP", "three"), ("EVALUATE_CHUNKS", "-1")])
def test_numbers_that_are_none_are_refused(repository, name, value):
    status, _, err = call(repository, SUBMIT, "configs/cars.txt", **{name: value})
    assert status == 2 and says(err, "error:", name, value) and err.count("\n") == 1
    assert not (repository / "submitted").exists()


def test_settings_of_the_cluster_go_to_all_jobs_and_the_command_line_wins(repository):
    settings = repository / "slurm_scripts" / "settings.sh"
    changes = {
        "partition=": "partition=cpu", "gpu_partition=": "gpu_partition=big", "account=": "account=me",
        "gpu=": "gpu=gpu:a100:1", "times=": "times=([3]=48:00:00)", "others=": "others=(--qos=long)",
    }  # fmt: skip
    text = settings.read_text()
    for key, line in changes.items():
        text, count = re.subn(rf"^{key}.*$", line, text, flags=re.MULTILINE)
        assert count == 1, key
    settings.write_text(text)
    lines = dict(zip("123467", submitted(repository, "--partition=mine"), strict=True))
    for step, line in lines.items():
        gpu = step in "346"
        assert f"--partition={'big' if gpu else 'cpu'} " in line and ("--gres=gpu:a100:1 " in line) == gpu
        assert "--account=me " in line and "--qos=long --partition=mine slurm_scripts/" in line
        assert ("--time=48:00:00 " in line) == (step == "3")


def test_the_environment_of_jobs_is_prepared_by_the_settings(repository):
    settings = repository / "slurm_scripts" / "settings.sh"
    settings.write_text(settings.read_text().replace("  : # such as", "  touch prepared # such as"))
    generate(repository)
    assert (repository / "prepared").exists()


def report(repository: Path, *jobs: str, queue: str = "") -> tuple[int, str]:
    (repository / "bin" / "squeue").write_text(f"#!/bin/bash\nprintf '{queue}'\n")
    (repository / "bin" / "squeue").chmod(0o755)
    status, out, _ = call(repository, "slurm_scripts/report.sh", *jobs)
    return status, out


def write_log(repository: Path, name: str, text: str) -> None:
    folder = repository / "slurm_scripts" / "logs"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def test_report_of_jobs_that_are_done_wait_and_run(repository):
    write_log(
        repository, "2_create_split_5.out", "train 4\n== 2_create_split: done after 0:01\nslurmstepd: error: late\n"
    )
    write_log(
        repository, "3_train_ndf_6.out", "step 1\n== 3_train_ndf: stopped before its time limit, back to the queue\n"
    )
    status, out = report(repository, "5", "6", "7", queue=r"6 6 N/A RUNNING\n7 7 0-3 PENDING\n")
    assert status == 0
    assert out.splitlines() == [
        "job 5: 2_create_split: done after 0:01",
        "job 6: RUNNING (slurm_scripts/logs/3_train_ndf_6.out)",
        "job 7: PENDING",
    ]


def test_report_of_jobs_that_failed_says_why(repository):
    table = "1 meshes failed\n\nmesh that failed  reason\nbad.obj  no faces\n"
    end = "== 1_preprocess, task 3 of 4: FAILED with status 1 after 0:02: why. To do it again: this\n"
    write_log(repository, "1_preprocess_5_3.out", table + end)
    write_log(repository, "1_preprocess_5_4.out", "working\n== 1_preprocess, task 4 of 4: done after 0:02\n")
    memory = "slurmstepd-n1: error: StepId=6.batch exceeded memory limit (9 > 8), being killed\n"
    write_log(repository, "6_generate_6.out", "working\n" + memory)
    oom = "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=8.batch.\n"
    write_log(repository, "6_generate_8.out", "working\n" + oom)
    limit = "slurmstepd: error: *** JOB 9 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***\n"
    write_log(repository, "6_generate_9.out", "working\n" + limit)
    write_log(repository, "6_generate_10.out", "error: no such option\nworking\n")
    status, out = report(repository, "5", "6", "7", "8", "9", "10")
    assert status == 1
    lines = out.splitlines()
    assert lines[0].startswith("job 5_3: 1_preprocess, task 3 of 4: FAILED") and "  bad.obj  no faces" in lines[:4]
    assert "job 5_4: 1_preprocess, task 4 of 4: done after 0:02" in lines
    (by_memory, never, by_oom, by_time, other) = [line for line in lines if re.match(r"job ([6-9]|10):", line)]
    assert says(by_memory, "memory") and says(by_oom, "memory") and says(never, "7 never started")
    assert says(by_time, "time limit") and says(other, "working")
    assert lines[-1] == "  error: no such option"


def test_report_of_nothing(repository):
    assert call(repository, "slurm_scripts/report.sh")[0] == 2
