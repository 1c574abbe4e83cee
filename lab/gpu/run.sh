#!/bin/bash
# The whole experiment on demo cars, in stages that resume; one table last.
#
#   bash lab/gpu/run.sh [--miniature] [--out DIR] [--keep DIR] [--weights FILE] [--seconds N] [--train-seconds N]
#                         [--test-cars N] [-- OPTIONS OF THE SCRIPTS]
#
# --miniature      the same within about a minute on a CPU (lab/gpu/miniature.txt instead of configs/demo_cars_pretrained.txt)
# --out DIR        all state (default: build/gpu, or build/gpu_miniature); a finished stage is not done again
# --keep DIR       copies of the few small files worth keeping: weights, report, pictures
# --weights FILE   an EXP_NAME_ndf.tar from --keep: the NDF is not trained but taken from there, on a machine that is bare again
# --seconds N      leave after so many seconds with status 85; the same command goes on (default: no limit)
# --train-seconds N  of NDF training, over all calls (default 300)
# --test-cars N    held-out cars of another seed (default 500)
#
# The Python is $PYTHON, else .venv's, else python3. Wheels in build/wheels are on its path: where configargparse is
# not installed, put its wheel there (pip download --no-deps -d build/wheels configargparse). Open3D is not needed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/lab/gpu
config=$root/configs/demo_cars_pretrained.txt out='' keep='' weights='' seconds=1000000 train_seconds=300 test_cars=500 max_batch=32
codes=1000 dense=1000000
slack=30 patience=1 started=$SECONDS # slack: seconds a training may need to start and to end
while [ $# -gt 0 ]; do
  case $1 in
    --miniature)
      config=$here/miniature.txt train_seconds=5 test_cars=5 max_batch=4 codes=4 dense=3000 slack=60 patience=10 # a slow or busy computer passes too
      out=${out:-$root/build/gpu_miniature}
      ;;
    --out) out=$2 && shift ;;
    --keep) keep=$2 && shift ;;
    --weights) weights=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --train-seconds) train_seconds=$2 && shift ;;
    --test-cars) test_cars=$2 && shift ;;
    --) shift && break ;;
    *) echo "error: unknown argument $1; see the head of $here/run.sh" >&2 && exit 2 ;;
  esac
  shift
done
out=$(realpath -m "${out:-$root/build/gpu}")
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || command -v "$python" > /dev/null || python=python3
shopt -s nullglob
wheels=("$root"/build/wheels/*.whl)
wheels_path=$(IFS=: && echo "${wheels[*]}")
export PYTHONPATH=$root${wheels_path:+:$wheels_path}${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
mkdir -p "$out/stages"
full=()
[ "$config" = "$here/miniature.txt" ] || full=(--exp_name gpu_cars --num_demo_cars 10000 --num_eval_shapes 500
  --num_sample_sets 1 --num_pictures 0 --ndf_checkpoint= --rnvp_checkpoint= --attributes_file=) # there may be no Pillow
options=(--config "$config" "${full[@]}" --data_dir "$out/cars" --split_file "$out/split.npz" --exp_root "$out" "$@")
experiment=$("$python" -c '
from configs.config_loader import get_config
from runtime.errors import run
run(lambda: print(get_config().experiment.root))' "${options[@]}")

leave() { # leave STATUS: keep what there is, whatever happened
  if [ -n "$keep" ]; then
    mkdir -p "$keep"
    for file in "$out"/weights/*.tar "$experiment"/report.{txt,json} "$experiment"/evaluation/results.json \
      "$experiment"/evaluation/*/contact_sheet.png; do
      [ ! -f "$file" ] || cp "$file" "$keep/$(basename "$(dirname "$file")")_$(basename "$file")"
    done
  fi
  exit "$1"
}

finish() { # finish NAME SECONDS OUTCOME
  echo "$2 $3" > "$out/stages/$1.part" && mv "$out/stages/$1.part" "$out/stages/$1.done"
}

# stage NAME LIMIT COMMAND...: run a stage unless it is done, at most LIMIT seconds over all calls. A trainer that is
# stopped at its limit leaves a checkpoint and counts as done; any other stage that needs longer has failed.
stage() {
  local name=$1 limit=$((patience * $2)) status=0 before=0 began=$SECONDS left used
  [ ! -f "$out/stages/$name.done" ] || return 0
  [ ! -f "$out/stages/$name.used" ] || before=$(< "$out/stages/$name.used")
  left=$((seconds - (SECONDS - started)))
  [ "$left" -gt 5 ] || { echo "time is up before stage $name; the same command goes on" && leave 85; }
  printf '\n== stage %s, at most %d s (after %d s)\n' "$name" "$limit" $((SECONDS - started))
  # --foreground: the signal is for the program alone, whose own workers it needs to end well
  timeout --foreground --preserve-status --signal=TERM --kill-after=30 \
    $((left < limit - before ? left : limit - before)) "${@:3}" || status=$?
  used=$((before + SECONDS - began))
  if [ "$status" -eq 0 ]; then
    finish "$name" "$used" "done"
  elif [ "$status" -eq 85 ] && [ "$used" -ge $((limit - 2)) ]; then
    finish "$name" "$used" "stopped at its limit"
  elif [ $((seconds - (SECONDS - started))) -le 5 ] && [[ $status =~ ^(85|143|137)$ ]]; then
    [ "$status" -ne 85 ] || echo "$used" > "$out/stages/$name.used"
    echo "time is up in stage $name; the same command goes on" && leave 85
  else
    echo "error: stage $name ended with status $status after $used of $limit s; the same command tries again" >&2
    leave 1
  fi
}

exported=$out/weights/$(basename "$experiment") # _ndf.tar and _rnvp.tar
encode=(--ndf_checkpoint "${exported}_ndf.tar")
both=("${encode[@]}" --rnvp_checkpoint "${exported}_rnvp.tar")
export_weights=("$python" -m training.export --export_dir "$out/weights" "${options[@]}")
mkdir -p "$out/weights"
if [ -n "$weights" ] && [ ! -f "${exported}_ndf.tar" ]; then
  cp "$weights" "${exported}_ndf.tar"
  for name in plan train_ndf export_ndf; do finish "$name" 0 "weights of an earlier call"; done
fi

cars=("$python" "$root/dataprocessing/make_demo_cars.py" "${options[@]}")
stage cars 120 "${cars[@]}"
stage held_out_cars 60 "${cars[@]}" --demo_seed 1 --num_demo_cars "$test_cars"
stage preprocess 400 "$python" "$root/dataprocessing/preprocess.py" "${options[@]}"
stage split 60 "$python" "$root/dataprocessing/create_split.py" "${options[@]}"
# Training is planned for the seconds that it may take, so that its learning rate ends where it should.
stage plan 120 "$python" "$here/fit_training.py" --seconds "$train_seconds" --max_batch "$max_batch" "${options[@]}"
planned=()
if [ -f "$experiment/training_plan.json" ]; then
  read -ra planned <<< "$("$python" -c '
import json, sys
plan = json.load(open(sys.argv[1]))
print("--batch_size", plan["batch_size"], "--num_epochs", plan["num_epochs"])' "$experiment/training_plan.json")"
fi
stage train_ndf "$((train_seconds + slack))" "$python" "$root/train_ndf.py" "${options[@]}" "${planned[@]}"
stage export_ndf 60 "${export_weights[@]}"
stage train_rnvp 600 "$python" "$root/train_rnvp.py" "${options[@]}" "${encode[@]}"
stage export_rnvp 60 "${export_weights[@]}"
stage reconstruct 120 "$python" "$root/generate.py" --mode reconstruct "${options[@]}" "${both[@]}"
stage sample 120 "$python" "$root/generate.py" --mode sample "${options[@]}" "${both[@]}"
stage evaluate 420 "$python" "$root/evaluate.py" "${options[@]}" "${both[@]}"
stage measure 240 "$python" "$here/measure.py" --num_codes "$codes" --num_dense "$dense" "${options[@]}" \
  "${planned[@]}" "${both[@]}"
printf '\n== all stages are done\n'
"$python" "$here/report.py" "$out/stages" "${options[@]}"
leave 0
