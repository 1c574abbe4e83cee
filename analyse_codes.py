# PYTHON_ARGCOMPLETE_OK
"""Step 8: the latent-space study: what codes hold, how paths between them look, what is near samples."""

from configs.config_loader import get_config
from runtime.errors import run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "analyse_codes")

    from evaluation.latent_space.analyse import analyse

    tables, folder = analyse(cfg)
    print(tables)
    print(f"results: tables (.json, .csv, .md) and plots in {folder}")
    return 0


if __name__ == "__main__":
    run(main)
