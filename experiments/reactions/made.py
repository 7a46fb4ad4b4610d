"""Reactions whose atom maps are known, because a template made the product: RDKit keeps where each atom came from.

A reaction is written as its precursors, the reactants and one or two bystanders (solvent, base) in random order, then
`>>` and the product, all in canonical SMILES without atom maps: what the model was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem

#: Name, template, and the pools that its reactants are drawn from.
TEMPLATES = (
    ("amide", "[C:1](=[O:2])[OX2;H1].[NX3;H2;!$(N-C=O):3][C:4]>>[C:1](=[O:2])[N:3][C:4]", ("acid", "amine")),
    (
        "ester",
        "[C:1](=[O:2])[OX2;H1].[OX2;H1;!$(O-C=O):3][CX4:4]>>[C:1](=[O:2])[O:3][C:4]",
        ("acid", "alcohol"),
    ),
    ("suzuki", "[c:1][Br].[c:2]B(O)O>>[c:1][c:2]", ("bromide", "boronic")),
    ("ether", "[c:1][OX2;H1:2].[CX4:3][Br]>>[c:1][O:2][C:3]", ("phenol", "alkyl")),
    ("substitution", "[c:1][F].[SX2;H1:2][C:3]>>[c:1][S:2][C:3]", ("fluoride", "thiol")),
    ("alkylation", "[NX3;H2;!$(N-C=O):1][C:2].[CX4:3][Br]>>[C:2][N:1][C:3]", ("amine", "alkyl")),
    (
        "sulfonamide",
        "[S:1](=[O:2])(=[O:3])Cl.[NX3;H2:4][C:5]>>[S:1](=[O:2])(=[O:3])[N:4][C:5]",
        ("sulfonyl", "amine"),
    ),
    ("reduction", "[C:1][CX3;H1:2]=[O:3]>>[C:1][C:2][O:3]", ("aldehyde",)),
    ("amination", "[*:1][CX3;H1:2]=O.[NX3;H2;!$(N-C=O):3][C:4]>>[*:1][C:2][N:3][C:4]", ("aldehyde", "amine")),
    ("hydrolysis", "[C:1](=[O:2])[O:3][CX4]>>[C:1](=[O:2])[O:3]", ("ester",)),
)
POOLS = {
    "acid": (
        "CC(=O)O", "CCC(=O)O", "OC(=O)c1ccccc1", "OC(=O)c1ccncc1", "CC(C)C(=O)O", "OC(=O)C1CC1", "OC(=O)c1ccccc1F",
    ),
    "amine": ("NCc1ccccc1", "CCCN", "NC1CCCCC1", "CC(C)CN", "NCCc1ccccc1", "COCCN", "NCc1ccco1", "NCC1CC1"),
    "alcohol": ("CCO", "OCc1ccccc1", "CC(C)O", "OC1CCCC1", "COCCO", "OCC(F)(F)F"),
    "bromide": ("Brc1ccccc1", "COc1ccc(Br)cc1", "Brc1cccnc1", "Cc1ccc(Br)cc1", "N#Cc1ccc(Br)cc1", "Brc1cncnc1"),
    "boronic": ("OB(O)c1ccccc1", "COc1ccccc1B(O)O", "OB(O)c1ccc(F)cc1", "Cc1ccccc1B(O)O", "OB(O)c1ccsc1"),
    "phenol": ("Oc1ccccc1", "COc1ccc(O)cc1", "Oc1cccnc1", "Cc1ccc(O)cc1", "Oc1ccc(Cl)cc1"),
    "alkyl": ("CCBr", "BrCc1ccccc1", "CCCBr", "COC(=O)CBr", "BrCC1CC1", "CCOC(=O)CBr"),
    "fluoride": ("N#Cc1ccc(F)cc1", "Fc1cccnc1F", "O=[N+]([O-])c1ccc(F)cc1", "Fc1ccccn1"),
    "thiol": ("CCS", "CC(C)S", "SCc1ccccc1", "CCCCS"),
    "sulfonyl": ("CS(=O)(=O)Cl", "O=S(=O)(Cl)c1ccccc1", "Cc1ccc(S(=O)(=O)Cl)cc1"),
    "aldehyde": ("CC(C)C=O", "O=CCc1ccccc1", "CCCC=O", "O=CC1CCCCC1", "CCC=O"),
    "ester": ("CCOC(=O)c1ccccc1", "COC(=O)C1CCNCC1", "CCOC(=O)Cc1ccccc1", "COC(=O)c1ccncc1"),
}  # fmt: skip
BYSTANDERS = (
    "CN(C)C=O",
    "ClCCl",
    "C1CCOC1",
    "CCN(CC)CC",
    "CC#N",
    "CO",
    "O=C([O-])[O-].[K+].[K+]",
    "[Na+].[OH-]",
)


@dataclass(frozen=True)
class Reaction:
    """One reaction and where its product's atoms came from.

    Attributes:
        text: reaction SMILES.
        template: the template's name.
        elements: atomic numbers, of the precursors' atoms in the order of the text, then of the product's.
        precursors: how many atoms the precursors have.
        bonds: pairs of those atoms.
        origins: per product atom, the precursors' atoms that are right: the one it came from and those that no chemist
            can tell from it, being symmetric to it in its molecule.
    """

    text: str
    template: str
    elements: tuple[int, ...]
    precursors: int
    bonds: tuple[tuple[int, int], ...]
    origins: tuple[frozenset[int], ...]


def reactions(count: int, seed: int) -> list[Reaction]:
    """So many different reactions, the templates in turn."""
    found: dict[str, Reaction] = {}
    for made in _endless(seed):
        found.setdefault(made.text, made)
        if len(found) == count:
            return list(found.values())
    raise AssertionError("unreachable")


def _endless(seed: int) -> Iterator[Reaction]:
    RDLogger.DisableLog("rdApp.*")
    rng = np.random.default_rng(seed)
    turn = 0
    while True:
        name, template, pools = TEMPLATES[turn % len(TEMPLATES)]
        turn += 1
        names = [str(rng.choice(POOLS[pool])) for pool in pools]
        beside = rng.choice(BYSTANDERS, size=rng.integers(1, 3), replace=False)
        made = reaction(name, template, names, [str(one) for one in beside], rng)
        if made is not None:
            yield made


def reaction(
    name: str, template: str, reactants: list[str], bystanders: list[str], rng: np.random.Generator
) -> Reaction | None:
    """The reaction of these molecules by a template, or None if it gives more than one product, or none."""
    molecules = [Chem.MolFromSmiles(Chem.MolToSmiles(Chem.MolFromSmiles(text))) for text in reactants]
    outcomes = {}
    for (product,) in AllChem.ReactionFromSmarts(template).RunReactants(tuple(molecules)):
        if Chem.SanitizeMol(product, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE:
            outcomes.setdefault(Chem.MolToSmiles(product), product)
    if len(outcomes) != 1:
        return None
    ((text, product),) = outcomes.items()
    order = list(product.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    parts = [(Chem.MolToSmiles(molecule), index) for index, molecule in enumerate(molecules)]
    parts += [(Chem.MolToSmiles(Chem.MolFromSmiles(one)), None) for one in bystanders]
    parts = [parts[place] for place in rng.permutation(len(parts))]
    starts, elements, bonds = {}, [], []
    for written, index in parts:
        molecule = Chem.MolFromSmiles(written)
        if index is not None:
            starts[index] = len(elements)
        bonds += _bonds(molecule, len(elements))
        elements += [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    precursors = len(elements)
    origins = []
    for atom in (product.GetAtomWithIdx(place) for place in order):
        index = atom.GetIntProp("react_idx")
        ranks = list(Chem.CanonicalRankAtoms(molecules[index], breakTies=False))
        own = ranks[atom.GetIntProp("react_atom_idx")]
        origins.append(frozenset(starts[index] + place for place, rank in enumerate(ranks) if rank == own))
    last = Chem.MolFromSmiles(text)
    bonds += _bonds(last, precursors)
    elements += [atom.GetAtomicNum() for atom in last.GetAtoms()]
    written = ".".join(part for part, _ in parts) + ">>" + text
    return Reaction(written, name, tuple(elements), precursors, tuple(bonds), tuple(origins))


def _bonds(molecule: Chem.Mol, start: int) -> list[tuple[int, int]]:
    return [(start + bond.GetBeginAtomIdx(), start + bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]
