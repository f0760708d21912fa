"""No library phones home, or gets ready to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DRIVE = """
import inland
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
assert session.run(None, {"x": np.ones(1, np.float32)})[0] == 1
"""


def test_onnx_runtime_collects_nothing_below_the_home_folder(tmp_path: Path) -> None:
    # Without the package's setting its wheels leave a device id and a queue of events there, and upload them.
    silent = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", DRIVE], check=True, env={**silent, "HOME": str(tmp_path)})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
