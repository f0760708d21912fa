"""Which x264 preset: milliseconds, bytes and PSNR on real pictures. Run: ``python -m benchmarks.video_presets``.

Needs INLAND_TEST_DATA, the folder of real recordings (see docs).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from inland import video

PICTURES = 240


def main() -> None:
    folder = Path(os.environ.get("INLAND_TEST_DATA", ""), "udacity_sim", "IMG")
    pictures = [video.decode_jpeg(p.read_bytes()) for p in sorted(folder.glob("center*"))[:PICTURES]]
    if not pictures:
        sys.exit("set INLAND_TEST_DATA to the folder of real recordings")
    height, width = pictures[0].shape[:2]
    print("preset     crf  ms/picture  MB      PSNR dB")
    for preset in ("veryfast", "superfast", "ultrafast"):
        for crf in (20, 23):
            video.PRESET = preset
            encoder = video.Encoder(width, height, 12.0, crf=crf)
            began = time.process_time()
            packets = [p for n, rgb in enumerate(pictures) for p in encoder.encode(rgb, n)]
            spent = (time.process_time() - began) / len(pictures)
            decoded = [rgb for _, rgb in video.decode_packets(packets)]
            errors = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(pictures, decoded, strict=True)]
            psnr = 10 * np.log10(255**2 / np.mean(errors))
            size = sum(len(p.data) for p in packets) / 1e6
            print(f"{preset:10} {crf}   {spent * 1e3:10.2f}  {size:6.2f}  {psnr:6.2f}")


if __name__ == "__main__":
    main()
