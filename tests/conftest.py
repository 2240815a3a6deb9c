"""Tests run on the CPU, where trainings repeat bit for bit, and side by side: a thread each."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["OMP_NUM_THREADS"] = "1"
