#!/usr/bin/env bash
# Train and evaluate every shape code of docs/latent_space.md: about 8 minutes each on one core. Steps that are done are
# skipped, so it can be stopped and started again.
#   bash lab/studies/latent_space.sh                          all codes
#   bash lab/studies/latent_space.sh vector_64 plain          these only
#   NUM_CPUS=1 bash lab/studies/latent_space.sh               on one core
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
export OPTIONS_FOR_ALL_STEPS=1 # no notes about options that a step does not read
CONFIG=configs/demo_cars_study.txt
ALL="vector_128 plain vector_128_no_noise grid_4x4 vector_64 vector_256 fused_8 grid_8x8 grid_4x4_no_noise vector_128_more_noise"
SMALL_FLOW="--flow_couplings 4 --flow_hidden 32 --flow_batch_size 32"
GRID="--code_kind grid --decoder_channels 32 16 8 $SMALL_FLOW"

options_of() {
  case $1 in
    vector_128) ;;
    vector_64) echo --latent_dim 64 ;;
    vector_256) echo --latent_dim 256 ;;
    vector_128_no_noise) echo --code_noise 0 ;;
    vector_128_more_noise) echo --code_noise 0.3 ;;
    plain) echo --code_kind none ;;
    grid_4x4) echo "$GRID --latent_dim 4 --out_resolution 4 --decoder_resolution 4 8 16 --flow_steps 1500" ;;
    grid_4x4_no_noise) echo "$GRID --latent_dim 4 --out_resolution 4 --decoder_resolution 4 8 16 --flow_steps 1500 --code_noise 0" ;;
    grid_8x8) echo "$GRID --latent_dim 8 --out_resolution 8 --decoder_resolution 8 16 32 --flow_steps 300" ;;
    fused_8) echo --code_kind fused --out_resolution 8 --flow_couplings 2 --flow_hidden 32 --flow_batch_size 16 --flow_steps 100 --code_mirror false ;;
    *) echo "no code is named $1; there are: $ALL" >&2; return 2 ;;
  esac
}

for name in ${*:-$ALL}; do
  options=$(options_of "$name")
  step() { echo "== $name: $1"; "$PYTHON" "$@" --config "$CONFIG" --exp_name "$name" $options --num_cpus "${NUM_CPUS:--1}"; }
  step train_ndf.py
  if [ "$name" = plain ]; then
    step generate.py --mode reconstruct
    step evaluate.py --tasks reconstruction
    continue
  fi
  step train_rnvp.py
  step generate.py --mode reconstruct
  step evaluate.py --tasks networks reconstruction generation
done
