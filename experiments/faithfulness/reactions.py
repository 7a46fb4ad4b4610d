"""Reactions of common kinds, made from reagents by RDKit, with one atom of the product masked.

The model learned from reactions of patents; amide couplings, Suzuki couplings, Williamson ethers and reductive
aminations are among the commonest of them.
"""

from __future__ import annotations

import itertools
import random
import re

REAGENTS = {
    "acids": """
        OC(=O)c1ccccc1 OC(=O)c1ccc(F)cc1 OC(=O)c1cccnc1 OC(=O)CCl OC(=O)C1CCCC1 OC(=O)c1ccc(C#N)cc1 OC(=O)CC(C)C
        OC(=O)c1cccs1 OC(=O)c1ccc(OC)cc1 OC(=O)C(C)(C)C OC(=O)c1cc(Cl)ccc1O OC(=O)Cc1ccccc1""",
    "amines": """
        NCc1ccccc1 NC1CCCCC1 C1CCNCC1 C1COCCN1 CNC Nc1ccc(F)cc1 NCCO NCC(F)(F)F CN1CCNCC1 Nc1ccccn1 NC(C)C
        NCCc1ccccc1""",
    "bromides": """
        Brc1ccccc1 Brc1ccc(OC)cc1 Brc1cccnc1 Brc1ccc(C#N)cc1 Brc1ccc(C(C)=O)cc1 Brc1cccs1 Brc1ccc(F)c(F)c1
        Brc1cnccn1""",
    "boronic acids": """
        OB(O)c1ccccc1 OB(O)c1ccc(F)cc1 OB(O)c1ccc(OC)cc1 OB(O)c1cccnc1 OB(O)c1ccsc1 OB(O)c1ccc(C(F)(F)F)cc1
        OB(O)c1ccco1""",
    "phenols": """
        Oc1ccccc1 Oc1ccc(Cl)cc1 Oc1ccc(C=O)cc1 Oc1cccc([N+](=O)[O-])c1 Oc1ccc(C#N)cc1 Oc1ccccc1OC""",
    "halides": "BrCC BrCc1ccccc1 BrCC(=O)OC ICCC BrCC1CC1 BrCCOC ClCc1ccncc1",
    "aldehydes": "O=Cc1ccccc1 O=Cc1ccc(Cl)cc1 O=Cc1cccnc1 O=CC(C)C O=Cc1ccco1 O=Cc1ccc(C#N)cc1",
}

#: Kind, its reagents, what is added, and the transformation as SMARTS.
KINDS = (
    (
        "acids",
        "amines",
        "CCN(C(C)C)C(C)C.CN(C)C=O",
        "[C:1](=[O:2])[OH].[N;!H0;!$(N=*):3]>>[C:1](=[O:2])[N:3]",
    ),
    ("bromides", "boronic acids", "O=C([O-])[O-].[K+].[K+].C1COCCO1", "[c:1]Br.[c:2]B(O)O>>[c:1][c:2]"),
    ("phenols", "halides", "O=C([O-])[O-].[K+].[K+].CC(C)=O", "[c:1][OH:2].[C:3][Br,I,Cl]>>[c:1][O:2][C:3]"),
    ("aldehydes", "amines", "[BH3-]C#N.[Na+].CO", "[C;H1:1]=O.[N;!H0;!$(N=*);!$(Nc):3]>>[C;H2:1][N:3]"),
)
_ATOM = re.compile(r"\[[^\]]+\]|Br|Cl|[BCNOPSFIbcnops]")


def masked(count: int, seed: int) -> list[str]:
    """Different reactions as SMILES, each with one atom of its product masked.

    Args:
        count: how many.
        seed: settles the order and the atoms.
    """
    rng = random.Random(seed)
    reactions = list(made())
    rng.shuffle(reactions)
    found: list[str] = []
    for reaction in itertools.cycle(reactions):
        front, product = reaction.split(">>")
        atom = rng.choice(list(_ATOM.finditer(product)))
        text = f"{front}>>{product[: atom.start()]}[MASK]{product[atom.end() :]}"
        if text not in found:
            found.append(text)
        if len(found) == count:
            return found
    raise ValueError("There are no reactions.")


def made() -> list[str]:
    """Every reaction of every kind."""
    from rdkit import RDLogger
    from rdkit.Chem import AllChem, MolFromSmiles, MolToSmiles, SanitizeMol

    RDLogger.DisableLog("rdApp.*")
    found = []
    for firsts, seconds, added, smarts in KINDS:
        rule = AllChem.ReactionFromSmarts(smarts)
        for first, second in itertools.product(REAGENTS[firsts].split(), REAGENTS[seconds].split()):
            products = rule.RunReactants((MolFromSmiles(first), MolFromSmiles(second)))
            if not products:
                continue
            product = products[0][0]
            SanitizeMol(product)
            reagents = [MolToSmiles(MolFromSmiles(part)) for part in (first, second, *added.split("."))]
            found.append(f"{'.'.join(reagents)}>>{MolToSmiles(product)}")
    return found
