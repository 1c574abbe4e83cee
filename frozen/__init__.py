"""Frozen networks: what generation and evaluation need of trained ones, and nothing that trains.

Reads checkpoints (`checkpoint_files`), loads the networks in them alone (`loading`), reads the codes of shapes that an
NDF gave (`codes`), and tells which shapes a network was trained on (`trained_on`).
"""
