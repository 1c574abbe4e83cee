# How a job ends: its last line in the log says whether all went well, else why not, and how to do it again.
# Read by common.sh; `bash slurm_scripts/report.sh` finds these lines.

step_pid= signalled=no ended_by= queued_again=no

refuse() { # refuse MESSAGE: leave with one line, before anything was started
  trap - EXIT
  echo "error: $*" >&2
  exit 2
}

pass_on() { # pass_on SIGNAL: to the step, which is waited for once more
  signalled=yes
  [ -z "$step_pid" ] || kill "-$1" "$step_pid" 2> /dev/null || true
}

wait_for_step() { # wait_for_step PID: its exit status. A signal ends `wait` before the step has ended.
  local status
  step_pid=$1
  while :; do
    status=0 signalled=no
    wait "$step_pid" || status=$?
    [ "$signalled" = yes ] || break
  done
  step_pid=
  return "$status"
}

requeue() { # slurm then ends this job, perhaps at once, and scontrol with it
  echo "== $(name): stopped before its time limit, back to the queue ($(date '+%F %T'))"
  queued_again=yes
  scontrol requeue "$SLURM_JOB_ID" || [ $? -gt 128 ] || queued_again=no
}

name() {
  local of=
  [ ${#chunk[@]} -eq 0 ] || of=", task ${chunk[3]} of ${chunk[1]}"
  echo "${SLURM_JOB_NAME:-job}$of"
}

again() { # the command that does this part again and, if the whole chain was submitted, what follows it
  local step=${SLURM_JOB_NAME:-} before='' array=''
  if [ -n "${SUBMITTED:-}" ] && [ -f "slurm_scripts/$step.sh" ]; then
    [ ${#chunk[@]} -eq 0 ] || before="TASKS=${chunk[3]} "
    echo "${before}FIRST_STEP=${step%%_*} $SUBMITTED"
  else
    [ ${#chunk[@]} -eq 0 ] || before="NUM_CHUNKS=${chunk[1]} " array="--array=${chunk[3]} "
    echo "${before}sbatch ${array}slurm_scripts/$step.sh$(printf ' %q' "${arguments[@]}")"
  fi
}

reason() { # reason STATUS: why the step ended, and what to do, for people who do not know exit statuses
  local memory=${SLURM_MEM_PER_NODE:-}
  if [ "$ended_by" = TERM ] && scontrol show job "${SLURM_JOB_ID:-}" 2> /dev/null | grep 'Reason=TimeLimit' > /dev/null; then
    echo "its time limit was reached; finished work is kept; give it a longer --time if need be"
  elif [ "$ended_by" = TERM ]; then
    echo "it was cancelled; finished work is kept"
  elif [ "$1" -eq 137 ]; then
    echo "it was killed, nearly always for lack of memory${memory:+ (the job had $memory MB)}; give it more by --mem," \
      "or lower --num_cpus or --batch_size"
  elif [ "$1" -eq 85 ]; then
    echo "the training was asked to stop; its checkpoint is saved"
  elif [ "$1" -eq 1 ] && [ "${SLURM_JOB_NAME:-}" = 1_preprocess ]; then
    echo "see above: if meshes could not be used, they are listed; mend or remove them, or leave them out by FIRST_STEP=2"
  else
    echo "the lines above say why"
  fi
}

tell_end() { # tell_end STATUS
  local time
  time=$(printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)))
  if [ "$queued_again" = yes ]; then
    return
  elif [ "$1" -eq 0 ]; then
    echo "== $(name): done after $time"
  else
    echo "== $(name): FAILED with status $1 after $time: $(reason "$1"). To do it again: $(again)"
  fi
}

trap 'tell_end $?' EXIT
trap 'ended_by=TERM; pass_on TERM' TERM INT # INT: Ctrl-C, where a person runs a job's script without slurm
