"""The human-rated snippets: fetched, cleaned, split.

They come in the source archive of PyPI's vaderSentiment 3.3.2 (Hutto & Gilbert 2014): one line each with an
id, the mean of fifteen or more ratings from -4 to 4, and the text. None of the text is kept with attnflow.
"""

from __future__ import annotations

import hashlib
import html
import io
import random
import re
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnflow.errors import FormatError, InputError

REQUIREMENT = "vaderSentiment==3.3.2"
SDIST = "vaderSentiment-3.3.2.tar.gz"
SDIST_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
EVERYDAY = ("amazonReviewSnippets", "tweets")


@dataclass(frozen=True)
class Snippet:
    """A text and the mean of its ratings, from -4 to 4."""

    text: str
    rating: float

    @property
    def label(self) -> int:
        """1 for a positive mean, 0 for a negative one."""
        return int(self.rating > 0)


@dataclass(frozen=True)
class Split:
    """Snippets to learn from, to choose by, and to measure once. No text is in two of them."""

    train: tuple[Snippet, ...]
    validation: tuple[Snippet, ...]
    heldout: tuple[Snippet, ...]


def fetch(directory: Path) -> Path:
    """Downloads the source archive with pip.

    Args:
        directory: where it goes.

    Returns:
        The archive's path.
    """
    path = directory / SDIST
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps"]
        subprocess.run([*command, "--dest", str(directory), REQUIREMENT], check=True)
    return path


def clean(text: str) -> str:
    """Undoes what the archive did to the text.

    Entities become characters, doubled apostrophes quotation marks, a question mark inside a word an
    apostrophe; a run of spaces (once a dash) becomes a dash; apostrophes around the whole snippet go.

    Args:
        text: as in the archive.

    Returns:
        The text as its author will have written it.
    """
    text = html.unescape(text).strip()
    text = re.sub(r"(?<=[a-z])\?(?=[a-z]+\b)", "'", text)
    if len(text) > 2 and text[0] == text[-1] == "'" and text[1] != "'" and text[-2] != "'":
        text = text[1:-1]
    text = text.replace("''", '"').replace("’", "'")
    return re.sub(r"\s+", " ", re.sub(r" {2,}", " - ", text)).strip()


def read(path: Path, name: str = "movieReviewSnippets") -> list[Snippet]:
    """Reads one of the rated collections out of the source archive.

    Args:
        path: the archive.
        name: movieReviewSnippets, amazonReviewSnippets, nytEditorialSnippets or tweets.

    Returns:
        The snippets, cleaned, in the archive's order.

    Raises:
        InputError: there is no such file.
        FormatError: the file is not vaderSentiment 3.3.2's source archive.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file: give the path of {SDIST}, or none to download it.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SDIST_SHA256:
        raise FormatError(f"{path} has SHA-256 {found}, but {SDIST} has {SDIST_SHA256}: download it again.")
    with tarfile.open(fileobj=io.BytesIO(data)) as outer:
        inner = outer.extractfile(ARCHIVE)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as archive:
            member = archive.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
            assert member is not None
            lines = member.read().decode("utf-8", errors="replace").splitlines()
    rows = (line.split("\t") for line in lines if line.strip())
    return [Snippet(clean(text), float(rating)) for _, rating, text in rows]


def words(text: str) -> frozenset[str]:
    """The set of lower-case words of a text, by which two texts count as the same."""
    return frozenset(re.findall(r"\w+", text.lower()))


def distinct(snippets: Iterable[Snippet]) -> list[Snippet]:
    """The snippets without those whose words another one before has."""
    first: dict[frozenset[str], Snippet] = {}
    for snippet in snippets:
        first.setdefault(words(snippet.text), snippet)
    return list(first.values())


def without_near(
    snippets: Sequence[Snippet], kept_apart: Sequence[Snippet], most: float = 0.7
) -> list[Snippet]:
    """The snippets that share less than a fraction of their words with every snippet kept apart.

    Args:
        snippets: to choose from.
        kept_apart: to stay clear of.
        most: the Jaccard index of two word sets from which they are too near.

    Returns:
        Those of `snippets` that are clear, in their order.
    """
    index: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for other in kept_apart:
        for word in words(other.text):
            index[word].append(words(other.text))

    def clear(mine: frozenset[str]) -> bool:
        # Two sets with a Jaccard index over one half share some word among the rarest half of either.
        rare = sorted(mine, key=lambda word: len(index.get(word, ())))[: len(mine) // 2 + 1]
        return all(len(mine & its) / len(mine | its) < most for word in rare for its in index.get(word, ()))

    return [snippet for snippet in snippets if clear(words(snippet.text))]


def split(snippets: Iterable[Snippet], seed: int, validation: int = 400, heldout: int = 500) -> Split:
    """Splits snippets by seed: held out and validation balanced, the rest for training.

    Snippets rated exactly 0 on average have no label and are left out; no other snippet is.

    Args:
        snippets: all there are; repeated texts count once.
        seed: of the shuffle.
        validation: snippets of each label to choose by.
        heldout: snippets of each label to measure on.

    Returns:
        The three parts. Training snippets that nearly repeat one of the others are dropped.
    """
    rated = [snippet for snippet in distinct(snippets) if snippet.rating != 0]
    random.Random(seed).shuffle(rated)
    by_label = [[snippet for snippet in rated if snippet.label == label] for label in (0, 1)]
    measured = tuple(snippet for part in by_label for snippet in part[:heldout])
    chosen = tuple(snippet for part in by_label for snippet in part[heldout : heldout + validation])
    rest = [snippet for part in by_label for snippet in part[heldout + validation :]]
    chosen = tuple(without_near(chosen, measured))
    return Split(tuple(without_near(rest, measured + chosen)), chosen, measured)
