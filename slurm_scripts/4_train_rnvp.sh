#!/bin/bash
#SBATCH --job-name=4_train_rnvp
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm_scripts/logs/%x_%j.out
# Step 4, queued again until it is done: sbatch slurm_scripts/4_train_rnvp.sh configs/shapenet_cars.txt
set -euo pipefail
source slurm_scripts/common.sh

run_until_done train_rnvp.py
