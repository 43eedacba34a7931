"""The GPU proof: what gpu_check.sh runs. Needs numpy and onnx; its peer torch and transformers.

    __main__   the command line and the order of the steps
    steps      what is run, and which cells of the table come of it
    proof      the models, the files and the commands that the steps share
    process    a command with a time limit, its peak memory, an interrupt
    work       rows to score, and the arithmetic that scoring them takes
    device     what CUDA's runtime says of itself and the device
    attention  which attention kernels ran, by ONNX Runtime's own words
    compare    two files of scores
    peer       the same work by transformers, in a process of its own
"""
