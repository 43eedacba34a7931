"""The CUDA path of ortscore, rehearsed on stand-ins for CUDA's libraries. See __main__.py."""
