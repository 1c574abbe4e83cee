"""`python -m lab.benchmarks`. What it runs is in `run`: child processes cannot import from here."""

from lab.benchmarks.run import main
from runtime.errors import run

if __name__ == "__main__":
    run(main)
