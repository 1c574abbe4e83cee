#!/bin/bash
# Submits steps 1 to 7, each to start when the one before has ended well. Call it from any folder:
#
#   bash slurm_scripts/submit_all.sh CONFIG [sbatch options] [-- options of the steps]
#   bash slurm_scripts/submit_all.sh configs/shapenet_cars.txt --partition=gpu --account=me -- --exp_name first
#
# CHUNKS=64 in the environment sets the number of preprocessing tasks, FIRST_STEP=3 leaves out the steps before.
# When a step fails, slurm cancels those after it; submit again when it is mended: finished work is not done twice.
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

sbatch_options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  sbatch_options+=("$1")
  shift
done
if [ $# -gt 0 ]; then
  shift # the --
fi

cd "$repo"
previous=
for script in slurm_scripts/[1-9]_*.sh; do
  name=$(basename "$script" .sh)
  if [ "${name%%_*}" -lt "${FIRST_STEP:-1}" ]; then
    continue
  fi
  own=()
  if [ "$name" = 1_preprocess ]; then
    own+=(--array="0-$((${CHUNKS:-16} - 1))")
  fi
  if [ -n "$previous" ]; then
    own+=(--dependency="afterok:$previous" --kill-on-invalid-dep=yes)
  fi
  job=$(sbatch --parsable --chdir="$repo" "${own[@]}" "${sbatch_options[@]}" "$script" "$config" "$@")
  previous=${job%%;*} # "id;cluster" where there are several clusters
  printf '%-16s job %s\n' "$name" "$previous"
done
echo "logs: $repo/slurm_scripts/logs; state: squeue --me"
