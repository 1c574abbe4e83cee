#!/bin/bash
#SBATCH --job-name=6_generate
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=12:00:00
#SBATCH --output=slurm_scripts/logs/%x_%j.out
# Step 6, the test split and new cars: sbatch slurm_scripts/6_generate.sh configs/shapenet_cars.txt
set -euo pipefail
source slurm_scripts/common.sh

run generate.py --mode reconstruct "${chunk[@]}"
run generate.py --mode sample "${chunk[@]}"
