#!/bin/bash
# Submits steps 1 to 7, each to start when the one before has ended well. Call it from any folder:
#
#   bash slurm_scripts/submit_all.sh CONFIG [sbatch options] [-- options of the steps]
#   bash slurm_scripts/submit_all.sh configs/shapenet_cars.txt --partition=gpu --account=me -- --exp_name first
#
# In the environment:
#   CHUNKS=64            preprocessing tasks (16); GENERATE_CHUNKS and EVALUATE_CHUNKS those of steps 6 and 7 (1)
#   FIRST_STEP=3         leaves out the steps before, LAST_STEP=3 those after
#   TASKS=5,8            of the first step's array only these tasks, such as those that failed
# What stays the same on a cluster, such as its partition, stands in slurm_scripts/settings.sh. When a step fails, slurm
# cancels those after it; submit again when it is mended: finished work is not done twice.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ $# -eq 0 ] || [ "${1#-}" != "$1" ]; then
  echo "error: no config given; usage: bash submit_all.sh CONFIG [sbatch options] [-- options of the steps]" >&2
  exit 2
fi
config=$1
shift
if [ -f "$config" ]; then
  config=$(realpath "$config")
elif [ ! -f "$repo/$config" ]; then
  echo "error: no config file $config, neither here nor in $repo; the project's own are in $repo/configs" >&2
  exit 2
fi
if ! command -v sbatch > /dev/null; then
  echo "error: no sbatch command here; call this on a slurm login node" >&2
  exit 2
fi
for number in CHUNKS GENERATE_CHUNKS EVALUATE_CHUNKS FIRST_STEP LAST_STEP; do
  if ! [[ ${!number:-1} =~ ^[1-9][0-9]*$ ]]; then
    echo "error: $number is ${!number}; a whole number from 1 on was expected" >&2
    exit 2
  fi
done
source "$repo/slurm_scripts/settings.sh"

# How to submit the same again: a job that fails tells it.
SUBMITTED="CHUNKS=${CHUNKS:-16} GENERATE_CHUNKS=${GENERATE_CHUNKS:-1} EVALUATE_CHUNKS=${EVALUATE_CHUNKS:-1}"
SUBMITTED+="${LAST_STEP:+ LAST_STEP=$LAST_STEP} bash$(printf ' %q' "$repo/slurm_scripts/submit_all.sh" "$config" "$@")"
export SUBMITTED

sbatch_options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  sbatch_options+=("$1")
  shift
done
if [ $# -gt 0 ]; then
  shift # the --
fi
arguments=("$config" "$@")

cd "$repo"
previous='' jobs=() tasks=${TASKS:-}

submit() { # submit SCRIPT [sbatch options]: after the job before, with the cluster's settings
  local script=$1 step own=("${@:2}") words job where=$partition
  step=$(basename "$script" .sh)
  if [[ $step =~ ^[346]_ ]]; then
    where=${gpu_partition:-$partition}
    [ -z "$gpu" ] || own+=(--gres="$gpu")
  fi
  [ -z "$where" ] || own+=(--partition="$where")
  [ -z "$account" ] || own+=(--account="$account")
  [ -z "${times[${step%%_*}]:-}" ] || own+=(--time="${times[${step%%_*}]}")
  [ -z "$previous" ] || own+=(--dependency="afterok:$previous" --kill-on-invalid-dep=yes)
  read -ra words <<< "${single[${step%%_*}]:-}"
  own+=("${others[@]}" "${words[@]}")
  job=$(sbatch --parsable --chdir="$repo" "${own[@]}" "${sbatch_options[@]}" "$script" "${arguments[@]}")
  previous=${job%%;*} # "id;cluster" where there are several clusters
  jobs+=("$previous")
  printf '%-16s job %s\n' "$step" "$previous"
}

for script in slurm_scripts/[1-9]_*.sh; do
  number=$(basename "$script")
  number=${number%%_*}
  if [ "$number" -lt "${FIRST_STEP:-1}" ] || [ "$number" -gt "${LAST_STEP:-9}" ]; then
    continue
  fi
  case $number in
    1) chunks=${CHUNKS:-16} ;;
    6) chunks=${GENERATE_CHUNKS:-1} ;;
    7) chunks=${EVALUATE_CHUNKS:-1} ;;
    *) chunks=1 ;;
  esac
  if [ "$number" -eq 1 ] || [ "$chunks" -gt 1 ]; then
    NUM_CHUNKS=$chunks submit "$script" --array="${tasks:-0-$((chunks - 1))}" --output=slurm_scripts/logs/%x_%A_%a.out
  fi
  if [ "$number" -ne 1 ]; then
    submit "$script" # all that the chunks leave: what is missing, the index, pictures and tables
  fi
  tasks=''
done
echo "logs: $repo/slurm_scripts/logs; state: squeue --me; how each ended: bash slurm_scripts/report.sh ${jobs[*]}"
