"""The ledger: nothing that was written can be changed, moved, added or dropped without being found."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inland.border.keys import ensure_keys
from inland.border.ledger import Event, append, checkpoint, entries, prove, verify, verify_since
from inland.border.merkle import EMPTY_ROOT, grown, leaf_hash, node_hash, root_of
from inland.errors import LedgerFault, SiteError
from inland.site import Site, init_site, open_site

EVENT = Event(
    role="operator", direction="out", region="us", recipient="us-1", purpose="look", way="view", kind="clip",
    artifact="ab" * 32, origins=("cn",), classes=("imagery",), count=1, size_bytes=10, allowed=False,
    rules=("default-deny",), needed=("an approval",),
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = init_site(tmp_path / "site", "cn")
    ensure_keys(made)
    return made


def files(site: Site) -> tuple[Path, Path]:
    folder = site.storage.local_path("ledger")
    return folder / "entries.jsonl", folder / "checkpoint.json"


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word: split at the largest power of two smaller than n."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(root_by_definition(leaves[:k]), root_by_definition(leaves[k:]))


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_the_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    frontier: list[bytes] = []
    for n, leaf in enumerate(leaves):
        frontier = grown(frontier, n, leaf_hash(leaf))
    assert root_of(frontier) == root_by_definition(leaves)


def test_the_empty_tree_and_one_empty_leaf_have_their_published_roots() -> None:
    # The first two roots of the test vectors of the certificate-transparency project.
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of([leaf_hash(b"")]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_entries_come_back_in_order_with_their_facts(site: Site) -> None:
    assert entries(site) == ()
    assert verify(site) == EMPTY_ROOT.hex()
    written = [append(site, EVENT, t_ns=n) for n in range(5)]
    assert entries(site) == tuple(written)
    assert [e.n for e in written] == [0, 1, 2, 3, 4]
    assert written[2].event == EVENT


def test_the_same_events_give_the_same_root(site: Site) -> None:
    append(site, EVENT, t_ns=1)
    data = [path.read_bytes() for path in files(site)]
    for path in files(site):
        path.unlink()
    append(site, EVENT, t_ns=1)
    assert [path.read_bytes() for path in files(site)] == data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = init_site(tmp_path_factory.mktemp("written") / "site", "cn")
    ensure_keys(made)
    for n in range(4):
        append(made, EVENT, t_ns=n)
    return made


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_is_found(written: Site, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files(written)))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    try:
        with pytest.raises(LedgerFault):
            verify(written)
    finally:
        path.write_bytes(whole)
    verify(written)


def test_a_dropped_moved_or_doubled_entry_is_found(site: Site) -> None:
    for n in range(4):
        append(site, EVENT, t_ns=n)
    path, _ = files(site)
    whole = path.read_bytes()
    a, b, c, d = whole.splitlines(keepends=True)
    for changed in (b + c + d, a + c + d, a + b + c, a + c + b + d, a + b + c + d + d, b"", whole[:-5], whole + b"\n"):
        path.write_bytes(changed)
        with pytest.raises(LedgerFault):
            verify(site)


def test_entries_cut_off_with_the_checkpoint_left_stop_the_next_writer_too(site: Site) -> None:
    for n in range(3):
        append(site, EVENT, t_ns=n)
    path, checkpoint = files(site)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    with pytest.raises(LedgerFault, match="missing at the end"):
        append(site, EVENT)
    path.unlink()
    checkpoint.unlink()
    assert verify(site) == EMPTY_ROOT.hex()


def test_an_entry_signed_by_another_key_is_found(site: Site, tmp_path: Path) -> None:
    other = init_site(tmp_path / "other", "cn")
    ensure_keys(other)
    append(other, EVENT, t_ns=0)
    append(site, EVENT, t_ns=0)
    files(site)[0].write_bytes(files(other)[0].read_bytes())
    with pytest.raises(LedgerFault, match="does not verify"):
        verify(site)


def test_a_writer_killed_before_its_checkpoint_loses_nothing(site: Site) -> None:
    append(site, EVENT, t_ns=0)
    checkpoint = files(site)[1].read_bytes()
    append(site, EVENT, t_ns=1)
    files(site)[1].write_bytes(checkpoint)
    append(site, EVENT, t_ns=2)
    assert [e.t_ns for e in entries(site)] == [0, 1, 2]


def test_a_writer_killed_in_the_middle_of_a_line_leaves_only_what_it_never_acknowledged(site: Site) -> None:
    append(site, EVENT, t_ns=0)
    checkpoint = files(site)[1].read_bytes()
    append(site, EVENT, t_ns=1)
    files(site)[1].write_bytes(checkpoint)
    whole = files(site)[0].read_bytes()
    files(site)[0].write_bytes(whole[:-7])
    append(site, EVENT, t_ns=2)
    assert [e.t_ns for e in entries(site)] == [0, 2]


def test_a_forged_line_at_the_end_is_not_made_good_as_a_killed_writers(site: Site) -> None:
    append(site, EVENT, t_ns=0)
    path, _ = files(site)
    path.write_bytes(path.read_bytes() + path.read_bytes().replace(b'"t_ns":0', b'"t_ns":9'))
    with pytest.raises(LedgerFault):
        append(site, EVENT, t_ns=1)


def _write_ten(root: str) -> None:
    site = open_site(root)
    for n in range(10):
        append(site, EVENT, t_ns=n)


def test_two_processes_write_one_after_the_other(site: Site) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_ten, args=(site.root,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [e.n for e in entries(site)] == list(range(20))


def test_a_site_in_a_bucket_needs_a_local_ledger() -> None:
    from inland.storage import Storage

    bucket = Site(id="x", region="cn", root="s3://bucket/x", storage=Storage("s3://bucket/x"))
    with pytest.raises(SiteError, match="local disk"):
        append(bucket, EVENT)


def event(n: int) -> Event:
    return replace(EVENT, count=n)


def test_a_proof_is_checked_by_the_twenty_lines_of_the_document(site: Site, tmp_path: Path) -> None:
    for n in range(11):
        append(site, event(n))
    page = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    told = prove(site, 6)
    (tmp_path / "proof.json").write_text(json.dumps(told))
    check = [sys.executable, "-c", code, str(tmp_path / "proof.json")]
    run = subprocess.run(check, capture_output=True, text=True, check=True)
    assert told["line"].strip() in run.stdout
    forged = {**told, "line": told["line"].replace('"allowed":false', '"allowed":true', 1)}
    assert forged != told
    (tmp_path / "proof.json").write_text(json.dumps(forged))
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
    with pytest.raises(LedgerFault, match="no entry 11"):
        prove(site, 11)


def test_a_ledger_that_only_grew_agrees_with_a_checkpoint_kept_elsewhere(site: Site) -> None:
    with pytest.raises(LedgerFault, match="no entry yet"):
        checkpoint(site)
    append(site, event(0))
    kept = checkpoint(site)
    assert verify_since(site, kept) == verify(site)
    append(site, event(1))
    assert verify_since(site, kept) == verify(site)


def test_a_roll_back_is_seen_by_a_checkpoint_kept_elsewhere(site: Site) -> None:
    append(site, event(0))
    folder = site.storage.local_path("ledger")
    older = {path.name: path.read_bytes() for path in folder.iterdir()}
    append(site, event(1))
    kept = checkpoint(site)
    for name, data in older.items():
        (folder / name).write_bytes(data)
    verify(site)  # the older copy is whole in itself
    with pytest.raises(LedgerFault, match="rolled back"):
        verify_since(site, kept)


def test_another_history_signed_with_the_same_key_is_seen_by_a_checkpoint_kept_elsewhere(site: Site) -> None:
    append(site, event(0))
    kept = checkpoint(site)
    for path in site.storage.local_path("ledger").iterdir():
        path.unlink()
    append(site, event(5))
    append(site, event(6))
    verify(site)
    with pytest.raises(LedgerFault, match="were changed"):
        verify_since(site, kept)


@pytest.mark.parametrize("kept", [{}, {"body": {}, "signature": "00"}, {"body": None, "signature": 3}])
def test_a_checkpoint_that_this_site_did_not_sign_is_refused(site: Site, kept: dict[str, object]) -> None:
    append(site, event(0))
    with pytest.raises(LedgerFault, match="did not sign"):
        verify_since(site, kept)


def test_a_foreign_file_in_the_ledgers_folder_is_a_fault(site: Site) -> None:
    append(site, event(0))
    (site.storage.local_path("ledger") / "notes.txt").write_text("x")
    with pytest.raises(LedgerFault, match=r"not the ledger's: notes.txt"):
        verify(site)
