#!/bin/bash
#SBATCH --job-name=1_preprocess
#SBATCH --array=0-15
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --output=slurm_scripts/logs/%x_%A_%a.out
# Step 1, one chunk of the meshes per array task: sbatch slurm_scripts/1_preprocess.sh configs/shapenet_cars.txt
# Some tasks again, alone: NUM_CHUNKS=16 sbatch --array=3,7 slurm_scripts/1_preprocess.sh configs/shapenet_cars.txt
set -euo pipefail
source slurm_scripts/common.sh

run dataprocessing/preprocess.py "${chunk[@]}"
