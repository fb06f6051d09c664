"""The embedded default: a made-up world, and a study file over it that a user can start from."""

from importlib.resources import files
from pathlib import Path

from rankscope.data import world
from rankscope.store.refusals import explained
from rankscope.study.fields.schema import COMMENT, write_beside

SEED = 42
N_PEOPLE = 100
TEST_SHARE = 0.25


def write_demo(place: Path | str) -> Path:
    """Write the world, the study file and its schema into a folder; the study file's path.

    A study file that is there already is left as it is: it may be the user's by now.
    """
    folder = Path(place)
    study_file = folder / "study.yaml"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        made = world.world(SEED, n_people=N_PEOPLE)
        world.write(made, folder / "world", test_share=TEST_SHARE, seed=SEED)
        if not study_file.exists():
            template = files("rankscope.study").joinpath("templates/demo.yaml")
            study_file.write_text(f"{COMMENT}\n{template.read_text('utf-8')}", "utf-8")
    write_beside(study_file)
    return study_file
