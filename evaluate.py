"""Step 7: measure reconstructions, samples and their novelty; print the tables and write them to evaluation/."""

from configs.config_loader import get_config
from configs.errors import run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv)

    from models.evaluation.experiment import Evaluation
    from models.evaluation.networks import network_rows
    from models.evaluation.report import write_report
    from models.evaluation.sample_sets import write_sets
    from models.generation import Generator

    generator = Generator(cfg)
    evaluation = Evaluation(cfg)
    write_sets(generator)
    networks = network_rows(generator, evaluation.split["test"])
    print(write_report(evaluation, networks, generator.sources))
    print(f"tables: {evaluation.experiment.evaluation}/evaluation.txt, evaluation.json, *.csv")
    return 0


if __name__ == "__main__":
    run(main)
