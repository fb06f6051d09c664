"""Write a copy of a ranker, with its model card, to the hub."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

from rankscope.core.errors import BadInput, NotWritable
from rankscope.core.progress import Tell
from rankscope.core.result import Result
from rankscope.store.files import temporary_folder
from rankscope.verbs.handover.export import ExportSettings, export
from rankscope.verbs.models import untold

UNREACHED: type[Exception] = HfHubHTTPError.__bases__[0]
"""HTTPError of the library for requests, which is another one in each major version of huggingface_hub."""


@dataclass(frozen=True)
class PushSettings:
    """The model, the repository on the hub, and what the card says beyond the results folder."""

    model: str
    """A ranker's folder or hub id."""
    repo: str
    """NAME or OWNER/NAME."""
    private: bool = False
    licence: str | None = None
    base_model: str | None = None
    command: str = ""


def push(settings: PushSettings, tell: Tell = untold) -> Result:
    """Export the ranker, and upload the folder in one commit; the address of the repository.

    Raises BadInput for a name that is no repository's, NotWritable where the hub refuses or is not reached.
    """
    api = HfApi()
    with temporary_folder() as folder:
        name = settings.repo.rpartition("/")[2]
        copy = folder / (name or "ranker")
        exported = ExportSettings(
            settings.model,
            copy,
            licence=settings.licence,
            base_model=settings.base_model,
            command=settings.command,
            loaded_as=settings.repo,
        )
        export(exported, tell)
        address = _uploaded(api, copy, settings)
    return Result(lines=(f"{address}: written.",))


def _uploaded(api: HfApi, folder: Path, settings: PushSettings) -> str:
    """The address of the repository that has the folder now."""
    try:
        made = api.create_repo(settings.repo, private=settings.private or None, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message="Written by rankscope"
        )
    except HFValidationError as error:
        raise BadInput(f"{settings.repo}: {str(error).splitlines()[0]}") from error
    except LocalTokenNotFoundError as error:
        raise NotWritable(
            "The hub needs a token that may write. Log in with `hf auth login`, or set HF_TOKEN."
        ) from error
    except HfHubHTTPError as error:
        said = str(error.server_message or error).splitlines()[0]
        status = error.response.status_code if error.response is not None else "no answer"
        raise NotWritable(
            f"{settings.repo}: the hub refused it ({status}: {said}). Check the name, and that your token may write there."
        ) from error
    except RuntimeError as error:  # of a large file's upload, whose reason is its cause
        said = str(error.__cause__ or error).splitlines()[0]
        raise NotWritable(
            f"{settings.repo}: a file was not uploaded ({said}). Try again: what is there already is not sent twice."
        ) from error
    except (UNREACHED, OSError) as error:
        raise NotWritable(
            f"{api.endpoint}: the hub was not reached ({error}). Check the network, or HF_ENDPOINT."
        ) from error
    return str(made)
