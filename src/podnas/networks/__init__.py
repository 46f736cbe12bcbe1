"""Points of a search space to trained networks; the only room that imports Keras."""

import os

# TensorFlow reads these once, when it is first imported: quiet, and sums in one order on every machine
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
