from __future__ import annotations

import os
import subprocess
import sys

import pytest

CHECK = """
import warnings
warnings.simplefilter("error")
# The checker advises on conventions that do not fit: actions and observations in physical units are meant so.
warnings.filterwarnings("ignore", message=".*gymnasium.*|.*WARN.*", category=UserWarning)
from gymnasium.utils.env_checker import check_env
from inland.world.env import InlandEnv

env = InlandEnv("town_us", cameras={cameras})
check_env(env, skip_render_check=True)
seen, info = env.reset(seed=3)
again, same = env.reset(seed=3)
assert info == same
assert all((seen[k] == again[k]).all() for k in seen), "the same seed gave another beginning"
progress = 0.0
for _ in range(30):
    seen, reward, terminated, truncated, info = env.step([0.0, 0.3])
    progress += reward
    assert not truncated
assert progress > 5.0, progress
env.close()
print("checked")
"""


def check(cameras: str) -> str:
    # SUMO holds one simulation per process: the environment gets one of its own.
    environment = {**os.environ, "LIBSUMO_AS_TRACI": "quiet", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK.replace("{cameras}", cameras)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("cameras", ["()", "('front',)"])
def test_the_environment_passes_gymnasiums_own_check(cameras: str) -> None:
    assert check(cameras).endswith("checked\n")
