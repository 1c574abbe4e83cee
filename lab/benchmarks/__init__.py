"""Our speed beside that of others, in one run on one machine: `make bench`, `python -m lab.benchmarks --help`.

`harness` has what all share: alternating rounds, medians, rows of the table. `preprocessing`, `distances`, `batches`,
`decoding`, `flows` and `metrics` measure a few rows each, `growth` how time and memory grow with the size of the work.
Others' libraries are installed and called (requirements-bench.txt); NDF's recipe and its loop (`ndf_recipe`,
`ndf_loop`) are rebuilt from the paper's description. What is not installed is a row that says so.
"""
