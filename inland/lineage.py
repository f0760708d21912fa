"""What came of what: walk parents both ways over the lake's table ``artifacts``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inland.errors import BadInput

if TYPE_CHECKING:
    from inland.border.manifest import Artifact
    from inland.site import Site


def record(
    site: Site,
    ident: str,
    kind: str,
    parents: Sequence[str],
    *,
    origins: Sequence[str] = (),
    classes: Sequence[str] = (),
    developers: Sequence[str] = (),
    station: str = "",
    revision: int = 0,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write one artifact into the lake; nothing happens where it is there already.

    Origins and classes that are not given are the union of the parents' (an unlisted step inherits), and this
    site's region is always one of the origins.
    """
    from inland import lake

    known = {str(row["id"]): row for row in _rows(site, ["id", "origins", "classes", "developers"])}
    before = [known[p] for p in parents if p in known]
    missing = [p for p in parents if p not in known]
    if missing:
        where = "id in (" + ", ".join("'" + m.replace("'", "''") + "'" for m in missing) + ")"
        before += lake.scan(site, "clips", ["id", "origins", "classes"], where).to_pylist()
    row = {
        "id": ident,
        "kind": kind,
        "parents": sorted(parents),
        "origins": sorted({site.region, *(origins or _union(before, "origins"))}),
        "classes": sorted(classes or _union(before, "classes")),
        "developers": sorted({*developers, *_union(before, "developers"), *filter(None, [site.creator])}),
        "station": station,
        "revision": revision,
        "created_by": site.id,
        "details": json.dumps(dict(details or {}), sort_keys=True),
    }
    lake.append(site, "artifacts", [row])


def artifact(site: Site, ident: str) -> dict[str, Any]:
    """One artifact's row. BadInput where the lake has none of that id."""
    for row in _rows(site, None):
        if row["id"] == ident:
            return row
    raise BadInput(f"no artifact {ident!r}", place=f"{site.root}: artifacts", remedy="check the digest")


def ancestors(site: Site, ident: str) -> tuple[str, ...]:
    """Everything that ``ident`` came of, artifacts and clips, nearest first."""
    return walk({row["id"]: row["parents"] for row in _rows(site, ["id", "parents"])}, ident)


def made_of(site: Site, ident: str) -> tuple[str, ...]:
    """The artifacts (not clips) that ``ident`` came of, nearest first."""
    made = {row["id"] for row in _rows(site, ["id"])}
    return tuple(node for node in ancestors(site, ident) if node in made)


def descendants(site: Site, ident: str) -> tuple[str, ...]:
    """Everything that came of ``ident`` (a clip or an artifact), nearest first."""
    children: dict[str, list[str]] = {}
    for row in _rows(site, ["id", "parents"]):
        for parent in row["parents"]:
            children.setdefault(parent, []).append(row["id"])
    return walk(children, ident)


def only_from_towns(site: Site, ident: str) -> bool:
    """Whether everything that ``ident`` came of is known here, and every clip of it is declared free of real life.

    That is: a registered declarer signed that neither persons nor places are in its log. Only the towns' fleet
    can say so truly; a recording of a street has both. False where nothing is known.
    """
    from inland import lake

    nodes = [node for node in ancestors(site, ident) if node]
    made = {row["id"] for row in _rows(site, ["id"])}
    clips = {row["id"]: row["classes"] for row in lake.scan(site, "clips", ["id", "classes"]).to_pylist()}
    if not any(node in clips for node in nodes):
        return False
    return all(node in made or (node in clips and not {"persons", "places"} & set(clips[node])) for node in nodes)


def both_ways(site: Site, ident: str) -> dict[str, Any]:
    """What `inland lineage` answers: the thing itself, what it came of and what came of it, nearest first.

    Each node has id, kind (clip, dataset, model, release, ...; 'abroad' for a parent that is not at this site),
    origins and classes. Raises BadInput where this site knows nothing of that id.
    """
    from inland import lake

    known = {str(row["id"]): row for row in _rows(site, ["id", "kind", "origins", "classes", "parents"])}
    columns = ["id", "origins", "classes", "parents", "drive", "vehicle"]
    clips = {str(row["id"]): row for row in lake.scan(site, "clips", columns).to_pylist()}

    def node(name: str) -> dict[str, Any]:
        if name in known:
            return {key: known[name][key] for key in ("id", "kind", "origins", "classes")}
        if name in clips:
            row = clips[name]
            return {"kind": "clip", **{key: row[key] for key in ("id", "origins", "classes", "drive", "vehicle")}}
        drive = any(name == row["drive"] for row in clips.values())
        return {"id": name, "kind": "drive" if drive else "abroad", "origins": [], "classes": []}

    if ident not in known and ident not in clips:
        raise BadInput(f"nothing here is called {ident!r}", place=site.root, remedy="give the whole id of it")
    edges = {**{name: row["parents"] for name, row in known.items()}, **{n: r["parents"] for n, r in clips.items()}}
    return {
        **node(ident),
        "came_of": [node(name) for name in walk(edges, ident) if name],
        "led_to": [node(name) for name in descendants(site, ident)],
    }


def crossing_artifact(site: Site, ident: str) -> Artifact:
    """A thing of this site as the border sees it: with its classes, origins, developers and the keys of its bytes.

    Raises BadInput where this site knows nothing of that id.
    """
    from inland import lake
    from inland.border.manifest import Artifact

    where = "id = '" + ident.replace("'", "''") + "'"
    for row in lake.scan(site, "clips", ["id", "origins", "classes", "parents", "media"], where).to_pylist():
        media = (lake.media_key(row["media"]),) if row["media"] else ()
        facts = (tuple(row["origins"]), tuple(row["classes"]), tuple(row["parents"]))
        return Artifact("clip", ident, *facts, developers=(), objects=media)
    row = artifact(site, ident)
    places = {
        "model": f"models/{ident}/",
        "release": f"releases/{ident}/",
        "dataset": f"datasets/{ident}",
        "scorecard": f"scores/{ident}.json",
    }
    prefix = places.get(row["kind"], "")
    folder, _, _ = prefix.rpartition("/")
    objects = tuple(key for key in (site.storage.list(folder) if folder else ()) if key.startswith(prefix))
    facts = (tuple(row["origins"]), tuple(row["classes"]), tuple(row["parents"]))
    count = len(row["parents"]) if row["kind"] == "dataset" else 1
    return Artifact(row["kind"], ident, *facts, tuple(row["developers"]), objects, count)


def walk(edges: Mapping[str, Iterable[str]], start: str) -> tuple[str, ...]:
    """Every node that ``edges`` lead to from ``start``, breadth first, each once and in sorted order a
    step."""
    seen: dict[str, None] = {}
    step = [start]
    while step:
        step = sorted({n for node in step for n in edges.get(node, ())} - set(seen) - {start})
        seen.update(dict.fromkeys(step))
    return tuple(seen)


def _rows(site: Site, columns: list[str] | None) -> list[dict[str, Any]]:
    from inland import lake

    rows: list[dict[str, Any]] = lake.scan(site, "artifacts", columns).to_pylist()
    return rows


def _union(rows: Iterable[Mapping[str, Any]], column: str) -> set[str]:
    return {value for row in rows for value in row.get(column) or ()}
