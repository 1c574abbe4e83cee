#!/bin/bash
# Runs steps 0 to 7 one after the other: bash demo.sh configs/demo_cars.txt [--option value ...]
# The options go to every step. A step that is finished returns at once, an interrupted one goes on where it was.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-$root/.venv/bin/python}
if [ $# -eq 0 ]; then
  echo "error: no config given; for example: bash demo.sh configs/demo_cars.txt" >&2
  exit 2
fi
config=$1
shift
options=(--config "$config" "$@")
export OPTIONS_FOR_ALL_STEPS=1  # no notes about options that a step does not read

experiment=$("$python" -c '
from configs.config_loader import get_config
from runtime.errors import run
run(lambda: print(get_config().experiment.root))' "${options[@]}")

names=()
minutes=()

step() {  # step "NAME" SCRIPT [ARGUMENTS]: run it, keep its time; the first failure ends everything
  local name=$1 script=$2 started=$SECONDS status=0
  printf '\n== %s: python %s\n' "$name" "${*:2}"
  "$python" "$root/$script" "${options[@]}" "${@:3}" || status=$?
  if [ "$status" -ne 0 ]; then
    echo "step \"$name\" failed with status $status; run the same command again to go on from there" >&2
    exit "$status"
  fi
  names+=("$name")
  minutes+=("$(printf '%d:%02d' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)))")
}

step "0 make demo cars" dataprocessing/make_demo_cars.py
step "1 preprocess" dataprocessing/preprocess.py
step "2 create split" dataprocessing/create_split.py
step "3 train NDF" train_ndf.py
step "4 train RealNVP" train_rnvp.py
step "6 reconstruct" generate.py --mode reconstruct
step "6 generate" generate.py --mode sample
step "7 evaluate" evaluate.py

printf '\n== time, minutes:seconds\n'
for i in "${!names[@]}"; do
  printf '%-18s %s\n' "${names[i]}" "${minutes[i]}"
done
printf '%-18s %d:%02d\n' "all" $((SECONDS / 60)) $((SECONDS % 60))

printf '\n== results, besides the tables above\n'
find "$experiment/evaluation" -name '*.png' | sort | sed 's/^/picture      /'
echo "tables       $experiment/evaluation/results.md"
echo "clouds       $experiment/evaluation/generation/<n>/dense_point_cloud.{npz,ply}"
echo "TensorBoard  $python -m tensorboard.main --logdir $experiment/summary   (step 5)"
