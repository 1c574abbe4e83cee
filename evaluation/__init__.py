"""How good is it: steps 7 and 8, tables and plots of an experiment, or of two folders of anybody's clouds.

Offers `metrics` (distances between clouds and measures of sets), the sample sets and baselines, the tables of
reconstruction, generation and likelihood, and `latent_space`, the study of the codes.
"""
