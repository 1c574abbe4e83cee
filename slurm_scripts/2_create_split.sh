#!/bin/bash
#SBATCH --job-name=2_create_split
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=01:00:00
#SBATCH --output=slurm_scripts/logs/%x_%j.out
# Step 2: sbatch slurm_scripts/2_create_split.sh configs/shapenet_cars.txt
set -euo pipefail
source slurm_scripts/common.sh

run dataprocessing/create_split.py
