"""Options and config files: every option of every script, declared once, and the only reader of them.

Offers `get_config`, and in `options` the groups that functions take. The files beside it hold the values of an
experiment as `key = value` lines.
"""
