"""Whole shapes from a partial scan: the posterior of codes given the scan, with the flow as an exact prior.

`read_scan` and `evidence_of` turn a file into what is known of the surface; `Posterior` is the density of z given it;
`complete` searches for its modes and samples it by Hamiltonian Monte Carlo.
"""
