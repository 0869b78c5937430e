"""The places where the studio is put: a Space's front matter, ZeroGPU's forked calls, the container, step by step."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from huggingface_hub import SpaceCard, SpaceHardware

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

# https://huggingface.co/docs/hub/spaces-config-reference
DOCUMENTED = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "python_version", "sdk_version", "suggested_hardware",
    "suggested_storage", "app_file", "app_build_command", "app_port", "base_path", "fullWidth", "header",
    "short_description", "models", "datasets", "tags", "thumbnail", "pinned", "hf_oauth", "hf_oauth_scopes",
    "hf_oauth_expiration_minutes", "hf_oauth_authorized_org", "disable_embedding", "startup_duration_timeout",
    "custom_headers", "preload_from_hub", "license",
}  # fmt: skip
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def pins(name: str = "requirements.txt") -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


# --- a Space ----------------------------------------------------------------------------------------------------------


def test_the_front_matter_holds_what_spaces_know() -> None:
    card = SpaceCard.load(ROOT / "README.md").data.to_dict()
    assert set(card) <= DOCUMENTED
    assert card["sdk"] == "gradio" and card["sdk_version"] == pins()["gradio"]
    assert (ROOT / card["app_file"]).is_file() and {card["colorFrom"], card["colorTo"]} <= COLOURS
    assert card["python_version"] in ("3.10", "3.12") and isinstance(card["python_version"], str)  # ZeroGPU's two
    assert card["suggested_hardware"] in {hardware.value for hardware in SpaceHardware}
    assert len(card["short_description"]) <= 60 and re.fullmatch(r"\d+(m|h)", card["startup_duration_timeout"])
    assert card["license"] == "apache-2.0" and "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_what_a_space_preloads_is_what_the_registry_asks_for() -> None:
    from think2seg.models import find_prompter, find_segmenter

    card = SpaceCard.load(ROOT / "README.md").data.to_dict()
    prompter, small = find_prompter("Think2Seg-RS-3B"), find_segmenter("small")
    assert card["preload_from_hub"] == [prompter.source, f"{small.source} {small.checkpoint}"]
    assert card["models"] == [prompter.source, small.source]


# --- ZeroGPU ----------------------------------------------------------------------------------------------------------


def test_on_zero_gpu_words_and_masks_are_made_in_a_forked_process(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    environment = {
        **os.environ, "SPACES_ZERO_GPU": "true", "GRADIO_TEMP_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(str(p) for p in (ROOT / "tests" / "fake_spaces", ROOT / "tests", ROOT)),
        "STOPPED": str(tmp_path / "stopped"), "FILLED": str(tmp_path / "filled"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "tests/zero_driver.py", "doubles"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    answer = told["where"]
    assert int(answer["thought"]) not in (told["pid"], 0) and told["filled"] != told["pid"]
    assert len(answer["instances"]) == 4 and answer["frame"] == [400, 300]
    assert told["no memory"] == {"error": "It ran out of GPU memory."}
    assert told["sam"] == {"error": "SAM ran out of GPU memory."}
    assert told["stopped"] == "stopped" and told["stop_s"] < 5
    assert told["closer"]["segmenter"] == "nano, zoom 2" and told["lent for it"] == 1  # one call for all its tiles
    assert ["_written", 90] in told["calls"] and ["_filled", 30] in told["calls"]


def test_elsewhere_models_are_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    from think2seg.studio import zero

    itself = object()
    monkeypatch.setattr("think2seg.prompter.load", lambda name: itself)
    monkeypatch.setattr("think2seg.segmenter.load", lambda name: itself)
    assert not zero.LENT and zero.open_prompter("nano") is itself and zero.open_segmenter("nano") is itself
    assert "spaces" not in sys.modules


# --- a container ------------------------------------------------------------------------------------------------------


def steps() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(li for li in DOCKERFILE.splitlines() if not li.startswith("#")))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]


def copied() -> list[tuple[str, str]]:
    """(source in the checkout, target below the working folder) of every COPY."""
    pairs = []
    for name, rest in steps():
        if name == "COPY":
            *sources, target = [word for word in shlex.split(rest) if not word.startswith("--")]
            pairs += [(s, target + s if target.endswith("/") else target) for s in sources]
    return pairs


def environment_of_the_image() -> dict[str, str]:
    return dict(pair.split("=", 1) for name, rest in steps() if name == "ENV" for pair in shlex.split(rest))


def test_what_the_dockerfile_copies_exists_and_is_let_through() -> None:
    rules = [
        li for li in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if li and not li.startswith("#")
    ]
    assert rules[0] == "*" and len(copied()) >= 6
    let_through = [rule[1:] for rule in rules if rule.startswith("!")]
    for source, _target in copied():
        assert (ROOT / source).exists(), source
        assert source in let_through, f"{source} is kept out by .dockerignore"
    assert sorted(let_through) == sorted(source for source, _target in copied())
    assert any(fnmatch.fnmatch("think2seg/__pycache__", rule.replace("**/", "*/")) for rule in rules)


def test_the_image_runs_as_uid_1000_on_the_port_it_exposes() -> None:
    held = environment_of_the_image()
    assert "--uid 1000 think2seg" in DOCKERFILE and ("USER", "think2seg") in steps()
    assert held["GRADIO_SERVER_NAME"] == "0.0.0.0" and ("EXPOSE", held["GRADIO_SERVER_PORT"]) in steps()
    order = [name for name, _rest in steps()]
    assert order.index("USER") < order.index("COPY") < order.index("CMD") and order.count("HEALTHCHECK") == 1
    (base,) = [rest for name, rest in steps() if name == "FROM"]
    assert base.startswith("python:3.12")
    assert "cpu)" in DOCKERFILE and "cuda)" in DOCKERFILE and ("ARG", "DEVICE=cpu") in steps()


def test_a_device_that_there_is_not_stops_the_build() -> None:
    (install,) = [rest for name, rest in steps() if name == "RUN" and "DEVICE" in rest]
    for device, code in (("tpu", 1), ("cpu", 0), ("cuda", 0)):
        run = subprocess.run(
            ["sh", "-c", f"pip() {{ echo \"$@\"; }}; {install}"],
            env={**os.environ, "DEVICE": device}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == code, run.stderr
        assert ("whl/cpu" in run.stdout) == (device == "cpu") and ("DEVICE is cpu or cuda" in run.stderr) == (code == 1)


def test_what_is_copied_is_enough_to_run_and_to_be_found_healthy(tmp_path: Path) -> None:
    place = tmp_path / "app"
    for source, target in copied():
        goal = place / target
        goal.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, goal, ignore=shutil.ignore_patterns("__pycache__", "*.pyi"))
        else:
            shutil.copy(ROOT / source, goal)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    held = environment_of_the_image() | {"GRADIO_SERVER_PORT": port, "GRADIO_SERVER_NAME": "127.0.0.1"}
    held |= {"GRADIO_TEMP_DIR": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "weights"), "HOME": str(tmp_path)}
    held |= {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    (command,) = [json.loads(rest) for name, rest in steps() if name == "CMD"]
    (health,) = [json.loads(rest[rest.index("[") :]) for name, rest in steps() if name == "HEALTHCHECK"]
    health = [word.replace("7860", port) for word in health[1:]]
    server = subprocess.Popen([sys.executable, *command[1:]], cwd=place, env=held)
    try:
        end = time.monotonic() + 90
        while (done := subprocess.run([sys.executable, *health], capture_output=True, check=False)).returncode:
            assert server.poll() is None and time.monotonic() < end, done.stderr
            time.sleep(0.5)
        page = httpx.get(f"http://127.0.0.1:{port}/", timeout=20)
        assert page.status_code == 200 and "Think2Seg" in page.text and "01-" in page.text  # the examples came along
    finally:
        server.terminate()
        server.wait(30)


def test_compose_builds_both_and_says_nothing_that_the_image_does_not() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"studio", "studio-cuda"} and services["studio-cuda"]["build"]["args"] == {"DEVICE": "cuda"}
    for service in services.values():
        assert service["ports"] == ["7860:7860"] and service["cap_drop"] == ["ALL"]
        assert service["volumes"] == ["weights:/home/think2seg/weights"]
    assert ("VOLUME", "/home/think2seg/weights") in steps()


def test_pins_and_the_package_agree() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {canonicalize_name((r := Requirement(text)).name): r for text in project["dependencies"]}
    wanted |= {
        canonicalize_name((r := Requirement(text)).name): r for text in project["optional-dependencies"]["agents"]
    }
    held = {canonicalize_name(name): version for name, version in pins().items()}
    assert set(held) == set(wanted)
    for name, version in held.items():
        assert wanted[name].specifier.contains(version), name


def test_a_studio_without_mcp_says_so(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    from studio_site import running

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("importlib.util.find_spec", lambda name: None)
        with running(tmp_path) as site:
            assert httpx.get(f"{site.api}/mcp/schema").status_code == 404
            assert site.last("segment", image=site.uploaded(), question="one")["schema"] == 1
    assert "pip install mcp" in caplog.text
