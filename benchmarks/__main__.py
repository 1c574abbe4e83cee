"""`python -m benchmarks`. What it runs is in `run`: child processes cannot import from here."""

from benchmarks.run import main
from configs.errors import run

if __name__ == "__main__":
    run(main)
