"""The site abroad: where a first driver is trained, and what passes the border to and from it.

The story of the seed case: a ``us`` site at ``SITE-us`` collects in ``town_us`` and trains; its weights cross into
this site. Its data stays where it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from inland import lake
from inland.border.approvals import demonstration
from inland.border.cross import Crossing, arrived, cross, move
from inland.border.keys import ensure_keys, public_key, register_peer
from inland.border.manifest import Artifact
from inland.curate import curate
from inland.errors import CrossingRefused
from inland.fleet import CollectSpec, collect
from inland.ingest import ingest
from inland.label import label
from inland.lineage import only_from_towns, record
from inland.mine import mine
from inland.release import take_into_use
from inland.samples import open_samples
from inland.scorecard import Scorecard
from inland.site import Site, init_site
from inland.sizes import TurnSize
from inland.station import keep, key_of, recall
from inland.train import train

Report = Callable[[float, float, str], None]
REVISION = 1
TOWN = "town_us"
PURPOSE = "a first driver"
"""What the base weights cross for, as both ledgers have it."""
REPORTING = "comparison with the driver of origin"


def site_abroad(site: Site) -> Site:
    """The ``us`` site beside this one, made where it is missing; both sites then know each other's key."""
    abroad = init_site(f"{site.root}-us", "us")
    ensure_keys(abroad)
    ensure_keys(site)
    register_peer(site, abroad.id, public_key(abroad))
    register_peer(abroad, site.id, public_key(site))
    return abroad


def base_driver(site: Site, plan: TurnSize, processes: int, report: Report) -> str:
    """Train the first driver abroad, bring it in, take it into use; return its model.

    Every station is idempotent, so a killed run goes on. Raises CrossingRefused where a border says no.
    """
    abroad = site_abroad(site)
    with abroad.writing():
        logs = collect(abroad, CollectSpec(TOWN, plan.base_drives), processes, report)
        ingest(abroad, logs, processes=processes, progress=report)
        mine(abroad)
        label(abroad, progress=report)
        dataset = curate(abroad, plan.base_recipe)
        open_samples(abroad, dataset, plan.base_recipe, processes=processes, progress=report)
        model = train(abroad, plan.base_recipe, dataset, ego_only=False, progress=report).model
        bring_in(abroad, site, model)
    take_into_use(site, model)
    return model


def bring_in(abroad: Site, site: Site, model: str) -> None:
    """Move a model trained on towns' logs alone through both borders, under approvals for just that.

    Raises CrossingRefused where the model's lineage does not show that no recording of real life is in it.
    """
    if not only_from_towns(abroad, model):
        raise CrossingRefused(
            f"model {model[:12]} is not shown to come of towns' logs alone",
            rules=("default-deny",),
            needed=("a lineage whose every clip is declared free of persons and places",),
        )
    manifest = json.loads(abroad.storage.get(f"models/{model}/manifest.json"))
    artifact = Artifact(
        kind="model",
        digest=model,
        origins=(abroad.region,),
        classes=("synthetic", "algorithm"),
        parents=(str(manifest.get("dataset", "")),),
        developers=(abroad.region,),
        objects=tuple(abroad.storage.list(f"models/{model}")),
    )
    if not arrived(site, artifact):  # a killed turn that goes on crosses no second time
        move(
            abroad,
            site,
            artifact,
            purpose=PURPOSE,
            approval_out=_allow(abroad, "out", site, artifact, PURPOSE),
            approval_in=_allow(site, "in", abroad, artifact, PURPOSE),
        )
    record(
        site,
        model,
        "model",
        artifact.parents,
        origins=artifact.origins,
        classes=artifact.classes,
        developers=artifact.developers,
        station="cross",
    )


def send_scorecard(site: Site, card: Scorecard) -> Crossing:
    """Send a scorecard, which has only counts from the towns, to the site that the first driver came from."""
    artifact = Artifact(
        kind="scorecard",
        digest=card.digest,
        origins=(site.region,),
        classes=("synthetic", "aggregate"),
        developers=(site.region,),
        objects=(f"scores/{card.digest}.json",),
    )
    abroad = site_abroad(site)
    with abroad.writing():
        out, _ = move(
            site,
            abroad,
            artifact,
            purpose=REPORTING,
            approval_out=_allow(site, "out", abroad, artifact, REPORTING),
            approval_in=_allow(abroad, "in", site, artifact, REPORTING),
        )
    return out


def offer_raw_clip(site: Site, clip: str) -> Crossing:
    """Ask the border for one clip to go abroad: it refuses, and the ledger says by which rules. Moves nothing."""
    (row,) = lake.take(site, "clips", [clip]).to_pylist()
    artifact = Artifact("clip", clip, tuple(row["origins"]), tuple(row["classes"]))
    return cross(site, artifact, direction="out", region="us", recipient="site abroad", purpose="training")


def report_abroad(site: Site, card: Scorecard, clip: str) -> None:
    """What leaves after a turn: the scorecard goes, a raw clip is asked for and refused. Once for each scorecard."""
    key = key_of("report abroad", REVISION, card.digest, clip)
    if recall(site, "report_abroad", key) is None:
        sent, refused = send_scorecard(site, card), offer_raw_clip(site, clip)
        keep(site, "report_abroad", key, {"sent": sent.entry, "refused": refused.entry})


def _allow(site: Site, direction: str, other: Site, artifact: Artifact, purpose: str) -> dict[str, Any]:
    """A demonstration approval for just this kind and these classes, at this site."""
    return demonstration(
        site,
        direction=direction,
        region=other.region,
        recipient=other.id,
        kind=artifact.kind,
        classes=artifact.classes,
        purpose=purpose,
    )
