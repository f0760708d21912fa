"""A turn's facts made up for tests: every part filled, nothing measured."""

from __future__ import annotations

import random
from functools import cache

import numpy as np

from inland.border.ledger import Entry, Event
from inland.gate import decide
from inland.reel import Film
from inland.release import Release, RollOut
from inland.report import ClipCard, DatasetFacts, LossCurve, TurnFacts
from inland.scorecard import EpisodeResult, Scorecard, driver_score, pairs
from inland.video import Encoder, mux

ORDERLY = ("signal_straight", "signal_turn", "hard_stop", "curves")
ALL = (*ORDERLY, "scooter_flow", "cut_in", "late_crossing_crowd", "right_turn_across_scooters")


@cache
def tiny_video(width_px: int = 96, height_px: int = 54, frames: int = 12) -> bytes:
    """A short real MP4."""
    encoder = Encoder(width_px, height_px, fps=10)
    packets = []
    for i in range(frames):
        rgb = np.zeros((height_px, width_px, 3), np.uint8)
        rgb[:, :, 0] = np.linspace(40, 200, width_px).astype(np.uint8)
        rgb[:, (8 * i) % width_px : (8 * i) % width_px + 6] = 250
        packets += encoder.encode(rgb, i * 100_000_000)
    return mux([packets], 0)


def scorecard(town: str, rates: dict[str, float], per_scenario: int, scenarios: tuple[str, ...]) -> Scorecard:
    """Drivers who succeed at given rates, on the same made-up episodes."""
    drivers = []
    for role, rate in rates.items():
        chance = random.Random(f"{town}{role}")
        episodes = []
        for n in range(per_scenario):
            for scenario in scenarios:
                good = chance.random() < rate
                episodes.append(
                    EpisodeResult(
                        layout="cn_tong",
                        scenario=scenario,
                        n=n,
                        seed=n,
                        success=good,
                        driving_score=100.0 if good else 100 * chance.random() * 0.6,
                        end="completed" if good else "collision",
                        infractions=() if good else ("collision_vehicle",),
                        measures={"route_completion": 100.0 if good else 60.0, "pdms": rate, "nc": rate},
                        key=f"{role}-{scenario}-{n}",
                    )
                )
        drivers.append(driver_score(role, "model", role * 8, episodes))
    return Scorecard(town, "final", "d" * 32, tuple(drivers))


def turn_facts(video: bytes = b"", film: bytes = b"") -> TurnFacts:
    """A passed turn."""
    rates = {"field": 0.45, "candidate": 0.85, "constant": 0.03, "ego_only": 0.12, "expert": 0.98}
    cards = (
        scorecard("town_cn", rates, 20, ALL),
        scorecard("town_us", {"field": 0.9, "candidate": 0.92}, 20, ORDERLY),
    )
    curve = tuple((float(i), 1.2 * 0.996**i + 0.2 + 0.06 * random.Random(i).random()) for i in range(600))
    event = Event(
        "operator",
        "in",
        "us",
        "us-1f0c",
        "demonstration",
        "transmit",
        "model",
        "a3f1" * 16,
        ("us",),
        ("synthetic",),
        1,
        2_400_000,
        True,
        ("synthetic-model-in",),
        (),
        "ab",
    )
    refused = Event(
        "operator",
        "out",
        "us",
        "us-1f0c",
        "debugging",
        "transmit",
        "clip",
        "77e0" * 16,
        ("cn",),
        ("persons", "places", "trajectory", "imagery"),
        1,
        5_000_000,
        False,
        ("recordings-stay",),
        ("an artifact without imagery, persons, places, trajectory; recordings stay in their region",),
    )
    evidence = {"origins": ["towns"], "stamp": "towns only"}
    return TurnFacts(
        site="cn-5f2a9c01",
        region="cn",
        turn=1,
        size="demo",
        seconds=563.0,
        stations=(
            ("base driver", 171.0),
            ("collect", 96.0),
            ("ingest", 14.2),
            ("mine", 1.2),
            ("train", 168.0),
            ("score", 101.0),
            ("gate", 0.4),
        ),
        committed=214,
        quarantined=(("outbox/vehicle-003.mcap", "implausible clock: 3 ms between frames"),),
        clips=tuple(
            ClipCard(
                f"{i:02x}c4" * 8,
                f"vehicle-{i}9ac",
                10.0 - i / 3,
                ("hard_brake", "turn_right"),
                ("take_over",) if i % 2 else (),
                video,
            )
            for i in range(6)
        ),
        tags={"hard_brake": 44, "turn_left": 31, "turn_right": 40, "standing": 102, "launch": 88},
        triggers={"take_over": 61, "disagreement": 120, "hard_brake": 33},
        dataset=DatasetFacts(
            "local-81ac",
            "81ac" * 16,
            214,
            18_212,
            "drive",
            {
                "by trigger": {"take_over": 61, "disagreement": 120, "none": 33},
                "frames": {"turning": 4100, "standing": 2900, "hard_brake": 900},
            },
        ),
        losses=(
            LossCurve("base driver", curve),
            LossCurve("candidate", curve, ((100.0, 0.9), (300.0, 0.6), (599.0, 0.45))),
        ),
        open_loop={
            "candidate": {"curvature_1pm": 0.0041, "acceleration_mps2": 0.41},
            "constant": {"curvature_1pm": 0.021, "acceleration_mps2": 1.2},
        },
        scorecards=cards,
        verdict=decide(pairs(cards[0]), pairs(cards[1])),
        films=(
            Film(
                "town_cn",
                "cn_tong",
                "cut_in",
                3,
                True,
                "collision vehicle",
                "completed without an infraction",
                film,
                film,
            ),
            Film("town_cn", "cn_huai", "curves", 7, False, "completed without an infraction", "off road", film, film),
        ),
        release=Release(
            "9d" * 16,
            "combined driver assistance a3f1a3f1",
            "a3f1" * 8,
            "releases/9d",
            {"dataset": "81ac" * 16, "evidence": evidence},
        ),
        roll_out=RollOut("9d" * 16, ("vehicle-000", "vehicle-001"), (), ()),
        crossings={"us": (Entry(0, 0, event, "00"),), "cn": (Entry(0, 0, event, "00"), Entry(1, 0, refused, "01"))},
    )
