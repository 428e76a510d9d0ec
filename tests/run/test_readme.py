"""What README tells a newcomer to type works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from landscape.core.schema import validate
from landscape.run.config import ExperimentConfig
from landscape.tasks import Task

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_library_example_runs(
    tmp_path: Path,
    populations: dict[str, Path],
    task_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(populations["bert"], tmp_path / "checkpoints")
    for file in task_file.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    examples = blocks("python")
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "README.md", "exec"), names)
        height, gap = map(float, capsys.readouterr().out.split()[-2:])
        assert gap >= height >= 0


def test_the_yaml_examples_are_valid() -> None:
    import yaml

    experiment, faster, ways, task = [yaml.safe_load(block) for block in blocks("yaml")]
    validate(ExperimentConfig, experiment, "README")
    validate(ExperimentConfig, {**experiment, **faster}, "README")
    validate(ExperimentConfig, {**experiment, **ways}, "README")
    validate(Task, task, "README")


def test_links_and_pictures_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    targets += re.findall(r'src="([^"]+)"', README)
    local = [target for target in targets if "://" not in target]
    assert local
    for target in local:
        assert (ROOT / target).exists(), target


def test_commands_in_readme_exist() -> None:
    from landscape.run.commands import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    used = set(re.findall(r"(?:^|&& )landscape (\w+)", "\n".join(blocks("sh")), re.MULTILINE))
    assert {"demo", "run", "check"} <= used <= names
