"""Steps 7 and 8: tables and plots that evaluate an experiment, or two folders of any system's clouds.

Offers `metrics` (distances between clouds, measures of sets), the sample sets and baselines, the tables of
reconstruction, generation and likelihood, and `latent_space`, the study of the codes.
"""
