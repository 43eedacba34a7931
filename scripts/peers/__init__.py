"""ortscore beside its peers, the same work in turn: `make bench-peers`, `make bench-rank`.

nll.py and rank.py run everything and print; what they run are processes of their own, each with
one way of one peer, so that none sees another's threads and each has its own peak of memory.
"""
