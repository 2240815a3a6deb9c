"""Tests run on the CPU, where trainings repeat bit for bit."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
