# Read by every job script of this folder. Sets `options`, the options that every step gets, `chunk`, those of an array
# task, and `python`. The jobs run in the repository's root: submit them from there, or by submit_all.sh from anywhere.
source slurm_scripts/settings.sh
source slurm_scripts/ending.sh

if [ $# -eq 0 ]; then
  refuse "no config given; for example: sbatch slurm_scripts/${SLURM_JOB_NAME:-6_generate}.sh configs/shapenet_cars.txt"
fi
arguments=("$@")
options=(--config "$1" --num_cpus "${SLURM_CPUS_PER_TASK:-1}" "${@:2}") # the cores of this job, not of its node
export OPTIONS_FOR_ALL_STEPS=1 # no notes about options that a step does not read

# An array task does one chunk of NUM_CHUNKS, by its number; without NUM_CHUNKS, one of as many as the array has tasks.
chunk=()
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  if [ -z "${NUM_CHUNKS:-}" ]; then
    if [ $((SLURM_ARRAY_TASK_MAX - SLURM_ARRAY_TASK_MIN + 1)) -ne "$SLURM_ARRAY_TASK_COUNT" ]; then
      refuse "the array has gaps; give a plain range such as --array=0-15, or say how many chunks there are in all:" \
        "NUM_CHUNKS=16 sbatch --array=3,7 slurm_scripts/${SLURM_JOB_NAME:-1_preprocess}.sh ${arguments[*]}"
    fi
    NUM_CHUNKS=$SLURM_ARRAY_TASK_COUNT
    SLURM_ARRAY_TASK_ID=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN))
  fi
  chunk=(--num_chunks "$NUM_CHUNKS" --current_chunk "$SLURM_ARRAY_TASK_ID")
fi

prepare
python=python # of the environment that was active when the job was submitted, unless there is one of these
if [ -x .venv/bin/python ]; then
  python=.venv/bin/python
elif [ -z "${CONDA_PREFIX:-}" ] && command -v conda > /dev/null; then
  set +u # conda's own scripts read variables that are not set
  source "$(conda info --base)/etc/profile.d/conda.sh"
  conda activate "$conda_environment"
  set -u
fi

run() { # run SCRIPT [ARGUMENTS]: one step
  echo "$(date '+%F %T') $(hostname): python $1 ${options[*]} ${*:2}"
  "$python" "$1" "${options[@]}" "${@:2}" &
  wait_for_step $!
}

# Sets `launcher`, what starts a trainer: Python, or torchrun on each node of the job, with a process for each GPU.
set_launcher() {
  local processes=${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}} nodes=${SLURM_NNODES:-1}
  launcher=("$python")
  [ $((processes * nodes)) -gt 1 ] || return 0
  # torchrun gives each process one thread where nobody says otherwise.
  local share=$((${SLURM_CPUS_PER_TASK:-1} / processes))
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((share > 0 ? share : 1))}
  # It hands USR1 on to the trainers, which get four minutes to save: less than the five that Slurm gives (--signal).
  launcher+=(-m torch.distributed.run --nproc_per_node "$processes")
  launcher+=(--signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 --shutdown-timeout 240)
  if [ "$nodes" -eq 1 ]; then
    launcher+=(--standalone)
  else
    launcher+=(--nnodes "$nodes" --rdzv_backend c10d --rdzv_id "$SLURM_JOB_ID")
    launcher+=(--rdzv_endpoint "$(hostname):$((20000 + SLURM_JOB_ID % 20000))") # a job script runs on the first node
    launcher=(srun --nodes "$nodes" --ntasks-per-node 1 --cpus-per-task "${SLURM_CPUS_PER_TASK:-1}"
      --kill-on-bad-exit=1 "${launcher[@]}")
  fi
}

# Run a trainer that may need more time than one job gets. Slurm sends USR1 some time before the limit (--signal); the
# trainer saves its checkpoint and exits with status 85; the job goes back to the queue and later on from there.
run_until_done() { # run_until_done SCRIPT
  local status=0 asked=no launcher stopped='85 138' # 138: USR1 came while it loaded
  set_launcher
  [ ${#launcher[@]} -eq 1 ] || stopped+=' 1' # torchrun's own, when its trainers exit with 85
  echo "$(date '+%F %T') $(hostname): ${launcher[*]} $1 ${options[*]} (start ${SLURM_RESTART_COUNT:-0})"
  "${launcher[@]}" "$1" "${options[@]}" &
  trap 'asked=yes; pass_on USR1' USR1
  wait_for_step $! || status=$?
  if [ "$asked" = yes ] && [[ " $stopped " = *" $status "* ]]; then
    requeue
  fi
  return "$status"
}
