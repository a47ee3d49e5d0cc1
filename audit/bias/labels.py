"""Human labels of a run's images, in a SQLite database beside the run: the run itself is never changed by people.

Who labels gets a seeded random draw of the readable images in random order, so that what is labelled so far is always
a random draw too, and may stop at any time. "undetermined" is an answer; there is no skipping. Labels of images
outside the draw would make the estimate wrong without anybody noticing, so they enter only with the word of the
person who brings them that they were drawn at random.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from audit.bias.label_table import read_rows
from audit.bias.readings import UNDETERMINED
from audit.run import now
from generator.errors import CannotCheckError, InputError

COLUMNS = ("image_id", "attribute", "value", "annotator")
SAMPLE = 100  # images
SCHEMA_VERSION = 1
_MAX_NAME = 80
_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sample (position INTEGER PRIMARY KEY, image_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS labels (
    image_id TEXT NOT NULL, attribute TEXT NOT NULL, annotator TEXT NOT NULL, value TEXT NOT NULL,
    labelled TEXT NOT NULL, PRIMARY KEY (image_id, attribute, annotator)
);
"""


@dataclass(frozen=True, slots=True)
class Task:
    """One question to one annotator.

    Attributes:
        image_id: of the image to look at.
        attribute: what to say about it.
        answers: the groups, then "undetermined".
        done: questions this annotator has answered.
        total: questions of the whole sample.
    """

    image_id: str
    attribute: str
    answers: tuple[str, ...]
    done: int
    total: int


def labels_path(run: Path) -> Path:
    """Where the labels of a run are: `NAME.labels.sqlite` beside the run directory."""
    resolved = run.resolve()
    return resolved.with_name(f"{resolved.name}.labels.sqlite")


class LabelStore:
    """Labels of one run.

    Args:
        run: the run directory.
        schema: attribute -> groups that can be labelled.
        images: image_id of every readable image of the run, in any order.

    Raises:
        CannotCheckError: the database is damaged or of another version.
    """

    def __init__(self, run: Path, *, schema: Mapping[str, Sequence[str]], images: Sequence[str]) -> None:
        self.path = labels_path(run)
        self.schema = {attribute: tuple(groups) for attribute, groups in schema.items()}
        self._known = frozenset(images)
        with self._open() as database:
            database.executescript(_TABLES)
            database.execute(
                "INSERT OR IGNORE INTO about VALUES ('schema_version', ?)", [str(SCHEMA_VERSION)]
            )
            (version,) = database.execute("SELECT text FROM about WHERE name = 'schema_version'").fetchone()
        if version != str(SCHEMA_VERSION):
            raise CannotCheckError(
                f"{self.path}: label schema {version}, this version reads {SCHEMA_VERSION}"
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits at the end, for one operation: several processes may label at once."""
        try:
            database = sqlite3.connect(self.path, timeout=30)
            try:
                database.execute("PRAGMA journal_mode = WAL")
                with database:
                    yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            raise CannotCheckError(f"{self.path}: the label database cannot be used ({error})") from error

    def draw(self, size: int = SAMPLE, *, seed: int = 0) -> int:
        """Draw the sample, or make it larger; what is drawn already stays. Returns its size.

        Args:
            size: images wanted, at least 1; all images when the run has fewer.
            seed: of the order; with the same images and seed the same sample, on any machine.

        Raises:
            InputError: size below 1, or the run has no readable image.
        """
        if size < 1 or not self._known:
            raise InputError(
                f"sample of {size} from {len(self._known)} readable images: at least 1 of each is needed"
            )
        with self._open() as database:
            drawn = [row[0] for row in database.execute("SELECT image_id FROM sample ORDER BY position")]
            ordered = sorted(self._known - set(drawn))
            rest = [
                ordered[place]
                for place in np.random.default_rng([seed, len(drawn)]).permutation(len(ordered))
            ]
            added = rest[: max(size - len(drawn), 0)]
            _extend(database, added)
            if added:
                text = json.dumps({"size": len(drawn) + len(added), "seed": seed, "drawn": now()})
                database.execute("INSERT OR REPLACE INTO about VALUES ('draw', ?)", [text])
        return len(drawn) + len(added)

    def sample(self) -> list[str]:
        """Images drawn, in the order in which they are labelled."""
        with self._open() as database:
            return [row[0] for row in database.execute("SELECT image_id FROM sample ORDER BY position")]

    def add(self, image_id: str, attribute: str, *, value: str, annotator: str) -> None:
        """Keep one answer; a later one of the same annotator takes its place.

        Raises:
            InputError: an unknown image, attribute or value, an image outside the sample, or no annotator.
        """
        self.add_all(pd.DataFrame([(image_id, attribute, value, annotator)], columns=list(COLUMNS)))

    def add_all(self, labels: pd.DataFrame, *, drawn_at_random: bool = False) -> int:
        """Keep many answers, all or none. Returns how many.

        Args:
            labels: with COLUMNS.
            drawn_at_random: the caller vouches that images outside the sample were a random draw from all images
                of the run; they join the sample.

        Raises:
            InputError: see `add`; what does not fit is named.
        """
        table = self._check(labels)
        outside = sorted(set(table["image_id"]) - set(self.sample()))
        if outside and not drawn_at_random:
            raise InputError(
                f"labels: {len(outside)} images are in the run but not in its random sample, first {outside[0]!r}; "
                "labels of hand-picked images make the estimate wrong. If they were drawn at random, say so: "
                "--drawn-at-random"
            )
        moment = now()
        rows = [
            (image, attribute, who, value, moment)
            for image, attribute, value, who in table[list(COLUMNS)].itertuples(index=False)
        ]
        with self._open() as database:
            _extend(database, outside)
            database.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?, ?)", rows)
        return len(rows)

    def _check(self, labels: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in COLUMNS if name not in labels]
        if missing:
            raise InputError(f"labels: columns {missing} are missing; expected {', '.join(COLUMNS)}")
        table = labels[list(COLUMNS)].astype(object)
        texts = table.map(lambda cell: isinstance(cell, str) and len(cell.strip()) > 0)
        if not texts.to_numpy().all():
            row = int(np.argmin(texts.to_numpy().all(axis=1)))
            raise InputError(
                f"labels: row {row + 1} has an empty cell; every one of {', '.join(COLUMNS)} is needed"
            )
        strangers = sorted(set(table["image_id"]) - self._known)
        if strangers:
            raise InputError(
                f"labels: {len(strangers)} images are not in the run (or cannot be read), first "
                f"{', '.join(map(repr, strangers[:5]))}; give the labels to the run they belong to"
            )
        for name, values in table.groupby("attribute")["value"]:
            attribute = str(name)
            if attribute not in self.schema:
                raise InputError(
                    f"labels: unknown attribute {attribute!r}; expected one of {list(self.schema)}"
                )
            unknown = sorted(set(values) - {*self.schema[attribute], UNDETERMINED})
            if unknown:
                expected = [*self.schema[attribute], UNDETERMINED]
                raise InputError(
                    f"labels: unknown values {unknown} of {attribute!r}; expected one of {expected}"
                )
        long = table.loc[table["annotator"].str.len() > _MAX_NAME, "annotator"]
        if len(long):
            raise InputError(
                f"labels: annotator {long.iloc[0][:20]!r}... is longer than {_MAX_NAME} characters"
            )
        if table.duplicated(["image_id", "attribute", "annotator"]).any():
            twice = table[table.duplicated(["image_id", "attribute", "annotator"])].iloc[0]
            raise InputError(
                f"labels: image {twice['image_id']!r} has two labels of {twice['attribute']!r} by "
                f"{twice['annotator']!r}, expected one"
            )
        return table

    def frame(self) -> pd.DataFrame:
        """All labels, COLUMNS, in the order of sample, attribute and annotator."""
        with self._open() as database:
            rows = database.execute(
                "SELECT image_id, attribute, value, annotator FROM labels JOIN sample USING (image_id) "
                "ORDER BY position, attribute, annotator"
            ).fetchall()
        return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)

    def next_task(self, annotator: str, *, attributes: Sequence[str]) -> Task | None:
        """The first question this annotator has not answered; None when all are.

        Args:
            annotator: who.
            attributes: to ask for, in this order, each image's one after another.

        Raises:
            InputError: an attribute is not in the schema.
        """
        unknown = [attribute for attribute in attributes if attribute not in self.schema]
        if unknown:
            raise InputError(f"attribute {unknown[0]!r}: expected one of {list(self.schema)}")
        labels = self.frame()
        mine = labels[(labels["annotator"] == annotator) & labels["attribute"].isin(list(attributes))]
        answered = set(zip(mine["image_id"], mine["attribute"], strict=True))
        sample = self.sample()
        for image_id in sample:
            for attribute in attributes:
                if (image_id, attribute) not in answered:
                    answers = (*self.schema[attribute], UNDETERMINED)
                    return Task(image_id, attribute, answers, len(answered), len(sample) * len(attributes))
        return None

    def undo(self, annotator: str) -> bool:
        """Take back this annotator's last answer; False when there is none."""
        with self._open() as database:
            removed = database.execute(
                "DELETE FROM labels WHERE rowid = (SELECT rowid FROM labels WHERE annotator = ? "
                "ORDER BY labelled DESC, rowid DESC LIMIT 1)",
                [annotator],
            )
            return removed.rowcount > 0


def _extend(database: sqlite3.Connection, images: Sequence[str]) -> None:
    (last,) = database.execute("SELECT COALESCE(MAX(position), -1) FROM sample").fetchone()
    rows = [(last + 1 + place, image_id) for place, image_id in enumerate(images)]
    database.executemany("INSERT INTO sample VALUES (?, ?)", rows)


def has_labels(run: Path) -> bool:
    """Whether a label database lies beside the run."""
    return labels_path(run).is_file()


def write_labels(labels: pd.DataFrame, path: Path) -> None:
    """Write labels as CSV, Parquet or JSONL, by the file's suffix; cells that a spreadsheet would compute are quoted.

    Raises:
        InputError: another suffix.
    """
    if path.suffix == ".csv":
        labels.map(_inert).to_csv(path, index=False)
    elif path.suffix == ".parquet":
        labels.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        labels.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        raise InputError(f"{path}: unknown suffix; expected .csv, .parquet or .jsonl")


def read_labels(path: Path) -> pd.DataFrame:
    """Labels from a file that `write_labels` wrote, or from any table with COLUMNS.

    Raises:
        InputError: it cannot be read.
    """
    table = read_rows(path)
    if path.suffix == ".csv":
        table = table.map(
            lambda cell: cell[1:] if isinstance(cell, str) and _inert(cell[1:]) == cell else cell
        )
    return table


def _inert(cell: object) -> object:
    """Text that no spreadsheet takes for a formula; `read_labels` takes the mark off again."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
