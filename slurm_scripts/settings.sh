# What differs from cluster to cluster, in one place: edit it once. Read by submit_all.sh and by every job.

# How submit_all.sh submits the steps. Empty: as the cluster has it. Its own sbatch options win over these.
partition=
gpu_partition= # of steps 3, 4 and 6, if it is another one
account=
gpu=gpu:1 # --gres of steps 3, 4 and 6; none: they run on CPUs
times=()  # --time of single steps, in place of that in their scripts: times=([3]=48:00:00 [7]=02:00:00)
others=() # any other options of sbatch, for all steps: others=(--qos=long --mail-type=FAIL)
single=() # of single steps, over all of these: single=([3]="--gres=gpu:4 --cpus-per-task=32 --mem=128G")

# The environment of every job. After this, a job takes .venv if there is one, else the environment that was active when
# it was submitted, else this one of conda's.
conda_environment=NDF
prepare() {
  : # such as: module load cuda/12.4
}
