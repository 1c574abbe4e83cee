#!/bin/bash
# How jobs ended, by their logs, one line each: bash slurm_scripts/report.sh JOB [JOB ...]
# Exit status: 1 if one failed or never started, else 0, also while some still wait or run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ $# -eq 0 ]; then
  echo "error: no job given; submit_all.sh prints this command with the numbers of its jobs" >&2
  exit 2
fi
shopt -s nullglob
queued=$(squeue --noheader --format='%A %F %K %T' 2> /dev/null || true) # job, its array, its task, its state
failed=0

in_queue() { # in_queue JOB [TASK]: the state of a job, or of a task of an array; nothing if it has left the queue
  awk -v job="$1" -v task="${2:-}" \
    '(task == "" && ($1 == job || $2 == job)) || (task != "" && $2 == job && $3 == task) { print $4; exit }' <<< "$queued"
}

killed_outright() { # killed_outright LOG: why a job ended whose script had no time to say so; slurm says it there
  local said
  said=$(grep -iE '^slurmstepd.*(memory limit|oom|time limit|node fail|cancelled)' "$1" | tail -n 3 || true)
  case ${said,,} in
    *memory\ limit* | *oom*)
      echo "slurm killed it for lack of memory: give it more by --mem, or lower --num_cpus or --batch_size"
      ;;
    *time\ limit*) echo "its time limit was reached; finished work is kept; give it a longer --time if need be" ;;
    *) echo "it ended without a word of its own; its last line: $(tail -n 1 "$1")" ;;
  esac
}

for job in "$@"; do
  logs=(slurm_scripts/logs/*_"$job".out slurm_scripts/logs/*_"$job"_*.out)
  if [ ${#logs[@]} -eq 0 ]; then
    state=$(in_queue "$job")
    echo "job $job: ${state:-never started: no log, not queued (a job before it failed, or it was cancelled)}"
    [ -n "$state" ] || failed=1
  fi
  for log in "${logs[@]}"; do
    task=${log##*"_$job"} # _3.out of an array, else .out
    task=${task%.out}
    state=$(in_queue "$job" "${task#_}")
    last=$(grep '^== ' "$log" | tail -n 1 || true)
    if [ -n "$state" ]; then
      echo "job $job${task}: $state ($log)"
    elif [[ $last == *": done after "* ]]; then
      echo "job $job${task}: ${last#== }"
    else
      failed=1
      [[ $last == *": FAILED "* ]] || last="FAILED: $(killed_outright "$log")"
      echo "job $job${task}: ${last#== } ($log)"
      { grep '^error: ' "$log" || true; } | tail -n 1 | sed 's/^/  /'
      awk '/^mesh that failed/ { on = 1 } /^== / { on = 0 } on && n++ < 20 { print "  " $0 }' "$log"
    fi
  done
done
exit "$failed"
