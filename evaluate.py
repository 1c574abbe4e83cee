# PYTHON_ARGCOMPLETE_OK
"""Step 7: measure reconstructions, samples, novelty and likelihoods; or compare two folders of anybody's clouds."""

from configs.config_loader import get_config
from runtime.errors import run


def main(argv: list[str] | None = None) -> int:
    """Returns 0. A chunk decodes its part of the sets of clouds only."""
    cfg = get_config(argv, "evaluate", instead="samples")

    from evaluation.evaluate_all import decode_chunk, evaluate_experiment, evaluate_folders

    if cfg.chunks.num_chunks > 1:
        print(decode_chunk(cfg))
        print("after all chunks: the same command without --num_chunks and --current_chunk, for tables and plots")
        return 0
    of_folders = cfg.clouds.samples or cfg.comparison.references
    tables, folder = evaluate_folders(cfg) if of_folders else evaluate_experiment(cfg)
    print(tables)
    print(f"results: {folder}/results.json, results.csv, results.md and plots")
    return 0


if __name__ == "__main__":
    run(main)
