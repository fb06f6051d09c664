"""The table of public collections: what each is, its licence, the files it is made of, and what makes a folder of them.

A size or a sum stands here only where a public source states it, and `stated_by` names that source. Where none
does, the first fetch records the sum beside what it fetched, and later ones are compared with it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MB = 1_000_000


@dataclass(frozen=True)
class PublicFile:
    """A file that is downloaded."""

    url: str
    name: str
    """What it is called here."""
    size: int | None = None
    sums: Mapping[str, str] = field(default_factory=dict)
    """Its sums by algorithm: sha256, md5, or git, which names a file by its content."""
    stated_by: str = ""
    """The public source of its size and sums; "" where they are not known beforehand."""


@dataclass(frozen=True)
class PublicCollection:
    """A collection that anybody may fetch."""

    what: str
    licence: str
    home: str
    """The page that tells of it."""
    converter: str
    """What makes a folder of its files: a name in `converters.CONVERTERS`."""
    files: tuple[PublicFile, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the converter must know beside the files."""
    hub: str = ""
    """The id of the same data at the hub, where a public source states it, for model cards; "" where none does."""

    @property
    def size(self) -> int | None:
        """The bytes to download; None where no public source states them."""
        sizes = [file.size for file in self.files if file.size is not None]
        return sum(sizes) if sizes and len(sizes) == len(self.files) else None


# -- files of public repositories -------------------------------------------------------------------

KNOWLEDGE_NEURONS = "Hunter-DDM/knowledge-neurons@922dfd9e05ef55f46af078ba4bd334989a45a618"
CHARACTER_BERT = "ielab/CharacterBERT-DR@92f08aa13c64eb46675ecfb89c5487f4cec7b866"
RANK_LLM = "castorini/rank_llm_data@5051b8d7225d257ce0f892e1069a2e5ac45d8496"
IR_DATASETS = "ir_datasets' etc/downloads.json"


def _in_repository(at: str, path: str, name: str, size: int, blob: str) -> PublicFile:
    """A file of a GitHub repository at a commit, whose tree states size and content."""
    repository, _, commit = at.partition("@")
    url = f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
    return PublicFile(url, name, size, {"git": blob}, f"the tree of {at}")


def _first_stage(system: str, track: str, name: str, size: int, sha256: str) -> PublicFile:
    """rank_llm's docs of a first stage, with their texts; its repository holds a pointer of Git LFS, with size and sum."""
    repository, _, commit = RANK_LLM.partition("@")
    path = f"retrieve_results/{system}/retrieve_results_{track}_top100.jsonl"
    url = f"https://github.com/{repository}/raw/{commit}/{path}"
    return PublicFile(url, name, size, {"sha256": sha256}, f"the Git LFS pointer in {RANK_LLM}")


# -- T-REx ------------------------------------------------------------------------------------------

RELATIONS: Mapping[str, tuple[int, str, str]] = {
    "P101": (1098177, "ff2ab4d07beaba67da2ba1806552e1da25bbb48e", "in which field does [X] work?"),
    "P103": (1659072, "c9ce0181f55fde91020096676b3a2070f606f62a", "what is the native language of [X]?"),
    "P106": (839235, "2be748284e5aac02c30265dafe0fe496d2deb802", "what is the profession of [X]?"),
    "P108": (447579, "badf8bfd2bfcbe707e4b52b50fe50d158f04bdcb", "for whom does [X] work?"),
    "P127": (2190705, "240d02c63bdb14698247767f65e68a60f7af6f68", "who owns [X]?"),
    "P1303": (1196430, "43924a36e93f00d50f9d34732b509d925142855c", "which instrument does [X] play?"),
    "P136": (1715356, "f8d5cb4c4868a752ddc65c391e691fb8f1149e03", "which genre does [X] play?"),
    "P138": (3032737, "ee94adefe9d02908c35dab40b387b3fd18ccd229", "after whom or what is [X] named?"),
    "P140": (1206129, "3f1d16f90ee758a03c6609107141581bf597fd50", "which religion does [X] follow?"),
    "P1412": (1311904, "e788b05c151f3eabfdec531c1e12e71e83094dc2", "which language does [X] use?"),
    "P159": (2146613, "a1f1565a8400c7f315eac2eb2164e5ed1aefb9b1", "where are the headquarters of [X]?"),
    "P176": (2012362, "6af54637108cc0214273eca2024e375291aa3958", "which company makes [X]?"),
    "P178": (2247236, "40f555e2cb88ddf02446e928d02a90e47f88f1e1", "who developed [X]?"),
    "P19": (781810, "009d84345969a7fc400203119ab7a925bf80c6c1", "where was [X] born?"),
    "P264": (1046849, "1e2aa9738c9b6fdb137ad761b5b6108e5da6b873", "which record label is [X] signed to?"),
    "P27": (1394712, "1463d9c5c0bde4dfe0c2fcc9875bd1c15368ddf7", "of which country is [X] a citizen?"),
    "P31": (1407553, "53e0f3a8bf4cca9993dbd864d4eb40a5268c74d3", "what is [X]?"),
    "P39": (1195492, "db29a08a907a79e1994f1c1f3c955ea487ea3697", "which position did [X] hold?"),
    "P407": (1324101, "48ff31095f0095dfff610ec002c2f709eea94301", "in which language was [X] written?"),
    "P413": (790220, "c618c9793a3f8f5746744d1fb792034bec1653e6", "in which position does [X] play?"),
    "P463": (924820, "97535569d58e3f928189905d3ccccbb081a86085", "which organisation is [X] a member of?"),
    "P495": (1539183, "543cfddbf248902668503fc140ed606fb8b875d1", "in which country was [X] created?"),
    "P527": (3818371, "b4b60a7d34d62c542863f36904c5e713d2bc27cf", "what does [X] consist of?"),
    "P740": (989985, "399e6909b7615fe11337edf533b4c7bc9a40e94d", "where was [X] founded?"),
    "P937": (1113440, "47f4fa751982acda2689119457b43f2d6a32f8cb", "where did [X] work?"),
}  # fmt: skip
"""Relations of LAMA's T-REx: size and content of the file of its facts, and our question."""


def _relations() -> Iterator[PublicFile]:
    for relation, (size, blob, _) in RELATIONS.items():
        path = f"data/LAMA/raw_data/TREx/{relation}.jsonl"
        yield _in_repository(KNOWLEDGE_NEURONS, path, f"{relation}.jsonl", size, blob)


# -- SQuAD ------------------------------------------------------------------------------------------

SQUAD_TEST = (
    "1973_oil_crisis", "Construction", "European_Union_law", "Huguenot",
    "Intergovernmental_Panel_on_Climate_Change", "Jacksonville,_Florida", "Nikola_Tesla", "Super_Bowl_50",
    "United_Methodist_Church", "Victoria_and_Albert_Museum",
)  # fmt: skip
SQUAD_DEV = (
    "Doctor_Who", "Economic_inequality", "French_and_Indian_War", "Fresno,_California", "Genghis_Khan",
    "Packet_switching", "Prime_number", "Scottish_Parliament", "Steam_engine", "Warsaw",
)  # fmt: skip
"""Articles of SQuAD's dev set that are a split each; `train` has the others."""

# -- the table --------------------------------------------------------------------------------------

MS_MARCO = "MS MARCO: non-commercial research"

PUBLIC: Mapping[str, PublicCollection] = {
    "wikiqa": PublicCollection(
        "questions, and sentences of Wikipedia judged as answers",
        "Microsoft Research Data License Agreement",
        "https://www.microsoft.com/en-us/download/details.aspx?id=52419",
        "wikiqa",
        (
            PublicFile(
                "https://download.microsoft.com/download/E/5/f/E5FCFCEE-7005-4814-853D-DAA7C66507E0/WikiQACorpus.zip",
                "WikiQACorpus.zip",
                7094233,
                {"sha256": "467c13f9e104552c0a9c16f41836ca8d89f9c0cc4b6e4355e104d5c3109ffa45"},
                "huggingface/datasets@040102f, datasets/wiki_qa/dataset_infos.json",
            ),
        ),
        hub="microsoft/wiki_qa",
    ),
    "squad-dev": PublicCollection(
        "SQuAD 1.1 dev: questions and paragraphs, split by article",
        "CC BY-SA 4.0",
        "https://rajpurkar.github.io/SQuAD-explorer/",
        "squad",
        (
            PublicFile(
                "https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v1.1.json",
                "dev-v1.1.json",
                4854279,
                {"sha256": "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"},
                "tensorflow/datasets@333639b, url_checksums/squad.txt",
            ),
        ),
        {"splits": {"test": SQUAD_TEST, "dev": SQUAD_DEV}},
        hub="rajpurkar/squad",
    ),
    "scifact": PublicCollection(
        "scientific claims, and abstracts that support or refute them",
        "CC BY-NC 2.0",
        "https://github.com/beir-cellar/beir",
        "beir_zip",
        (
            PublicFile(
                "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets/scifact.zip",
                "scifact.zip",
                2816079,
                {"md5": "5f7d1de60b170fc8027bb7898e2efca1"},
                IR_DATASETS,
            ),
        ),
        hub="BeIR/scifact",
    ),
    "cranfield": PublicCollection(
        "questions of aerodynamics, and abstracts in four grades",
        "University of Glasgow: for research",
        "http://ir.dcs.gla.ac.uk/resources/test_collections/cran/",
        "ir_datasets",
        # the collection's own readme counts from a complete answer, 1, to the least interest, 4; -1 is none
        settings={"id": "cranfield", "split": "test", "grades": {1: 4, 2: 3, 3: 2, 4: 1, -1: 0}},
    ),
    "trex-facts": PublicCollection(
        "facts as questions, and sentences of Wikipedia that state them",
        "T-REx CC BY-SA, LAMA CC BY-NC 4.0",
        "https://github.com/facebookresearch/LAMA",
        "facts",
        tuple(_relations()),
        {"questions": {relation: question for relation, (_, _, question) in RELATIONS.items()}},
    ),
    "msmarco-dl19": PublicCollection(
        "TREC DL 2019: docs of five first stages, runs, typos",
        f"{MS_MARCO}; runs and typos Apache-2.0",
        "https://github.com/castorini/rank_llm",
        "ranked_docs",
        (
            _first_stage("BM25", "dl19", "bm25.jsonl", 2000369, "ec396c5725d0cec98739de9aff9fd6785da09e56fd21bee5b52dc19806f06899"),
            _first_stage("SPLADE_P_P_ENSEMBLE_DISTIL", "dl19", "splade.jsonl", 1844101, "1154bb68a3dfa2c03df024282ae3412e49b561ccaf5b0612bbcfb34333ba56a6"),
            _first_stage("D_BERT_KD_TASB", "dl19", "tasb.jsonl", 1864083, "5d45c71947d89eef19f35eb56ad0797d192674516037c35352f2346997b4d80c"),
            _first_stage("OPEN_AI_ADA2", "dl19", "ada2.jsonl", 1849150, "cf1eed05f1259e8175a6cd87543defed972ab2148f7a02055c6c65fa135fa275"),
            _first_stage("REP_LLAMA", "dl19", "repllama.jsonl", 3648493, "3bd25f2d373d479cbc4acc37d5695af3cd2beeabb32224afcf4d1d35593a5eec"),
            PublicFile("https://trec.nist.gov/data/deep/2019qrels-pass.txt", "qrels.txt", 187092, {"md5": "2f4be390198da108f6845c822e5ada14"}, IR_DATASETS),
            _in_repository(CHARACTER_BERT, "data/dl2019/queries.dl2019.typo1.tsv", "queries.dl2019.typo1.tsv", 1765, "b175b5a611439a91e4e2fe1390d1535d13c30baf"),
            _in_repository(CHARACTER_BERT, "data/dl2019/queries.dl2019.typo2.tsv", "queries.dl2019.typo2.tsv", 1755, "b180139ff6779f43c742e44a485b10ecc85c51ef"),
            _in_repository(CHARACTER_BERT, "data/dl2019/queries.dl2019.typo3.tsv", "queries.dl2019.typo3.tsv", 1766, "8bbfa62bd8d68dd6cfc733bda0d647f766d00123"),
        ),
        {"qrels": "qrels.txt", "split": "test", "kept": {"typos": ("queries.dl2019.typo1.tsv", "queries.dl2019.typo2.tsv", "queries.dl2019.typo3.tsv")}},
    ),
    "msmarco-dl21": PublicCollection(
        "TREC DL 2021: docs of two first stages, runs",
        f"{MS_MARCO}; runs Apache-2.0",
        "https://github.com/castorini/rank_llm",
        "ranked_docs",
        (
            _first_stage("BM25", "dl21", "bm25.jsonl", 2140373, "a4ef170e1afdf74c6d912b51e920630c6126447a1457b18cfad785f21afbbb26"),
            _first_stage("SPLADE_P_P_ENSEMBLE_DISTIL", "dl21", "splade.jsonl", 2082006, "de86822a6c0b0c0abb310f23a09b1978454f3449d5cd305c1471dfe37a711b6b"),
            PublicFile("https://trec.nist.gov/data/deep/2021.qrels.pass.final.txt", "qrels.txt", 433887, {"md5": "c5b76ec95b589732edc9040302e22a2b"}, IR_DATASETS),
        ),
        {"qrels": "qrels.txt", "split": "train", "kept": {}},
    ),
    "dpr-nq": PublicCollection(
        "DPR's files for Natural Questions (no collection)",
        "its own: dl.fbaipublicfiles.com/dpr/nq_license",
        "https://github.com/facebookresearch/DPR",
        "as_they_are",
        (
            PublicFile("https://dl.fbaipublicfiles.com/dpr/data/retriever/biencoder-nq-adv-hn-train.json.gz", "biencoder-nq-adv-hn-train.json.gz"),
            PublicFile("https://dl.fbaipublicfiles.com/dpr/data/retriever/biencoder-nq-dev.json.gz", "biencoder-nq-dev.json.gz", 256239282, {"md5": "2640483dbe0df7ae29c6da419c551a80"}, IR_DATASETS),
        ),
    ),
    "msmarco-v1.1": PublicCollection(
        "MS MARCO's first release, files (no collection)",
        MS_MARCO,
        "https://huggingface.co/datasets/microsoft/ms_marco",
        "as_they_are",
        tuple(
            PublicFile(f"https://huggingface.co/datasets/microsoft/ms_marco/resolve/main/v1.1/{split}-00000-of-00001.parquet", f"{split}.parquet")
            for split in ("train", "test")
        ),
        hub="microsoft/ms_marco",
    ),
    "rankgpt-100k": PublicCollection(
        "RankGPT's training files: ChatGPT's orders (no collection)",
        MS_MARCO,
        "https://github.com/sunnweiwei/RankGPT",
        "as_they_are",
        (  # the ids that RankGPT's README gives
            PublicFile("https://drive.usercontent.google.com/download?id=1OgF4rj89FWSr7pl1c7Hu4x0oQYIMwhik&export=download&confirm=t", "marco-train-100k.jsonl"),
            PublicFile("https://drive.usercontent.google.com/download?id=1z327WOKr70rC4UfOlQVBQnuLxChi_uPs&export=download&confirm=t", "marco-train-100k-gpt3.5.json"),
        ),
    ),
}  # fmt: skip
"""Public collections by name."""
