#!/bin/bash
#SBATCH --job-name=7_evaluate
#SBATCH --cpus-per-task=16
#SBATCH --mem=32G
#SBATCH --time=12:00:00
#SBATCH --output=slurm_scripts/logs/%x_%j.out
# Step 7: sbatch slurm_scripts/7_evaluate.sh configs/shapenet_cars.txt
set -euo pipefail
source slurm_scripts/common.sh

run evaluate.py "${chunk[@]}"
