"""The files of one prompt as they lie on disk, and how a new text takes the place of an old one."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from headway.prompts import cases
from headway.prompts.errors import FileChanged, PromptError
from headway.prompts.prompt import PromptId, read_prompt
from headway.prompts.published import read_published
from headway.prompts.registry import check_name, version_file, version_files
from headway.prompts.text_file import file_text, write_text


class PromptFiles:
    """The folder of one prompt.

    Args:
        registry: the folder of all prompts.
        name: of the prompt, which need not be there yet.

    Raises:
        PromptError: that cannot be the name of a prompt.
    """

    def __init__(self, registry: Path, name: str) -> None:
        check_name(name)
        self.name = name
        self.folder = registry / name

    def versions(self) -> dict[int, str]:
        """The texts of all versions by number, also of those that cannot be used.

        Raises:
            PromptError: a file cannot be read.
        """
        if not self.folder.is_dir():
            return {}
        files, _ = version_files(self.folder)
        return {number: file_text(path) for number, path in sorted(files.items())}

    def cases(self) -> str | None:
        """The text of the test cases; None: there are none. Raises PromptError."""
        path = self.folder / cases.FILE
        return file_text(path) if path.exists() else None

    def write_version(self, number: int, text: str, instead_of: str | None) -> None:
        """Write a version, at once or not at all.

        Args:
            number: of the version.
            text: of the whole file.
            instead_of: the hash of the text that it takes the place of; None: it is new.

        Raises:
            FileChanged: the file holds another text by now.
            PromptError: the text is no prompt, or the version is published and must not change.
            OSError: it cannot be written.
        """
        path = self.folder / version_file(number)
        text = _ended(text)
        read_prompt(PromptId(self.name, number), text, path.name)
        if number in read_published(self.folder).sha256:
            raise PromptError(
                f"{self.name}@{number} is published and must not change; save it as a new version"
            )
        self._write(path, text, instead_of)

    def write_cases(self, text: str, instead_of: str | None) -> None:
        """Write the test cases; see `write_version`."""
        text = _ended(text)
        cases.parse_cases(text, cases.FILE)
        self._write(self.folder / cases.FILE, text, instead_of)

    def _write(self, path: Path, text: str, instead_of: str | None) -> None:
        present = text_hash(file_text(path)) if path.exists() else None
        if present != instead_of:
            raise FileChanged(
                f"the file {self.name}/{path.name} "
                + ("is there already" if instead_of is None else "was changed meanwhile")
                + ", and nothing was written; look again, then save"
            )
        new_folder = not self.folder.exists()
        self.folder.mkdir(exist_ok=True)
        try:
            write_text(path, text)
        except OSError:
            if new_folder:
                with suppress(OSError):
                    self.folder.rmdir()
            raise


def text_hash(text: str) -> str:
    """The hash of a text, in hex, as that of a version."""
    return sha256(text.encode()).hexdigest()


def _ended(text: str) -> str:
    """As files are written: line feeds end all lines."""
    text = text.replace("\r\n", "\n")
    return text if text.endswith("\n") else f"{text}\n"
