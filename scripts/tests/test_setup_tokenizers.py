"""The set-up of libtokenizers says what is wrong before cargo runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / "setup" / "tokenizers.sh"


def set_up(tmp_path: Path, lib_rs: str) -> subprocess.CompletedProcess[str]:
    """Runs the set-up on a module of these sources, with a go and a cargo that are none."""
    crate = tmp_path / "module" / "crates" / "tokenizers"
    (crate / "src").mkdir(parents=True)
    (crate / "src" / "lib.rs").write_text(lib_rs, encoding="utf-8")
    (crate / "Cargo.toml").write_text('[dependencies]\ntiktoken-rs = "0"\n', encoding="utf-8")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in {"go": f'test "$1" = mod || echo "{tmp_path / "module"}"',
                         "cargo": f'touch "{tmp_path / "built"}"; exit 1'}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    return subprocess.run([SETUP, tmp_path / "lib", tmp_path / "work"], text=True, check=False,
                          capture_output=True, env=os.environ | {"PATH": path})


FUNCTION = '#[no_mangle]\npub extern "C" fn tokenizers_{}(x: u8) -> u8 {{ x }}\n'


def test_sources_without_the_functions_are_refused(tmp_path: Path) -> None:
    done = set_up(tmp_path, FUNCTION.format("from_bytes") + FUNCTION.format("encode_batch"))
    assert done.returncode == 2
    assert done.stderr.startswith("setup: error: want tokenizers_from_bytes and tokenizers_encode")
    assert not (tmp_path / "built").exists()


def test_sources_with_them_are_patched_and_built(tmp_path: Path) -> None:
    done = set_up(tmp_path, FUNCTION.format("from_bytes") + FUNCTION.format("encode"))
    assert done.returncode == 1  # cargo's
    assert "setup: error" not in done.stderr
    assert (tmp_path / "built").exists()
    patched = (tmp_path / "work" / "src" / "lib.rs").read_text(encoding="utf-8")
    assert "fn inner_encode(" in patched
    assert "fn inner_from_bytes(" in patched
