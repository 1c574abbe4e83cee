#!/bin/bash
#SBATCH --job-name=1_preprocess
#SBATCH --array=0-15
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --output=slurm_scripts/logs/%x_%A_%a.out
# Step 1, one chunk of the meshes per array task: sbatch slurm_scripts/1_preprocess.sh configs/shapenet_cars.txt
set -euo pipefail
source slurm_scripts/common.sh

if [ $((SLURM_ARRAY_TASK_MAX - SLURM_ARRAY_TASK_MIN + 1)) -ne "$SLURM_ARRAY_TASK_COUNT" ]; then
  echo "error: the array has gaps; give a plain range such as --array=0-15 (finished meshes are skipped)" >&2
  exit 2
fi
run dataprocessing/preprocess.py --num_chunks "$SLURM_ARRAY_TASK_COUNT" \
  --current_chunk $((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN))
