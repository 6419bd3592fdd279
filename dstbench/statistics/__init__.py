"""Tests and intervals on arrays of accuracies or predictions; NumPy and SciPy only.

symmetry_test.py   a sequential test of paired differences, valid after every pair
same_images.py     two networks on the same images: exact McNemar test, bootstrap interval
holm.py            correction of several p-values
letters.py         groups that cannot be told apart, as letters
resolution.py      the smallest difference that the seeds of a column resolve
"""
