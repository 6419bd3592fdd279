"""The promises that every method keeps, as checks that run on any gin file (`dstbench check`).

suite runs all checks; checks defines them; trial builds the small run that they train.
"""
